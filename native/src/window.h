// Where around a face its pixels are cut, and cutting them: idrn_trt/faces/window.py, to the same pixel.
#pragma once

#include <cstdint>

#include "idrn.h"

namespace idrn {

// Of a window's edge so much is context only: the network does not know what lies beyond.
constexpr int64_t CONTEXT_PX = 4;

// side_px is 0 for a face that no window holds. Throws Error for a box that is not finite or has no size.
idrn_window window_for(const idrn_box &box, uint32_t frame_width_px, uint32_t frame_height_px);

// The window's pixels as packed RGB; those beyond the frame are the frame's own, mirrored at its edge.
void cut(const idrn_image &frame, const idrn_window &window, uint8_t *rgb);

}  // namespace idrn
