#include "window.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <tuple>

#include "pixels.h"
#include "resize.h"

namespace idrn {
namespace {

// Width and height, each inside the next.
constexpr Size SHAPES_PX[] = {{32, 32},  {40, 48},  {48, 64},  {64, 80},  {72, 96},
                              {80, 104}, {88, 112}, {96, 128}, {128, 128}};
constexpr double MARGIN = 1.12;

bool fits(const idrn_box &box, Size shape, double margin) {
    return box.h_px * margin + 2 * CONTEXT_PX <= shape.height &&
           box.w_px * margin + 2 * CONTEXT_PX <= shape.width;
}

int32_t start(double centre, uint32_t length, uint32_t frame) {
    if (frame <= length) {
        return -static_cast<int32_t>((length - frame) / 2);
    }
    const double last = frame - length;
    return static_cast<int32_t>(std::clamp(std::floor(centre - length / 2.0 + 0.5), 0.0, last));
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
    const Size *largest = std::end(SHAPES_PX) - 1;
    if (!fits(box, *largest, 1)) {
        return {0, 0, 0, 0};
    }
    // The largest also holds faces that it has no room for the margin of.
    const Size shape =
        *std::find_if(std::begin(SHAPES_PX), largest, [&box](Size each) { return fits(box, each, MARGIN); });
    return {start(box.x_px + box.w_px / 2, shape.width, frame_width_px),
            start(box.y_px + box.h_px / 2, shape.height, frame_height_px), shape.width, shape.height};
}

void cut(const idrn_image &frame, const idrn_window &window, uint8_t *rgb) {
    const size_t step = bytes_per_pixel(frame.format);
    const size_t red = red_at(frame.format);
    for (uint32_t y = 0; y < window.height_px; ++y) {
        const uint8_t *line = row(frame, mirrored(int64_t{window.y_px} + y, frame.height_px));
        for (uint32_t x = 0; x < window.width_px; ++x, rgb += 3) {
            const uint8_t *pixel = line + step * mirrored(int64_t{window.x_px} + x, frame.width_px);
            rgb[0] = pixel[red];
            rgb[1] = pixel[1];
            rgb[2] = pixel[2 - red];
        }
    }
}

void order_by_shape(const std::vector<idrn_window> &windows, std::vector<uint32_t> &places) {
    places.resize(windows.size());
    std::iota(places.begin(), places.end(), 0);
    std::sort(places.begin(), places.end(), [&windows](uint32_t a, uint32_t b) {
        const idrn_window &p = windows[a], &q = windows[b];
        return std::make_tuple(pixels_of(p), p.height_px, a) < std::make_tuple(pixels_of(q), q.height_px, b);
    });
}

}  // namespace idrn
