"""The picture that a detector works on, and its boxes back in the frame."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError
from idrn_trt.faces.nms import distinct
from idrn_trt.types import Box, Face

UInt8 = npt.NDArray[np.uint8]

# Below this there is no face to tell from noise, and enlarging for it would make frames huge.
LEAST_MIN_FACE_PX = 8


def working_scale(smallest_px: int, min_face_px: int, *, upscale: bool) -> float:
    """By what a frame is scaled so that a face of min_face_px is smallest_px large; above 1 if `upscale`."""
    scale = smallest_px / min_face_px
    return scale if upscale else min(scale, 1.0)


def checked(frame: UInt8) -> UInt8:
    """The frame. Raises OptionError for one that is not uint8 RGB (H, W, 3) or grey (H, W)."""
    grey_or_rgb = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
    if frame.dtype != np.uint8 or not grey_or_rgb:
        raise OptionError(
            f"a detector takes uint8 frames, RGB (H, W, 3) or grey (H, W), got {frame.dtype} "
            f"{frame.shape}"
        )
    return frame


def working_size(frame: UInt8, scale: float) -> tuple[int, int]:
    """Height and width at that scale, rounded up, so that no face falls below what a detector sees."""
    height, width = frame.shape[:2]
    return math.ceil(height * scale), math.ceil(width * scale)


def resized(picture: UInt8, scale: float) -> UInt8:
    """The picture at its working size; itself at a scale of 1.

    Down to half its size two pixels a side are mixed, which is about what the mean of the covered area
    is there, in a quarter of the time.
    """
    if scale == 1:
        return picture
    height, width = working_size(picture, scale)
    shrinking = cv2.INTER_LINEAR if scale >= 0.5 else cv2.INTER_AREA
    method = cv2.INTER_CUBIC if scale > 1 else shrinking
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def faces_of(found: npt.NDArray[np.generic], frame: UInt8, working: tuple[int, int]) -> list[Face]:
    """Distinct faces in the frame's pixels, from left to right.

    found: rows of x, y, w, h, score in pixels of a picture of `working` height and width.
    """
    rows = np.asarray(found, np.float64)
    rows = rows[(rows[:, 2:4] > 0).all(axis=1)]
    rows = rows[distinct(rows[:, :4], rows[:, 4])]
    y_ratio, x_ratio = (whole / part for whole, part in zip(frame.shape, working, strict=False))
    rows[:, :4] *= (x_ratio, y_ratio, x_ratio, y_ratio)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    return [Face(Box(x, y, w, h), score) for x, y, w, h, score in rows.tolist()]


def padded(picture: UInt8, multiple_px: int) -> UInt8:
    """The picture, contiguous, with black at its right and bottom up to multiples of so many pixels."""
    below, right = (-side % multiple_px for side in picture.shape[:2])
    if not (below or right):
        return np.ascontiguousarray(picture)
    return np.asarray(
        cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT), np.uint8
    )
