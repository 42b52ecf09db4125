#include "resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

namespace idrn {
namespace {

// Weights are multiples of 2^-11. Between the two passes a value keeps 4 bits behind the point.
constexpr int WEIGHT_BITS = 11;
constexpr int BETWEEN_BITS = 4;
constexpr int64_t WEIGHT = TAP_WEIGHT;
constexpr double CUBIC_A = -0.75;

int64_t floor_divided(int64_t value, int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

int64_t nearest(double value) {
    return static_cast<int64_t>(std::floor(value + 0.5));
}

// A whole number divided by 2^bits and rounded to the nearest, halves to the even one.
int32_t shifted(float sum, int bits) {
    const auto value = static_cast<int32_t>(sum);
    const int32_t odd = value >> bits & 1;
    return (value + (1 << (bits - 1)) - 1 + odd) >> bits;
}

// The running sum of the weights is what is rounded, so that they always add up to WEIGHT.
void add_area(Taps &taps, int64_t size_in, int64_t size_out, int64_t output) {
    const int64_t left = output * size_in;
    int64_t before = 0;
    for (uint32_t k = 0; k < taps.span; ++k) {
        const int64_t place = left / size_out + k;
        const int64_t covered = std::clamp<int64_t>((place + 1) * size_out - left, 0, size_in);
        const int64_t running = (2 * WEIGHT * covered + size_in) / (2 * size_in);
        taps.places.push_back(static_cast<int32_t>(place));
        taps.weights.push_back(static_cast<float>(running - before));
        before = running;
    }
}

// The four taps around an output's centre; the second takes what rounding leaves over.
void add_cubic(Taps &taps, int64_t size_in, int64_t size_out, int64_t output) {
    const int64_t doubled = (2 * output + 1) * size_in - size_out;  // the centre, in units of 1/(2 size_out)
    const int64_t first = floor_divided(doubled, 2 * size_out);
    const double t = static_cast<double>(doubled - first * 2 * size_out) / static_cast<double>(2 * size_out);
    constexpr double a = CUBIC_A;
    const double before = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    const double after = ((a + 2) * (1 - t) - (a + 3)) * ((1 - t) * (1 - t)) + 1;
    const double beyond = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a;
    const std::array<int64_t, 3> others = {nearest(WEIGHT * before), nearest(WEIGHT * after),
                                           nearest(WEIGHT * beyond)};
    const std::array<int64_t, 4> weights = {others[0], WEIGHT - others[0] - others[1] - others[2], others[1],
                                            others[2]};
    for (int64_t k = 0; k < 4; ++k) {
        taps.places.push_back(static_cast<int32_t>(first + k - 1));
        taps.weights.push_back(static_cast<float>(weights[static_cast<size_t>(k)]));
    }
}

// span: that of columns, where it can be as a constant: the loop over taps is then unrolled.
template <size_t STEP, typename Span>
void widen_by(const float *line, const Taps &columns, Span span, float *out) {
    const size_t count = columns.count();
    const int32_t *place = columns.places.data();
    const float *weight = columns.weights.data();
    for (size_t i = 0; i < count; ++i, out += STEP) {
        std::array<float, LANES> sum{};
        for (uint32_t k = 0; k < span; ++k, ++place, ++weight) {
            const float *pixel = line + static_cast<size_t>(*place) * STEP;
            for (size_t c = 0; c < LANES; ++c) {
                sum[c] += *weight * pixel[c];
            }
        }
        std::copy(sum.begin(), sum.end(), out);
    }
}

template <size_t STEP>
void widen_of(const float *line, const Taps &columns, float *out) {
    using Cubic = std::integral_constant<uint32_t, 4>;
    if (columns.span == Cubic()) {
        widen_by<STEP>(line, columns, Cubic(), out);
    } else {
        widen_by<STEP>(line, columns, columns.span, out);
    }
}

}  // namespace

void make_taps(Taps &taps, int64_t size_in, int64_t size_out, Range outputs, int64_t offset, Range inside) {
    const bool shrinks = size_in >= size_out;
    taps.span = shrinks ? static_cast<uint32_t>((size_in + size_out - 1) / size_out + 1) : 4;
    taps.places.clear();
    taps.weights.clear();
    for (int64_t output = outputs.first; output < outputs.last; ++output) {
        (shrinks ? add_area : add_cubic)(taps, size_in, size_out, output);
    }
    for (int32_t &place : taps.places) {
        place = static_cast<int32_t>(std::clamp(place - offset, inside.first, inside.last - 1));
    }
}

void resample_line(const std::vector<uint16_t> &values, const Taps &taps, std::vector<int32_t> &out) {
    out.clear();
    for (size_t i = 0; i < taps.count(); ++i) {
        int64_t sum = 0;
        for (size_t k = i * taps.span; k < (i + 1) * taps.span; ++k) {
            sum += static_cast<int64_t>(taps.weights[k]) * values[static_cast<size_t>(taps.places[k])];
        }
        out.push_back(static_cast<int32_t>(floor_divided(2 * sum + WEIGHT, 2 * WEIGHT)));
    }
}

void widen(const float *line, size_t step, const Taps &columns, float *out) {
    step == 3 ? widen_of<3>(line, columns, out) : widen_of<4>(line, columns, out);
}

void RowMaker::make(const uint8_t *picture, size_t stride_bytes, size_t width, size_t step, const Taps &rows,
                    size_t which, const Taps &columns, uint8_t *out) {
    const size_t size = width * step, wide = columns.count() * step;
    tall_.assign(size + LANES, 0.0F);
    for (size_t k = which * rows.span; k < (which + 1) * rows.span; ++k) {
        const uint8_t *line = picture + static_cast<size_t>(rows.places[k]) * stride_bytes;
        const float weight = rows.weights[k];
        float *tall = tall_.data();
        if (weight != 0) {
            for (size_t x = 0; x < size; ++x) {
                tall[x] += weight * line[x];
            }
        }
    }
    for (float &value : tall_) {
        value = static_cast<float>(shifted(value, WEIGHT_BITS - BETWEEN_BITS));
    }
    wide_.resize(wide + LANES);
    widen(tall_.data(), step, columns, wide_.data());
    const float *sums = wide_.data();
    for (size_t i = 0; i < wide; ++i) {
        out[i] = static_cast<uint8_t>(std::clamp(shifted(sums[i], BETWEEN_BITS + WEIGHT_BITS), 0, 255));
    }
}

}  // namespace idrn
