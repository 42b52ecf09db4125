"""Where around a face its pixels are cut. Nothing is resampled: a window is native pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError
from idrn_trt.types import Box, Window

UInt8 = npt.NDArray[np.uint8]

# Close enough that little but the face is computed, and few, so that the windows of a frame fall into few
# batches and an engine compiles few shapes (docs/decisions/033-windows-that-fit-closer.md).
WINDOW_SIDES_PX = (32, 48, 64, 80, 96, 112, 128)

# The network pads with zeros: its outermost pixels are made without knowing their surroundings, so
# this much of a window's edge is context only and is never shown where the frame goes on beyond it.
CONTEXT_PX = 4

# Side of the shown square over the longer side of the face box, which for the detectors ends at the
# hairline and the chin. The feathered edge (paste.py) reaches into the box of the largest faces that a
# side takes, by 1.6 pixels at most; even at the box's edge such a face has 0.64 of its strength or more.
MARGIN = 1.12


def window_for(box: Box, frame_h: int, frame_w: int, *, margin: float = MARGIN) -> Window | None:
    """The window of a face, or None for a face that not even the largest window holds.

    box: in pixels of the frame, which is frame_h by frame_w. The side is the smallest of
    WINDOW_SIDES_PX with room for margin times the box's longer side and the context; a face that fits
    into the largest window without its whole margin still gets that. The window is centred on the box
    and then shifted into the frame; in a direction in which the frame is smaller, it is centred on it.
    Raises OptionError for a box without a finite position and a positive size.
    """
    _check(box)
    longer = max(box.w, box.h)
    if longer + 2 * CONTEXT_PX > WINDOW_SIDES_PX[-1]:
        return None
    wanted = longer * margin + 2 * CONTEXT_PX
    side = next((side for side in WINDOW_SIDES_PX if side >= wanted), WINDOW_SIDES_PX[-1])
    return centred(box, side, frame_h, frame_w)


def centred(box: Box, side: int, frame_h: int, frame_w: int) -> Window:
    """The window of this side around a box, shifted into the frame as `window_for` does."""
    return Window(
        _start(box.x + box.w / 2, side, frame_w), _start(box.y + box.h / 2, side, frame_h), side
    )


def cut(frame: UInt8, window: Window, out: UInt8 | None = None) -> UInt8:
    """The window's pixels, uint8 (side, side, 3), as an array of their own.

    frame: uint8 RGB (H, W, 3). Pixels beyond the frame are the frame's own, mirrored at its edge, as
    often as it takes. With `out`, of that shape, they are written there and it is returned.
    """
    height, width = frame.shape[:2]
    x, y, side = window.x, window.y, window.side
    if 0 <= x <= width - side and 0 <= y <= height - side:
        pixels = frame[y : y + side, x : x + side]
    else:
        pixels = frame[_mirrored(y, side, height)[:, None], _mirrored(x, side, width)]
    if out is None:
        return np.array(pixels, order="C")
    np.copyto(out, pixels)
    return out


def group_by_side(windows: Sequence[Window]) -> dict[int, list[int]]:
    """Side -> places in `windows` of that side, smallest side first: one engine batch each."""
    sides = sorted({window.side for window in windows})
    return {side: [i for i, w in enumerate(windows) if w.side == side] for side in sides}


def _check(box: Box) -> None:
    if not all(map(math.isfinite, (box.x, box.y, box.w, box.h))) or box.w <= 0 or box.h <= 0:
        raise OptionError(f"a face's box must be finite and have a positive size, got {box!r}")


def _start(centre: float, side: int, frame: int) -> int:
    if frame <= side:
        return -((side - frame) // 2)
    return min(max(math.floor(centre - side / 2 + 0.5), 0), frame - side)


def _mirrored(start: int, side: int, size: int) -> npt.NDArray[np.intp]:
    """Frame indices of a window that reaches over the edge: ... 1 0 0 1 2 ... size-1 size-1 ..."""
    index = np.arange(start, start + side) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)
