"""The picture that a detector works on, and its boxes back in the frame."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.errors import OptionError
from idrn_trt.faces.working import checked, faces_of, padded, resized, working_scale


@pytest.mark.parametrize(
    ("min_face_px", "upscale", "scale"),
    [(24, False, 1), (48, False, 0.5), (12, False, 1), (12, True, 2)],
)
def test_the_scale_follows_from_the_faces_asked_for(
    min_face_px: int, *, upscale: bool, scale: float
) -> None:
    """Frames shrink as far as the smallest face stays visible, and grow only when that is allowed."""
    assert working_scale(24, min_face_px, upscale=upscale) == scale


@pytest.mark.parametrize(
    "frame",
    [np.zeros((9, 9, 3), np.uint16), np.zeros((9, 9), bool), np.zeros((9, 9, 4), np.uint8),
     np.zeros((9, 9, 1), np.uint8), np.zeros(9, np.uint8), np.zeros((1, 9, 9, 3), np.uint8)],
    ids=["16 bits", "bool", "alpha", "one channel", "row", "batch"],
)  # fmt: skip
def test_other_arrays_are_refused(frame: np.ndarray) -> None:  # type: ignore[type-arg]  # of any type
    """An array that is no uint8 picture is an OptionError with its type and shape."""
    with pytest.raises(OptionError, match=rf"got {frame.dtype} \({frame.shape[0]},"):
        checked(frame)


def test_padding_adds_black_at_right_and_bottom() -> None:
    """Sides become multiples; the picture keeps its place, and is itself where nothing is missing."""
    picture = np.full((30, 64, 3), 200, np.uint8)
    large = padded(picture, 32)
    assert large.shape == (32, 64, 3)
    assert (large[:30] == picture).all()
    assert not large[30:].any()
    whole = np.zeros((64, 32, 3), np.uint8)
    assert padded(whole, 32) is whole
    assert padded(whole[:, ::-1], 32).flags.c_contiguous


def test_resizing_rounds_up() -> None:
    """No face falls below what the detector sees, and a scale of 1 copies nothing."""
    picture = np.zeros((9, 21, 3), np.uint8)
    assert resized(picture, 0.5).shape == (5, 11, 3)
    assert resized(picture, 1) is picture


def test_boxes_come_back_in_frame_pixels_from_left_to_right() -> None:
    """Each axis has its own ratio; empty boxes and doubles go; equal lefts are ordered by their tops."""
    frame = np.zeros((100, 200, 3), np.uint8)
    rows = np.array(
        [
            [30, 20, 10, 10, 0.7],
            [10, 30, 20, 10, 0.9],
            [11, 31, 20, 10, 0.8],
            [10, 5, 8, 8, 0.6],
            [5, 5, 0, 9, 1.0],
        ]
    )
    found = [(f.box.x, f.box.y, f.box.w, f.box.h, f.score) for f in faces_of(rows, frame, (50, 50))]
    assert found == [(40, 10, 32, 16, 0.6), (40, 60, 80, 20, 0.9), (120, 40, 40, 20, 0.7)]
    assert faces_of(np.empty((0, 5)), frame, (50, 50)) == []
