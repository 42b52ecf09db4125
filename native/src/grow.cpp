#include "grow.h"

#include <algorithm>

#include "pixels.h"

namespace idrn {
namespace {

// Rows are kept as 16 bits with 6 of them behind the point; weights of rows have 14. Of a product the upper
// 16 bits count, so 4 are left behind the point.
constexpr int ROW_BITS = 6;
constexpr int WEIGHT_BITS = 14;
constexpr int LEFT_BITS = ROW_BITS + WEIGHT_BITS - 16;
// A half, and half of what each of four products loses.
constexpr int ROUNDING = (1 << (LEFT_BITS - 1)) + 2;

void to_row(const float *sums, size_t size, int16_t *out) {
    constexpr float UNIT = float{1 << ROW_BITS} / TAP_WEIGHT;
    for (size_t x = 0; x < size; ++x) {
        out[x] = static_cast<int16_t>(static_cast<int32_t>(sums[x] * UNIT));
    }
}

void down(const std::array<const int16_t *, 4> &lines, const std::array<int16_t, 4> &weights, size_t size,
          uint8_t *out) {
    const auto [a, b, c, d] = lines;
    const auto [wa, wb, wc, wd] = weights;
    const auto upper = [](int16_t value, int16_t weight) {
        return static_cast<int16_t>((int32_t{value} * weight) >> 16);
    };
    for (size_t x = 0; x < size; ++x) {
        const auto sum = static_cast<int16_t>(upper(a[x], wa) + upper(b[x], wb) + upper(c[x], wc) +
                                              upper(d[x], wd) + ROUNDING);
        const auto level = static_cast<int16_t>(sum >> LEFT_BITS);
        out[x] = static_cast<uint8_t>(std::min<int16_t>(std::max<int16_t>(level, 0), 255));
    }
}

}  // namespace

const int16_t *Grower::wide(const idrn_image &frame, int32_t row, const Taps &columns) {
    const auto y = static_cast<size_t>(row);
    std::vector<int16_t> &kept = wide_[y % TAPS];
    if (wide_row_[y % TAPS] != row) {
        const size_t step = bytes_per_pixel(frame.format);
        const uint8_t *bytes = idrn::row(frame, y);
        std::copy(bytes, bytes + frame.width_px * step, line_.begin());
        widen(line_.data(), step, columns, sums_.data());
        to_row(sums_.data(), kept.size(), kept.data());
        wide_row_[y % TAPS] = row;
    }
    return kept.data();
}

// Across first: each of the frame's rows serves many of the output's.
void Grower::grow(const idrn_image &frame, const idrn_image &out, const Taps &rows, const Taps &columns) {
    const size_t step = bytes_per_pixel(frame.format);
    const size_t size = out.width_px * step;
    line_.resize(frame.width_px * step + LANES);
    sums_.resize(size + LANES);
    wide_row_.fill(-1);
    for (std::vector<int16_t> &kept : wide_) {
        kept.resize(size);
    }
    for (size_t y = 0; y < out.height_px; ++y) {
        std::array<const int16_t *, TAPS> lines{};
        std::array<int16_t, TAPS> weights{};
        for (size_t k = 0; k < TAPS; ++k) {
            lines[k] = wide(frame, rows.places[y * TAPS + k], columns);
            weights[k] = static_cast<int16_t>(rows.weights[y * TAPS + k] * ((1 << WEIGHT_BITS) / TAP_WEIGHT));
        }
        down(lines, weights, size, row(out, y));
    }
}

}  // namespace idrn
