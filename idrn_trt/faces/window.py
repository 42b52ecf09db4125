"""Where around a face its pixels are cut. Nothing is resampled: a window is native pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError
from idrn_trt.types import Box, Window

UInt8 = npt.NDArray[np.uint8]

# (h, w), each inside the next. Upright, as faces are, and close enough that little but the face is computed;
# few, so that the windows of a frame fall into few batches and an engine compiles few shapes
# (docs/decisions/033-windows-that-fit-closer.md, 035-upright-windows.md).
WINDOW_SHAPES_PX = (
    (32, 32), (48, 40), (64, 48), (80, 64), (96, 72), (104, 80), (112, 88), (128, 96), (128, 128),
)  # fmt: skip

# The network pads with zeros: its outermost pixels are made without knowing their surroundings, so
# this much of a window's edge is context only and is never shown where the frame goes on beyond it.
CONTEXT_PX = 4

# The shown rectangle over the face's box, in either direction. The detectors' boxes end at the hairline, the
# chin and the ears. The feathered edge (paste.py) reaches into the box of the largest faces that a shape
# takes, by 1.6 pixels at most; even at the box's edge such a face has 0.64 of its strength or more.
MARGIN = 1.12


def window_for(box: Box, frame_h: int, frame_w: int, *, margin: float = MARGIN) -> Window | None:
    """The window of a face, or None for a face that not even the largest window holds.

    box: in pixels of the frame, which is frame_h by frame_w. Its shape is the first of WINDOW_SHAPES_PX
    with room for margin times the box and the context; a face that fits into the largest window without
    its whole margin still gets that. The window is centred on the box and then shifted into the frame; in
    a direction in which the frame is smaller, it is centred on it.
    Raises OptionError for a box without a finite position and a positive size.
    """
    _check(box)
    largest = WINDOW_SHAPES_PX[-1]
    if not _fits(box, largest, 1.0):
        return None
    shape = next((shape for shape in WINDOW_SHAPES_PX if _fits(box, shape, margin)), largest)
    return centred(box, shape, frame_h, frame_w)


def centred(box: Box, shape: tuple[int, int], frame_h: int, frame_w: int) -> Window:
    """The window of this shape (h, w) around a box, shifted into the frame as `window_for` does."""
    height, width = shape
    x = _start(box.x + box.w / 2, width, frame_w)
    y = _start(box.y + box.h / 2, height, frame_h)
    return Window(x, y, width, height)


def cut(frame: UInt8, window: Window, out: UInt8 | None = None) -> UInt8:
    """The window's pixels, uint8 (h, w, 3), as an array of their own.

    frame: uint8 RGB (H, W, 3). Pixels beyond the frame are the frame's own, mirrored at its edge, as
    often as it takes. With `out`, of that shape, they are written there and it is returned.
    """
    height, width = frame.shape[:2]
    x, y, w, h = window.x, window.y, window.w, window.h
    if 0 <= x <= width - w and 0 <= y <= height - h:
        pixels = frame[y : y + h, x : x + w]
    else:
        pixels = frame[_mirrored(y, h, height)[:, None], _mirrored(x, w, width)]
    if out is None:
        return np.array(pixels, order="C")
    np.copyto(out, pixels)
    return out


def group_by_shape(windows: Sequence[Window]) -> dict[tuple[int, int], list[int]]:
    """(h, w) -> places in `windows` of that shape, the smallest first: one engine batch each."""
    shapes = sorted(
        {window.shape for window in windows}, key=lambda shape: (math.prod(shape), shape)
    )
    return {shape: [i for i, w in enumerate(windows) if w.shape == shape] for shape in shapes}


def _fits(box: Box, shape: tuple[int, int], margin: float) -> bool:
    return all(
        length * margin + 2 * CONTEXT_PX <= side
        for length, side in zip((box.h, box.w), shape, strict=True)
    )


def _check(box: Box) -> None:
    if not all(map(math.isfinite, (box.x, box.y, box.w, box.h))) or box.w <= 0 or box.h <= 0:
        raise OptionError(f"a face's box must be finite and have a positive size, got {box!r}")


def _start(centre: float, length: int, frame: int) -> int:
    if frame <= length:
        return -((length - frame) // 2)
    return min(max(math.floor(centre - length / 2 + 0.5), 0), frame - length)


def _mirrored(start: int, length: int, size: int) -> npt.NDArray[np.intp]:
    """Frame indices of a window that reaches over the edge: ... 1 0 0 1 2 ... size-1 size-1 ..."""
    index = np.arange(start, start + length) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)
