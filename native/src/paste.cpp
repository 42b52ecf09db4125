#include "paste.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "pixels.h"
#include "window.h"

namespace idrn {
namespace {

// Alpha of a face shown at full strength.
constexpr uint32_t FULL = 256;

// First and last (exclusive) input pixel of the shown part. Along an edge of the frame nothing is left out.
Range shown(int64_t start, int64_t length, int64_t size_in) {
    return {start <= 0 ? 0 : start + CONTEXT_PX,
            start + length >= size_in ? size_in : start + length - CONTEXT_PX};
}

int64_t feather_px(int64_t length) {
    return length / 16;
}

// Alpha of the window's pixels at model scale: a ramp, taken at their centres, at either end.
void set_strength(std::vector<uint16_t> &alpha, int64_t start, int64_t length, int64_t scale,
                  int64_t size_in) {
    const auto [low, high] = shown(start, length, size_in);
    const int64_t ramp = feather_px(length) * scale;
    alpha.clear();
    for (int64_t i = 0; i < length * scale; ++i) {
        const int64_t doubled = 2 * i + 1 + 2 * start * scale;
        int64_t value = FULL;
        if (start > 0) {
            value = std::min(value, ((doubled - 2 * low * scale) * FULL + ramp) / (2 * ramp));
        }
        if (start + length < size_in) {
            value = std::min(value, ((2 * high * scale - doubled) * FULL + ramp) / (2 * ramp));
        }
        alpha.push_back(static_cast<uint16_t>(std::max<int64_t>(value, 0)));
    }
}

// Pixels at full strength: packed RGB into the format's order.
void put(const uint8_t *rgb, int64_t count, uint8_t *line, idrn_format format) {
    if (format == IDRN_RGB) {
        std::copy(rgb, rgb + count * 3, line);
        return;
    }
    const size_t step = bytes_per_pixel(format);
    const size_t red = red_at(format);
    for (int64_t i = 0; i < count; ++i, rgb += 3, line += step) {
        line[red] = rgb[0];
        line[1] = rgb[1];
        line[2 - red] = rgb[2];
    }
}

}  // namespace

void order_for_paste(const std::vector<idrn_window> &windows, std::vector<uint32_t> &places) {
    places.resize(windows.size());
    std::iota(places.begin(), places.end(), 0);
    std::sort(places.begin(), places.end(), [&windows](uint32_t a, uint32_t b) {
        const idrn_window &p = windows[a], &q = windows[b];
        return std::make_tuple(pixels_of(q), p.y_px, p.x_px, a) <
               std::make_tuple(pixels_of(p), q.y_px, q.x_px, b);
    });
}

void Paster::Axis::set(int64_t start, int64_t length, int64_t scale, int64_t size_in, int64_t size_out) {
    const auto [low, high] = shown(start, length, size_in);
    first = low * size_out / size_in;
    count = std::max<int64_t>(0, (high * size_out + size_in - 1) / size_in - first);
    const Range outputs = {first, first + count};
    const Range inside = {(std::max<int64_t>(start, 0) - start) * scale,
                          (std::min(start + length, size_in) - start) * scale};
    // At model scale every pixel comes out as the mean of itself.
    make_taps(taps, size_in * scale, size_out, outputs, start * scale, inside);
    part = make_part(size_in * scale, size_out, outputs, start * scale, inside);
    set_strength(strength, start, length, scale, size_in);
    resample_line(strength, taps, line);
    alpha.clear();
    full = {count, count};
    for (int64_t i = 0; i < count; ++i) {
        const int32_t value = std::clamp(line[static_cast<size_t>(i)], 0, int32_t{FULL});
        alpha.push_back(static_cast<uint16_t>(value));
        if (value == int32_t{FULL}) {
            full.first = std::min(full.first, i);
            full.last = i + 1;
        }
    }
}

void Paster::paste(const idrn_image &out, const idrn_window &window, const uint8_t *sr, uint32_t scale,
                   Size frame) {
    rows_.set(window.y_px, window.height_px, scale, frame.height, out.height_px);
    columns_.set(window.x_px, window.width_px, scale, frame.width, out.width_px);
    const size_t width = size_t{scale} * window.width_px;
    if (rows_.part && columns_.part) {
        const Pixels face = shrinker_.shrink({sr, width * 3}, *rows_.part, *columns_.part);
        for (int64_t i = 0; i < rows_.count; ++i) {
            blend(out, i, face.first + static_cast<size_t>(i) * face.stride_bytes);
        }
        return;
    }
    face_.resize(static_cast<size_t>(columns_.count) * 3);
    for (int64_t i = 0; i < rows_.count; ++i) {
        maker_.make(sr, width * 3, width, 3, rows_.taps, static_cast<size_t>(i), columns_.taps, face_.data());
        blend(out, i, face_.data());
    }
}

void Paster::blend(const idrn_image &out, int64_t which, const uint8_t *face) const {
    const size_t step = bytes_per_pixel(out.format);
    const size_t red = red_at(out.format);
    uint8_t *line =
        row(out, static_cast<size_t>(rows_.first + which)) + static_cast<size_t>(columns_.first) * step;
    const bool full_row = which >= rows_.full.first && which < rows_.full.last;
    const uint32_t down = full_row ? FULL : rows_.alpha[static_cast<size_t>(which)];
    const Range full = full_row ? columns_.full : Range{columns_.count, columns_.count};
    const auto mix = [&](int64_t first, int64_t last) {
        for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
            const uint32_t alpha = (down * columns_.alpha[i] + FULL / 2) / FULL;
            for (size_t c = 0; c < 3; ++c) {
                uint8_t &under = line[i * step + (c == 1 ? 1 : c == 0 ? red : 2 - red)];
                const uint32_t sum = under * (FULL - alpha) + face[i * 3 + c] * alpha;
                // To the nearest, halves to the even one.
                under = static_cast<uint8_t>((sum + FULL / 2 - 1 + sum / FULL % 2) / FULL);
            }
        }
    };
    mix(0, full.first);
    put(face + full.first * 3, full.last - full.first, line + static_cast<size_t>(full.first) * step,
        out.format);
    mix(full.last, columns_.count);
}

}  // namespace idrn
