"""What is shown of faces by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from idrn_trt.faces.steady import ROOM, Steady
from idrn_trt.faces.track import follow
from idrn_trt.faces.window import CONTEXT_PX, MARGIN, WINDOW_SHAPES_PX, cut
from idrn_trt.types import Box, TrackedFace, Window

SCALE = 4


def seen(frame: np.ndarray, box: Box, window: Window) -> TrackedFace:
    """A face whose picture is its pixels repeated, so that each tells where it is from."""
    lr = cut(frame, window)
    sr = lr.repeat(SCALE, 0).repeat(SCALE, 1)
    return TrackedFace(box, 1.0, window, lr, sr, 1, 0.0, reused=False)


def place(face: TrackedFace) -> float:
    """Which column of the frame the middle of the picture shows."""
    middle = face.sr.shape[1] // 2
    return float(face.sr[0, middle - SCALE : middle + SCALE, 0].mean())


def columns() -> np.ndarray:
    """A frame whose pixels are the number of their column."""
    return np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (200, 250, 3)).copy()


def test_trembling_boxes_do_not_shake_the_picture() -> None:
    """Boxes that jump by two pixels from frame to frame move what is shown by less than half a one."""
    steady, window = Steady(), Window(80, 60, 48, 64)
    places = [
        place(steady.shown([seen(columns(), Box(90 + 2 * (k % 2), 70, 40, 40), window)], k / 30)[0])
        for k in range(60)
    ]
    assert np.abs(np.diff(places[20:])).max() < 0.5


def test_a_window_that_moves_does_not_move_the_picture() -> None:
    """When the window jumps after a face that glides, what is shown glides on."""
    steady, window = Steady(), None
    places, starts = [], []
    for k in range(90):
        box = Box(60 + k, 70, 40, 40)
        window = follow(window, box, (250, 200))
        assert window is not None
        starts.append(window.x)
        (face,) = steady.shown([seen(columns(), box, window)], k / 30)
        places.append(place(face))
    assert np.abs(np.diff(starts)).max() > 4
    assert np.abs(np.diff(places[10:])).max() <= 2.5
    assert abs(places[-1] - (60 + 89 + 20)) < 12


@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_a_face_is_shown_from_end_to_end(shape: tuple[int, int]) -> None:
    """The shown part holds the box of the largest face that such a window has the margin for."""
    h, w = ((side - 2 * CONTEXT_PX) / MARGIN for side in shape)
    box = Box(125 - w / 2, 100 - h / 2, w, h)
    window = Window(125 - shape[1] // 2, 100 - shape[0] // 2, shape[1], shape[0])
    frame = columns()
    frame[..., 1] = np.arange(200)[:, None]
    (face,) = Steady().shown([seen(frame, box, window)], 0.0)
    left, right = face.sr[0, [0, -1], 0]
    top, bottom = face.sr[[0, -1], 0, 1]
    assert left <= math.floor(box.x)
    assert right >= math.ceil(box.x + box.w) - 1
    assert top <= math.floor(box.y)
    assert bottom >= math.ceil(box.y + box.h) - 1


def test_both_pictures_show_the_same_part() -> None:
    """Lr and sr are of one size, the window's without its room, and agree to a grey level or two."""
    face = seen(columns(), Box(93.3, 71.2, 41, 41), Window(80, 60, 48, 64))
    (shown,) = Steady().shown([face], 0.0)
    height, width = (SCALE * (side - 2 * (side // ROOM)) for side in (64, 48))
    assert shown.sr.shape == shown.lr.shape == (height, width, 3)
    assert np.abs(shown.sr.astype(int) - shown.lr).max() <= 2
