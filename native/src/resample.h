// A part of a picture at another scale: idrn_trt/faces/resample.py, to the same byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace idrn {

struct Range {
    int64_t first;
    int64_t last;  // exclusive
};

// What the weights of one output add up to.
constexpr int32_t TAP_WEIGHT = 1 << 11;

// Weights of one axis: output i is the sum over k < span of weights[i * span + k] times the input at
// places[i * span + k]. All are whole numbers that a float holds exactly, and so are all their sums.
struct Taps {
    uint32_t span = 0;
    std::vector<int32_t> places;
    std::vector<float> weights;

    size_t count() const { return span == 0 ? 0 : places.size() / span; }
};

// Weights that make the output pixels `outputs` of an axis resized from size_in to size_out pixels. The input
// at hand is a part of that axis: its first pixel is at `offset`. Instead of pixels outside `inside` (counted
// from offset) the nearest one within is read. Shrinking takes the mean of what an output pixel covers;
// enlarging is cubic, pixel centres aligned.
void make_taps(Taps &taps, int64_t size_in, int64_t size_out, Range outputs, int64_t offset, Range inside);

// Alpha values along one axis, weighted as the pixels are and rounded, halves up.
void resample_line(const std::vector<uint16_t> &values, const Taps &taps, std::vector<int32_t> &out);

// Pixels are read and written so many values at a time, also where they have one less.
constexpr size_t LANES = 4;

// A row at another width, without the division by TAP_WEIGHT. Pixels have `step` (3 or 4) values; both rows
// need LANES values of room behind the last.
void widen(const float *line, size_t step, const Taps &columns, float *out);

// Makes rows of a resized picture, one at a time.
class RowMaker {
public:
    // picture: width pixels of `step` bytes (3 or 4) a row. out: columns.count() pixels of as many bytes.
    void make(const uint8_t *picture, size_t stride_bytes, size_t width, size_t step, const Taps &rows,
              size_t which, const Taps &columns, uint8_t *out);

private:
    std::vector<float> tall_;  // the rows weighted, with 4 bits behind the point
    std::vector<float> wide_;
};

}  // namespace idrn
