#include "model_folder.h"

#include <algorithm>
#include <fstream>

#include "error.h"
#include "sha256.h"

namespace idrn {
namespace {

namespace fs = std::filesystem;

std::string in_quotes(const fs::path &path) {
    return "'" + path.string() + "'";
}

// At most `most` bytes. A pipe or device would block or never end, so only a regular file is opened.
std::string read_file(const fs::path &path, uint64_t most) {
    std::error_code failure;
    if (!fs::is_regular_file(path, failure)) {
        throw model_error(in_quotes(path) + " is missing or no regular file");
    }
    const uint64_t size = std::min<uint64_t>(fs::file_size(path, failure), most);
    std::ifstream file(path, std::ios::binary);
    std::string data;
    if (!failure && file) {
        data.resize(size);
        file.read(data.data(), static_cast<std::streamsize>(size));
    }
    if (failure || static_cast<uint64_t>(file.gcount()) != size) {
        throw model_error(in_quotes(path) + " cannot be read");
    }
    return data;
}

bool lies_in(const fs::path &file, const fs::path &folder) {
    std::error_code failure;
    const fs::path real_folder = fs::canonical(folder, failure);
    const fs::path real_file = failure ? fs::path() : fs::canonical(file, failure);
    if (failure) {
        return false;
    }
    const auto [rest, unused] =
        std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end());
    return rest == real_folder.end();
}

}  // namespace

ModelFolder::ModelFolder(const std::string &path) : path_(path) {
    std::error_code failure;
    if (!fs::is_directory(path_, failure)) {
        throw model_error("model folder " + in_quotes(path_) + " is missing or no folder");
    }
    const fs::path file = path_ / "manifest.json";
    const std::string text = read_file(file, LARGEST_MANIFEST_BYTES + 1);
    try {
        manifest_ = parse_manifest(text);
    } catch (const Error &error) {
        throw model_error("model manifest " + in_quotes(file) + ": " + error.what());
    }
}

bool ModelFolder::has(const std::string &kind) const {
    const auto found = manifest_.files.find(kind);
    std::error_code failure;
    return found != manifest_.files.end() && fs::is_regular_file(path_ / found->second.path, failure);
}

std::string ModelFolder::read(const std::string &kind) const {
    const auto found = manifest_.files.find(kind);
    if (found == manifest_.files.end()) {
        throw model_error("model '" + manifest_.name + "' has no '" + kind + "' file");
    }
    const ModelFile &entry = found->second;
    const fs::path file = path_ / entry.path;
    std::error_code failure;
    if (!fs::exists(file, failure)) {
        throw model_error("model '" + manifest_.name + "': file " + in_quotes(entry.path) +
                          " is missing. Files that are not shipped are made by `idrn-trt quantise`");
    }
    if (!lies_in(file, path_)) {
        throw model_error("model file " + in_quotes(file) + " is a link out of its folder: refused");
    }
    std::string data = read_file(file, entry.size_bytes + 1);
    if (data.size() != entry.size_bytes || sha256(data.data(), data.size()) != entry.sha256) {
        throw model_error("model file " + in_quotes(file) + " is altered: expected " +
                          std::to_string(entry.size_bytes) + " bytes of sha256 " + entry.sha256);
    }
    return data;
}

}  // namespace idrn
