// Rows of 8-bit pixels in the caller's order, and what of an image the library reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "error.h"

namespace idrn {

constexpr uint8_t OPAQUE_BYTE = 255;

inline size_t bytes_per_pixel(idrn_format format) {
    return format == IDRN_RGBX || format == IDRN_BGRX ? 4 : 3;
}

// Where red lies in a pixel; blue lies at 2 minus this, green at 1.
inline size_t red_at(idrn_format format) {
    return format == IDRN_BGR || format == IDRN_BGRX ? 2 : 0;
}

inline uint8_t *row(const idrn_image &image, size_t y) {
    return image.pixels + y * image.stride_bytes;
}

// What an image is called in an error's text: "frame", or "windows[3]". Put together only when it is needed,
// for a call that succeeds allocates nothing.
struct Name {
    static constexpr uint32_t ALONE = UINT32_MAX;

    const char *what;
    uint32_t place = ALONE;

    std::string text() const { return what + (place == ALONE ? "" : "[" + std::to_string(place) + "]"); }
};

inline std::string size_text(uint32_t width, uint32_t height) {
    return std::to_string(width) + "x" + std::to_string(height);
}

// Throws Error (IDRN_ERROR_ARGUMENT) unless the image can be read and written.
inline void check_image(const idrn_image &image, const Name &name) {
    const auto refuse = [&name](const std::string &why) { throw argument_error(name.text() + " " + why); };
    if (image.pixels == nullptr) {
        refuse("has no pixels: its pointer is null");
    }
    if (image.format > IDRN_BGRX) {
        refuse("has format " + std::to_string(image.format) +
               ", expected IDRN_RGB, IDRN_BGR, IDRN_RGBX or IDRN_BGRX");
    }
    if (image.width_px < 1 || image.height_px < 1 || image.width_px > IDRN_MAX_FRAME_PX ||
        image.height_px > IDRN_MAX_FRAME_PX) {
        refuse("is " + size_text(image.width_px, image.height_px) + ", expected 1 to " +
               std::to_string(IDRN_MAX_FRAME_PX) + " pixels a side");
    }
    const size_t least = image.width_px * bytes_per_pixel(image.format);
    if (image.stride_bytes < least || image.stride_bytes > SIZE_MAX / image.height_px) {
        refuse("has a stride of " + std::to_string(image.stride_bytes) + " bytes, its rows have " +
               std::to_string(least));
    }
}

}  // namespace idrn
