#include "manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "error.h"

namespace idrn {
namespace {

using Json = nlohmann::json;

constexpr int64_t FORMAT_VERSION = 1;
constexpr int64_t LARGEST_FILE_BYTES = int64_t{1} << 31;
constexpr size_t MOST_FILES = 32;
constexpr int DEEPEST = 32;

// Refuses what nlohmann::json takes: great depth, and a key given twice, of which it keeps the last.
class Strict {
public:
    bool operator()(int depth, Json::parse_event_t event, Json &parsed) {
        if (depth > DEEPEST) {
            throw model_error("nested deeper than " + std::to_string(DEEPEST) + " levels");
        }
        if (event == Json::parse_event_t::object_start) {
            keys_.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            keys_.pop_back();
        } else if (event == Json::parse_event_t::key &&
                   !keys_.back().insert(parsed.get_ref<const std::string &>()).second) {
            throw model_error("a key is given twice in one object");
        }
        return true;
    }

private:
    std::vector<std::set<std::string>> keys_;
};

Json parse(std::string_view text) {
    if (text.size() > LARGEST_MANIFEST_BYTES) {
        throw model_error("larger than the 1 MiB a manifest may have");
    }
    try {
        Strict strict;
        return Json::parse(text, [&strict](int depth, Json::parse_event_t event, Json &parsed) {
            return strict(depth, event, parsed);
        });
    } catch (const Json::exception &error) {
        // Its text quotes the input, which may hold anything.
        throw model_error("not JSON (nlohmann::json's error " + std::to_string(error.id) + ")");
    }
}

const Json &member(const Json &object, const char *key) {
    if (!object.is_object() || !object.contains(key)) {
        throw model_error("it has no '" + std::string(key) + "' where one belongs");
    }
    return object.at(key);
}

int64_t integer(const Json &object, const char *key, int64_t least, int64_t most) {
    const Json &value = member(object, key);
    const bool fits = value.is_number_unsigned() && value.get<uint64_t>() <= INT64_MAX;
    const int64_t number = fits ? value.get<int64_t>() : -1;
    if (number < least || number > most) {
        throw model_error("'" + std::string(key) + "' must be an integer from " + std::to_string(least) +
                          " to " + std::to_string(most));
    }
    return number;
}

bool made_of(std::string_view text, std::string_view marks, size_t most) {
    const auto plain = [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != text.npos;
    };
    return !text.empty() && text.size() <= most && marks.find(text[0]) == marks.npos &&
           std::all_of(text.begin(), text.end(), plain);
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// Whether a path is relative, plain and without "..", as written on any system.
bool stays_inside(std::string_view path) {
    const auto unsafe = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' || c == ':';
    };
    if (path.empty() || path.size() > 255 || std::any_of(path.begin(), path.end(), unsafe)) {
        return false;
    }
    for (size_t start = 0; start <= path.size();) {
        const size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (part.empty() || part == "." || part == "..") {
            return false;
        }
        start = end + 1;
    }
    return true;
}

std::string text(const Json &object, const char *key, bool valid(std::string_view), const char *expected) {
    const Json &value = member(object, key);
    if (!value.is_string() || !valid(value.get_ref<const std::string &>())) {
        throw model_error("'" + std::string(key) + "' must be " + expected);
    }
    return value.get<std::string>();
}

std::map<std::string, ModelFile> files(const Json &object) {
    if (!object.is_object() || object.empty() || object.size() > MOST_FILES) {
        throw model_error("'files' must be an object of 1 to " + std::to_string(MOST_FILES) + " files");
    }
    std::map<std::string, ModelFile> found;
    for (const auto &[kind, entry] : object.items()) {
        if (!made_of(kind, "-", 32)) {
            throw model_error("a kind of file is not like fp32 or int8-cpu");
        }
        found[kind] = {text(entry, "path", stays_inside, "a relative path inside the folder"),
                       text(entry, "sha256", is_sha256, "64 lower-case hexadecimal digits"),
                       static_cast<uint64_t>(integer(entry, "bytes", 1, LARGEST_FILE_BYTES))};
    }
    return found;
}

bool is_name(std::string_view text) {
    return made_of(text, "._-", 64);
}

}  // namespace

Manifest parse_manifest(std::string_view data) {
    const Json root = parse(data);
    const int64_t version = integer(root, "format_version", 1, INT32_MAX);
    if (version != FORMAT_VERSION) {
        throw model_error("format version " + std::to_string(version) + ", this library reads " +
                          std::to_string(FORMAT_VERSION) +
                          ": use the release the model came with, or a model of this one");
    }
    if (root.contains("task") && root.at("task") != "super-resolution") {
        throw model_error("its task is not 'super-resolution'");
    }
    const int64_t scale = integer(root, "scale", 2, 4);
    const Json &network = member(root, "network");
    if (!network.is_object() || (network.contains("scale") && network.at("scale") != Json(scale))) {
        throw model_error("'network' must be an object whose scale is that of the model");
    }
    return {text(root, "name", is_name, "a lower-case name such as 'idrn-d8-w64-x4'"),
            static_cast<uint32_t>(scale), files(member(root, "files"))};
}

}  // namespace idrn
