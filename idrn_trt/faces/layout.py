"""How large the output is, and the frame enlarged or shrunk to it without the network."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError

UInt8 = npt.NDArray[np.uint8]

# What `auto` keeps within: the largest picture that every player, encoder and camera sink takes.
AUTO_SIZE_PX = (1920, 1080)
FRAME_SCALES = (1, 2, 4)


def output_size(
    in_w: int,
    in_h: int,
    *,
    out_size: tuple[int, int] | None = None,
    frame_scale: int | None = None,
    model_scale: int,
) -> tuple[int, int]:
    """Width and height of the output, in pixels.

    out_size is taken as it is. frame_scale: that many times the input. With neither, the input times
    the largest factor up to model_scale that keeps it within 1920x1080, aspect kept; an input larger
    than that keeps its size. Raises OptionError for both, for a size below 1 and for another scale.
    """
    check_output(out_size, frame_scale)
    if out_size is not None:
        width, height = out_size
        return int(width), int(height)
    if frame_scale is None:
        return _auto(in_w, in_h, model_scale)
    factor = int(frame_scale)  # numpy's small integers would wrap around
    return in_w * factor, in_h * factor


def check_output(out_size: tuple[int, int] | None, frame_scale: int | None) -> None:
    """Raises OptionError unless `output_size` takes them."""
    if out_size is not None and frame_scale is not None:
        raise OptionError(
            f"the output has one size: give out_size or frame_scale, not both "
            f"(got {out_size!r} and {frame_scale!r})"
        )
    if out_size is not None and not _is_size(out_size):
        raise OptionError(
            f"out_size must be (width, height), whole numbers of at least 1 pixel, got {out_size!r}"
        )
    if frame_scale is not None and not (_is_whole(frame_scale) and frame_scale in FRAME_SCALES):
        raise OptionError(f"frame_scale must be one of 1, 2, 4, got {frame_scale!r}")


def background(frame: UInt8, out_w: int, out_h: int) -> UInt8:
    """The frame at another size, without the network: uint8 RGB (out_h, out_w, 3), the caller's own.

    Bicubic where it grows, the mean of the covered area where it shrinks, each axis by itself.
    """
    height, width = frame.shape[:2]
    small = (min(width, out_w), min(height, out_h))
    picture = frame
    if small != (width, height):
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
    if small != (out_w, out_h):
        size = (out_w, out_h)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return frame.copy() if picture is frame else picture


def _is_size(value: object) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    return all(_is_whole(side) and side >= 1 for side in value)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _auto(in_w: int, in_h: int, model_scale: int) -> tuple[int, int]:
    """In whole numbers, so that no rounding error ever decides a pixel."""
    most_w, most_h = AUTO_SIZE_PX
    if in_w > most_w or in_h > most_h:
        return in_w, in_h
    if in_w * model_scale <= most_w and in_h * model_scale <= most_h:
        return in_w * model_scale, in_h * model_scale
    if in_w * most_h >= in_h * most_w:
        return most_w, max(1, (2 * in_h * most_w + in_w) // (2 * in_w))
    return max(1, (2 * in_w * most_h + in_h) // (2 * in_h)), most_h
