// SHA-256, FIPS 180-4 (https://doi.org/10.6028/NIST.FIPS.180-4). Why our own: docs/decisions/028.
#pragma once

#include <cstddef>
#include <string>

namespace idrn {

// 64 lower-case hexadecimal digits.
std::string sha256(const void *data, size_t size);

}  // namespace idrn
