// Where around a face its pixels are cut, and cutting them: idrn_trt/faces/window.py, to the same pixel.
#pragma once

#include <cstdint>
#include <vector>

#include "idrn.h"

namespace idrn {

// Of a window's edge so much is context only: the network does not know what lies beyond.
constexpr int64_t CONTEXT_PX = 4;

// Of no size for a face that no window holds. Throws Error for a box that is not finite or has no size.
idrn_window window_for(const idrn_box &box, uint32_t frame_width_px, uint32_t frame_height_px);

// The window's pixels as packed RGB; those beyond the frame are the frame's own, mirrored at its edge.
void cut(const idrn_image &frame, const idrn_window &window, uint8_t *rgb);

// How many pixels it has, which the time of computing it goes with.
inline uint64_t pixels_of(const idrn_window &window) {
    return uint64_t{window.height_px} * window.width_px;
}

inline bool same_shape(const idrn_window &a, const idrn_window &b) {
    return a.width_px == b.width_px && a.height_px == b.height_px;
}

// Puts the places of `windows` in an order in which those of one shape follow each other, as they do in
// `windows`: the shape of the fewest pixels first, then the lower one.
void order_by_shape(const std::vector<idrn_window> &windows, std::vector<uint32_t> &places);

}  // namespace idrn
