#include "resize.h"

#include <algorithm>

#include "pixels.h"

namespace idrn {
namespace {

constexpr uint64_t MOST_WIDTH_PX = 1920;
constexpr uint64_t MOST_HEIGHT_PX = 1080;

// The side that goes with `most` on the other axis, to the nearest pixel.
uint32_t in_proportion(uint64_t side, uint64_t most, uint64_t other) {
    return static_cast<uint32_t>(std::max<uint64_t>(1, (2 * side * most + other) / (2 * other)));
}

}  // namespace

Size output_size(Size frame, uint32_t scale) {
    const uint64_t width = frame.width, height = frame.height;
    if (width > MOST_WIDTH_PX || height > MOST_HEIGHT_PX) {
        return frame;
    }
    if (width * scale <= MOST_WIDTH_PX && height * scale <= MOST_HEIGHT_PX) {
        return {frame.width * scale, frame.height * scale};
    }
    if (width * MOST_HEIGHT_PX >= height * MOST_WIDTH_PX) {
        return {MOST_WIDTH_PX, in_proportion(height, MOST_WIDTH_PX, width)};
    }
    return {in_proportion(width, MOST_HEIGHT_PX, height), MOST_HEIGHT_PX};
}

void Resizer::Axis::set(uint32_t in, uint32_t out) {
    if (in != size_in || out != size_out) {
        make_taps(taps, in, out, {0, out}, 0, {0, in});
        size_in = in;
        size_out = out;
    }
}

void Resizer::resize(const idrn_image &frame, const idrn_image &out) {
    const size_t step = bytes_per_pixel(frame.format);
    rows_.set(frame.height_px, out.height_px);
    columns_.set(frame.width_px, out.width_px);
    if (out.width_px > frame.width_px && out.height_px > frame.height_px) {
        grower_.grow(frame, out, rows_.taps, columns_.taps);
    } else {
        for (size_t y = 0; y < out.height_px; ++y) {
            maker_.make(frame.pixels, frame.stride_bytes, frame.width_px, step, rows_.taps, y, columns_.taps,
                        row(out, y));
        }
    }
    for (size_t y = 0; step == 4 && y < out.height_px; ++y) {
        for (uint8_t *last = row(out, y) + 3; last < row(out, y) + out.width_px * step; last += step) {
            *last = OPAQUE_BYTE;
        }
    }
}

}  // namespace idrn
