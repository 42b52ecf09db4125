"""Faces made by the network, put back exactly where they were cut, with a soft edge.

Three rectangles around a face, all in input pixels: the window that the network saw; the shown part,
which leaves out CONTEXT_PX at each side of the window; and the part shown at full strength, which is
feather_px further in. In between the face fades into what is beneath. Along an edge of the frame there
is nothing to fade into, nor anything that the network could have been shown beyond: there the face is
shown at full strength up to the frame's last pixel. (A plainly enlarged strip between the face and the
frame's edge would be a visible seam.)

A smaller result is one of two taps (shrink.py) wherever output and network pixels have edges in common,
as they do at the usual sizes. At any other scale it is what one would get by pasting at model scale and
resizing the whole: every output pixel takes the mean, or the cubic interpolation, of the same network
pixels (resample.py). The feather's strength is always resized so.

Fading is whole numbers throughout, so that it is the same, byte for byte, in any language. Each axis has
a strength of 0 to OPAQUE = 256 for each output pixel (_strength, and resample_line at another scale). With
// rounding down and round() to the nearest whole number, halves to the even one, a pixel of strengths r and
c, and b beneath a face's f, becomes

    a = (r * c + 128) // 256
    round((b * (256 - a) + f * a) / 256)

which is cv2.blendLinear: its sums, in float32, are below 2^24 and so exact, and it divides by 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError
from idrn_trt.faces.resample import (
    Bands,
    Ints,
    Taps,
    axis_taps,
    column_bands,
    resample,
    resample_line,
    row_bands,
)
from idrn_trt.faces.shrink import Part, axis_part, shrink
from idrn_trt.faces.window import CONTEXT_PX
from idrn_trt.types import Window

UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Float32 = npt.NDArray[np.float32]

# Alpha of a face shown at full strength.
OPAQUE = 256


def feather_px(length: int) -> int:
    """Width of the soft edge at either end of a window's axis that is `length` long, in input pixels.

    With the margin of window.py it reaches at most 1.6 px into the box of the largest faces that a shape
    takes (docs/decisions/033).
    """
    return length // 16


def paste_order(windows: Sequence[Window]) -> list[int]:
    """Places in `windows` in the order to paste them: the largest first, then from top left.

    Where windows overlap both show the same input pixels and the later fades into the earlier, so no
    order makes a seam. This one lets a small face inside a large one's window show its own, centred
    picture; and it does not depend on the detector's order, which may change from frame to frame.
    """
    return sorted(
        range(len(windows)), key=lambda i: (-windows[i].pixels, windows[i].y, windows[i].x)
    )


def paste(out: UInt8, window: Window, sr: UInt8, scale: int, in_size: tuple[int, int]) -> None:
    """Put one face into the output frame, in place.

    out: uint8 (H, W, 3), C-contiguous, the whole input frame at any size. window: where the face was
    cut from the input, which is in_size = (width, height). sr: the network's answer to that window,
    uint8 (scale * h, scale * w, 3). Only pixels within the shown part change; what a window of a
    small frame holds beyond the frame is never shown. Raises OptionError for arrays that do not fit.
    """
    _check(out, window, sr, scale)
    spans = ((window.x, window.w, in_size[0]), (window.y, window.h, in_size[1]))
    if any(start >= size or start + length <= 0 for start, length, size in spans):
        return  # nothing of it is in the frame
    columns, left = _axis(window.x, window.w, scale, in_size[0], out.shape[1])
    rows, top = _axis(window.y, window.h, scale, in_size[1], out.shape[0])
    if columns.count == 0 or rows.count == 0:
        return
    target = out[top : top + rows.count, left : left + columns.count]
    _blend(target, _face(sr, rows, columns), _fade(rows, columns))


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """One axis of a pasted face, in output pixels.

    The shown part is `count` pixels from `first` on, of strength `alpha` (0..OPAQUE); those in
    [full[0], full[1]) are at full strength. taps, and part where there is one: how pixels are made of
    network pixels.
    """

    first: int
    count: int
    alpha: UInt16
    full: tuple[int, int]
    taps: Taps
    part: Part | None


def _axis(start: int, length: int, scale: int, size_in: int, size_out: int) -> tuple[_Axis, int]:
    """The axis of a window at `start`, and the output pixel where it is shown first.

    Input and output pixels lie to one another as they did some pixels before: a window inside the
    frame takes its geometry from the first place that is like its own, in the shortest frame.
    """
    periods = math.gcd(size_in, size_out)
    period_in, period_out = size_in // periods, size_out // periods
    before = max(0, (start - 1) // period_in)
    dropped = before + max(0, (size_in - start - length - 1) // period_in)
    near = _near_axis(
        start - before * period_in, length, scale,
        size_in - dropped * period_in, size_out - dropped * period_out,
    )  # fmt: skip
    return near, near.first + before * period_out


# Made anew, an axis costs more than pasting a face.
@lru_cache(maxsize=64)
def _near_axis(start: int, length: int, scale: int, size_in: int, size_out: int) -> _Axis:
    low, high = _shown(start, length, size_in)
    first = low * size_out // size_in
    count = max(0, -(-high * size_out // size_in) - first)
    inside = ((max(start, 0) - start) * scale, (min(start + length, size_in) - start) * scale)
    place = (size_in * scale, size_out, (first, first + count), start * scale, inside)
    taps = axis_taps(*place)
    alpha = np.clip(resample_line(_strength(start, length, scale, size_in), taps), 0, OPAQUE)
    opaque = np.flatnonzero(alpha == OPAQUE)
    full = (int(opaque[0]), int(opaque[-1]) + 1) if len(opaque) else (count, count)
    return _Axis(first, count, alpha.astype(np.uint16), full, taps, axis_part(*place))


def _shown(start: int, length: int, size_in: int) -> tuple[int, int]:
    """First and last (exclusive) input pixel of the shown part."""
    low = 0 if start <= 0 else start + CONTEXT_PX
    high = size_in if start + length >= size_in else start + length - CONTEXT_PX
    return low, high


def _strength(start: int, length: int, scale: int, size_in: int) -> Ints:
    """Alpha of the window's pixels at model scale: a ramp, taken at their centres, at either end."""
    low, high = _shown(start, length, size_in)
    doubled = 2 * np.arange(length * scale, dtype=np.int64) + 1 + 2 * start * scale
    ramp = feather_px(length) * scale
    alpha = np.full(length * scale, OPAQUE, np.int64)
    if start > 0:
        alpha = np.minimum(alpha, ((doubled - 2 * low * scale) * OPAQUE + ramp) // (2 * ramp))
    if start + length < size_in:
        alpha = np.minimum(alpha, ((2 * high * scale - doubled) * OPAQUE + ramp) // (2 * ramp))
    return np.maximum(alpha, 0)


def _face(sr: UInt8, rows: _Axis, columns: _Axis) -> UInt8:
    """The shown part at output scale, uint8 (rows.count, columns.count, 3)."""
    if rows.part is not None and columns.part is not None:
        return shrink(sr, rows.part, columns.part)
    return resample(sr, *_bands(rows, columns)).reshape(rows.count, columns.count, 3)


# Kept few: those of a large face are up to 600 KB.
@lru_cache(maxsize=32)
def _bands(rows: _Axis, columns: _Axis) -> tuple[Bands, Bands]:
    return row_bands(rows.taps), column_bands(columns.taps)


@dataclass(frozen=True, slots=True)
class _Fade:
    """The rectangle at full strength in a shown part, and the strips around it, where there are any.

    Of each strip: where it is, and the strength, 0..OPAQUE, of what is beneath and of the face.
    """

    full: tuple[slice, slice]
    strips: list[tuple[tuple[slice, slice], Float32, Float32]]


# Kept few: that of a large face is 500 KB.
@lru_cache(maxsize=16)
def _fade(rows: _Axis, columns: _Axis) -> _Fade:
    (top, bottom), (left, right) = rows.full, columns.full
    every, middle = slice(0, columns.count), slice(top, bottom)
    places = [
        (slice(0, top), every), (slice(bottom, rows.count), every),
        (middle, slice(0, left)), (middle, slice(right, columns.count)),
    ]  # fmt: skip
    product = rows.alpha[:, None].astype(np.uint32) * columns.alpha
    alpha = ((product + OPAQUE // 2) // OPAQUE).astype(np.float32)
    # Copies: their values lie side by side.
    strips = [
        (place, OPAQUE - alpha[place], alpha[place].copy()) for place in places if alpha[place].size
    ]
    return _Fade((middle, slice(left, right)), strips)


def _blend(target: UInt8, face: UInt8, fade: _Fade) -> None:
    """Copy what is at full strength; mix the strips."""
    target[fade.full] = face[fade.full]
    for place, beneath, above in fade.strips:
        target[place] = cv2.blendLinear(target[place], face[place], beneath, above)


def _check(out: UInt8, window: Window, sr: UInt8, scale: int) -> None:
    expected = (window.h * scale, window.w * scale, 3)
    if sr.shape != expected or sr.dtype != np.uint8:
        raise OptionError(
            f"the picture of {window!r} at scale {scale} must be uint8 {expected}, "
            f"got {sr.dtype} {sr.shape}"
        )
    if out.dtype != np.uint8 or out.ndim != 3 or out.shape[2] != 3 or not out.flags.c_contiguous:
        raise OptionError(
            f"the output frame must be C-contiguous uint8 (H, W, 3), got {out.dtype} {out.shape} "
            f"with strides {out.strides}"
        )
