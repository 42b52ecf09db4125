// A model folder: its manifest, and its files checked against it when they are read.
#pragma once

#include <filesystem>
#include <string>

#include "manifest.h"

namespace idrn {

class ModelFolder {
public:
    // Throws Error (IDRN_ERROR_MODEL): no folder, or no valid manifest in it.
    explicit ModelFolder(const std::string &path);

    const Manifest &manifest() const { return manifest_; }

    // Whether a file of that kind is named and there; nothing is said of its content.
    bool has(const std::string &kind) const;

    // The file's bytes, verified: what was checked is what is used. Throws Error (IDRN_ERROR_MODEL).
    std::string read(const std::string &kind) const;

private:
    std::filesystem::path path_;
    Manifest manifest_;
};

}  // namespace idrn
