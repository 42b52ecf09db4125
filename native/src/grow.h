// A whole frame made larger, fast: within one grey level of the exact cubic interpolation.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "idrn.h"
#include "resample.h"

namespace idrn {

// Keeps its memory from frame to frame.
class Grower {
public:
    // Weights of both axes: of four taps. Both images have the same format.
    void grow(const idrn_image &frame, const idrn_image &out, const Taps &rows, const Taps &columns);

private:
    static constexpr size_t TAPS = 4;

    // The frame's row, as wide as the output.
    const int16_t *wide(const idrn_image &frame, int32_t row, const Taps &columns);

    std::vector<float> line_;
    std::vector<float> sums_;
    std::array<std::vector<int16_t>, TAPS> wide_;  // row i at i % TAPS
    std::array<int32_t, TAPS> wide_row_{};         // which that is; -1: none
};

}  // namespace idrn
