// manifest.json, read as if an enemy had written it: the same rules as idrn_trt/manifest.py.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace idrn {

constexpr size_t LARGEST_MANIFEST_BYTES = 1 << 20;

struct ModelFile {
    std::string path;    // below the folder, "/" between its parts
    std::string sha256;  // lower-case hexadecimal
    uint64_t size_bytes;
};

struct Manifest {
    std::string name;
    uint32_t scale;
    std::map<std::string, ModelFile> files;  // by kind
};

// Throws Error (IDRN_ERROR_MODEL) for everything but a valid manifest.
Manifest parse_manifest(std::string_view text);

}  // namespace idrn
