// Faces made by the network, put back where they were cut, with a soft edge: idrn_trt/faces/paste.py, to the
// same byte.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "idrn.h"
#include "resample.h"
#include "resize.h"
#include "shrink.h"

namespace idrn {

// Puts the places of `windows` in the order to paste them: most pixels first, then from top left.
void order_for_paste(const std::vector<idrn_window> &windows, std::vector<uint32_t> &places);

// Keeps its memory from face to face.
class Paster {
public:
    // sr: the network's answer to `window`, packed RGB, scale times its size. frame: the size of the whole
    // input, of which `out` shows all, at any size.
    void paste(const idrn_image &out, const idrn_window &window, const uint8_t *sr, uint32_t scale,
               Size frame);

private:
    // One axis of a pasted face, in output pixels: `count` from `first` on are shown, of strength `alpha`;
    // those in `full` are at full strength. taps, and part where there is one: how pixels are made of network
    // pixels.
    struct Axis {
        int64_t first = 0;
        int64_t count = 0;
        std::vector<uint16_t> alpha;
        Range full{};
        Taps taps;
        std::optional<Part> part;
        std::vector<uint16_t> strength;  // at model scale, of the whole window
        std::vector<int32_t> line;

        void set(int64_t start, int64_t length, int64_t scale, int64_t size_in, int64_t size_out);
    };

    // face: the pixels of the shown part's row `which`, packed RGB.
    void blend(const idrn_image &out, int64_t which, const uint8_t *face) const;

    Axis rows_;
    Axis columns_;
    Shrinker shrinker_;
    RowMaker maker_;  // where an axis has no part
    std::vector<uint8_t> face_;  // one row at output scale, packed RGB
};

}  // namespace idrn
