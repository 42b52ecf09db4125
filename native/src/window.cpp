#include "window.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "pixels.h"

namespace idrn {
namespace {

constexpr std::array<uint32_t, 7> SIDES_PX = {32, 48, 64, 80, 96, 112, 128};
constexpr double MARGIN = 1.12;

int32_t start(double centre, uint32_t side, uint32_t frame) {
    if (frame <= side) {
        return -static_cast<int32_t>((side - frame) / 2);
    }
    const double last = frame - side;
    return static_cast<int32_t>(std::clamp(std::floor(centre - side / 2.0 + 0.5), 0.0, last));
}

// Place in the frame of a pixel that may lie beyond it: ... 1 0 0 1 2 ... size-1 size-1 ...
size_t mirrored(int64_t at, int64_t size) {
    const int64_t turn = ((at % (2 * size)) + 2 * size) % (2 * size);
    return static_cast<size_t>(std::min(turn, 2 * size - 1 - turn));
}

}  // namespace

idrn_window window_for(const idrn_box &box, uint32_t frame_width_px, uint32_t frame_height_px) {
    const bool finite = std::isfinite(box.x_px) && std::isfinite(box.y_px) && std::isfinite(box.w_px) &&
                        std::isfinite(box.h_px);
    if (!finite || box.w_px <= 0 || box.h_px <= 0) {
        throw argument_error("a face's box must be finite and have a positive size, got " +
                             std::to_string(box.w_px) + "x" + std::to_string(box.h_px) + " at (" +
                             std::to_string(box.x_px) + ", " + std::to_string(box.y_px) + ")");
    }
    const double longer = std::max(box.w_px, box.h_px);
    if (longer + 2 * CONTEXT_PX > SIDES_PX.back()) {
        return {0, 0, 0};
    }
    const double wanted = longer * MARGIN + 2 * CONTEXT_PX;
    const auto fits =
        std::find_if(SIDES_PX.begin(), SIDES_PX.end(), [wanted](uint32_t side) { return side >= wanted; });
    const uint32_t side = fits == SIDES_PX.end() ? SIDES_PX.back() : *fits;
    return {start(box.x_px + box.w_px / 2, side, frame_width_px),
            start(box.y_px + box.h_px / 2, side, frame_height_px), side};
}

void cut(const idrn_image &frame, const idrn_window &window, uint8_t *rgb) {
    const size_t step = bytes_per_pixel(frame.format);
    const size_t red = red_at(frame.format);
    for (uint32_t y = 0; y < window.side_px; ++y) {
        const uint8_t *line = row(frame, mirrored(int64_t{window.y_px} + y, frame.height_px));
        for (uint32_t x = 0; x < window.side_px; ++x, rgb += 3) {
            const uint8_t *pixel = line + step * mirrored(int64_t{window.x_px} + x, frame.width_px);
            rgb[0] = pixel[red];
            rgb[1] = pixel[1];
            rgb[2] = pixel[2 - red];
        }
    }
}

}  // namespace idrn
