// How large the output is, and the frame at that size without the network: idrn_trt/faces/layout.py.
#pragma once

#include <cstdint>

#include "grow.h"
#include "idrn.h"
#include "resample.h"

namespace idrn {

struct Size {
    uint32_t width;
    uint32_t height;
};

// `scale` times the frame where that stays within 1920x1080, else the largest of its shape within it.
Size output_size(Size frame, uint32_t scale);

// Resizes frames; remembers the weights for frames like the last one.
class Resizer {
public:
    // Both images have the same format.
    void resize(const idrn_image &frame, const idrn_image &out);

private:
    struct Axis {
        uint32_t size_in = 0;
        uint32_t size_out = 0;
        Taps taps;

        void set(uint32_t in, uint32_t out);
    };

    Axis rows_;
    Axis columns_;
    Grower grower_;
    RowMaker maker_;  // where an axis does not grow
};

}  // namespace idrn
