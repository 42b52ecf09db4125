// Pictures for tests: noise that is the same everywhere, and images that own their pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "idrn.h"

struct Picture {
    Picture(uint32_t width_px, uint32_t height_px, idrn_format format = IDRN_RGB, size_t padding = 0)
        : bytes((width_px * (format >= IDRN_RGBX ? 4 : 3) + padding) * height_px),
          image{bytes.data(), width_px, height_px, width_px * (format >= IDRN_RGBX ? 4 : 3) + padding,
                format} {}
    Picture(const Picture &) = delete;
    Picture &operator=(const Picture &) = delete;

    uint8_t at(uint32_t x, uint32_t y, size_t channel) const {
        const size_t step = image.format >= IDRN_RGBX ? 4 : 3;
        const size_t place = image.format == IDRN_RGB || image.format == IDRN_RGBX ? channel : 2 - channel;
        return image.pixels[y * image.stride_bytes + x * step + place];
    }

    std::vector<uint8_t> bytes;
    idrn_image image;
};

// A linear congruential generator's upper bits (Numerical Recipes' constants).
inline void fill_with_noise(std::vector<uint8_t> &bytes, uint32_t seed) {
    for (uint8_t &byte : bytes) {
        seed = seed * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(seed >> 24);
    }
}
