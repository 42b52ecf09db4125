// What the library's own code throws; src/api.cpp turns it into a status and a text.
#pragma once

#include <stdexcept>
#include <string>

#include "idrn.h"

namespace idrn {

class Error : public std::runtime_error {
public:
    Error(idrn_status kind, const std::string &text) : std::runtime_error(text), status(kind) {}

    const idrn_status status;
};

inline Error argument_error(const std::string &text) {
    return {IDRN_ERROR_ARGUMENT, text};
}

inline Error model_error(const std::string &text) {
    return {IDRN_ERROR_MODEL, text};
}

inline Error device_error(const std::string &text) {
    return {IDRN_ERROR_DEVICE, text};
}

}  // namespace idrn
