// TensorRT's plans in the user's cache folder, from process to process.
#pragma once

#include <string>

namespace idrn {

// key: all that a plan depends on. "" where none is kept, and where the folder is not the user's alone: a
// plan is code, so what anybody else could have written is not loaded.
std::string read_plan(const std::string &key);

// Kept whole or not at all; where it cannot be kept, it is built again next time.
void keep_plan(const std::string &key, const std::string &plan);

}  // namespace idrn
