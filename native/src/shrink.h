// A part of a picture made smaller: idrn_trt/faces/shrink.py, to the same byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "resample.h"

namespace idrn {

// One axis: input pixels `read` are halved `halvings` times and have `factor` outputs each then; of those the
// outputs `wanted` are made.
struct Part {
    Range read;
    int halvings;
    double factor;
    Range wanted;
};

// What makes the output pixels `outputs` of an axis. The arguments are those of make_taps, which makes what
// cannot be made here: nothing where the axis grows, where outputs reach beyond `inside`, and where none
// before the first has its edge close to an input pixel's edge. Reading starts at the nearest such edges.
std::optional<Part> make_part(int64_t size_in, int64_t size_out, Range outputs, int64_t offset, Range inside);

// Packed RGB that somebody else owns.
struct Pixels {
    const uint8_t *first;
    size_t stride_bytes;

    void skip(int64_t rows, int64_t columns) {
        first += static_cast<size_t>(rows) * stride_bytes + static_cast<size_t>(columns) * 3;
    }
};

// Keeps its memory from picture to picture.
class Shrinker {
public:
    // What is wanted of both axes; valid until the next call, and as long as the picture is.
    Pixels shrink(Pixels picture, const Part &rows, const Part &columns);

private:
    // Output i is 256 - weights[i] parts of input first[i] and weights[i] parts of second[i].
    struct Pairs {
        std::vector<size_t> first;
        std::vector<size_t> second;
        std::vector<uint32_t> weights;

        // Outputs `outputs` of an axis of size_in pixels, of `factor` outputs each.
        void set(int64_t size_in, double factor, Range outputs);
    };

    Pixels step(Pixels picture, int64_t height, std::vector<uint8_t> &out);

    Pairs rows_;
    Pairs columns_;
    std::vector<uint16_t> wide_;    // all rows at the width of the output, 8 bits behind the point
    std::vector<uint8_t> made_[2];  // by the last step and by the one before
};

}  // namespace idrn
