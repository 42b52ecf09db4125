"""Faces from frame to frame: the same number, and a window that stays."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.faces.track import Tracker, follow, holds, iou, shared
from idrn_trt.faces.window import CONTEXT_PX, window_for
from idrn_trt.types import Box, Face, Window

SIZE = (640, 480)


def shape_px(window: Window | None) -> tuple[int, int]:
    """(h, w) of a window, which is there."""
    assert window is not None
    return window.shape


def begun(tracker: Tracker, box: Box, time_s: float = 0.0) -> int:
    """A new track's number."""
    return tracker.begin(Face(box, 1.0), time_s, SIZE).number


@pytest.mark.parametrize("side", [21.4, 28.5, 35.7, 40.0, 49.9, 57.1, 64.2, 71.4, 78.5, 92.8])
def test_the_window_does_not_move_for_jitter(side: float) -> None:
    """Boxes that tremble by a twentieth of the face keep the window's size, by a hundredth its place too.

    Among them are the largest faces that get a window of its shape.
    """
    rng = np.random.default_rng(0)
    window = follow(None, Box(300, 200, side, side), SIZE)
    for _ in range(200):
        dx, dy, grown = rng.uniform(-side / 20, side / 20, 3)
        box = Box(300 + dx, 200 + dy, side + grown, side + grown)
        moved = follow(window, box, SIZE)
        assert moved is not None
        assert window is not None
        assert moved.pixels >= window.pixels
        window = moved
    window = settled = follow(None, Box(300, 200, side, side), SIZE)
    for _ in range(200):
        dx, dy, grown = rng.uniform(-side / 100, side / 100, 3)
        window = follow(window, Box(300 + dx, 200 + dy, side + grown, side + grown), SIZE)
        assert window == settled


def test_the_window_keeps_up_with_fast_moves() -> None:
    """However fast a face goes it is inside what is shown of its window."""
    window: Window | None = None
    for x, y in [(10, 10), (60, 40), (300, 200), (310, 210), (580, 420), (0, 0)]:
        box = Box(x, y, 50, 50)
        window = follow(window, box, SIZE)
        assert window is not None
        assert box.x >= window.x + (CONTEXT_PX if window.x > 0 else 0)
        assert box.x + 50 <= window.x + window.w
        assert box.y >= window.y + (CONTEXT_PX if window.y > 0 else 0)
        assert box.y + 50 <= window.y + window.h


def test_the_size_of_the_window_does_not_flutter() -> None:
    """A face that wavers around the size at which windows change keeps the larger one."""
    box = next(
        Box(300, 200, side, side)
        for side in np.arange(30.0, 60.0, 0.5)
        if shape_px(window_for(Box(300, 200, side, side), 480, 640)) == (80, 64)
    )
    window = follow(None, box, SIZE)
    smaller = Box(box.x, box.y, box.w * 0.97, box.h * 0.97)
    assert shape_px(window_for(smaller, 480, 640)) == (64, 48)
    assert follow(window, smaller, SIZE) == window
    much_smaller = Box(box.x, box.y, box.w * 0.8, box.h * 0.8)
    assert shape_px(follow(window, much_smaller, SIZE)) == (64, 48)


def test_the_window_grows_only_for_a_face_that_does_not_fit() -> None:
    """A face that moves and is a little larger gets a window of the same size, a much larger one a larger."""
    window = follow(None, Box(300, 200, 60, 90), SIZE)
    assert window is not None
    assert window.shape == (112, 88)
    moved = Box(330, 200, 62, 94)
    assert shape_px(window_for(moved, 480, 640)) == (128, 96)
    same = follow(window, moved, SIZE)
    assert same is not None
    assert same.shape == (112, 88)
    assert same.x > window.x
    assert holds(same, moved, SIZE)
    assert shape_px(follow(same, Box(330, 200, 66, 100), SIZE)) == (128, 96)


def test_a_face_too_large_has_no_window() -> None:
    """It is followed all the same, and gets one when it becomes smaller."""
    window = follow(window_for(Box(300, 200, 60, 60), 480, 640), Box(300, 200, 200, 200), SIZE)
    assert window is None
    assert follow(window, Box(300, 200, 60, 60), SIZE) is not None


def test_at_the_edge_of_the_frame_there_is_nothing_to_keep_clear() -> None:
    """A face cut off by the frame's edge is held by a window that ends there."""
    box = Box(-5, 100, 40, 40)
    window = window_for(box, 480, 640)
    assert window is not None
    assert holds(window, box, SIZE)
    assert not holds(Window(10, 90, 48, 64), box, SIZE)


def test_a_face_is_matched_to_its_own_track() -> None:
    """Of two faces each goes to the track that it overlaps most; a third is new."""
    tracker = Tracker()
    left, right = begun(tracker, Box(100, 100, 40, 40)), begun(tracker, Box(150, 100, 40, 40))
    for x, number in ((108, left), (145, right)):
        track = tracker.match(Face(Box(x, 102, 40, 40), 1.0))
        assert track is not None
        assert track.number == number
    other = Face(Box(300, 100, 40, 40), 1.0)
    assert tracker.match(other) is None
    assert tracker.is_new(other)
    inside = Face(Box(105, 105, 15, 15), 1.0)
    assert tracker.match(inside) is None
    assert not tracker.is_new(inside)


def test_a_face_is_kept_for_a_while() -> None:
    """Looked for in vain it stays for half a second and three looks; then it is gone, its number too."""
    tracker = Tracker()
    number = begun(tracker, Box(100, 100, 40, 40))
    (track,) = tracker.tracks
    for time_s in (0.2, 0.4, 0.5):
        tracker.missed(track, time_s)
        tracker.forget(time_s)
        assert tracker.tracks == [track]
    tracker.missed(track, 0.6)
    tracker.forget(0.6)
    assert tracker.tracks == []
    assert begun(tracker, Box(100, 100, 40, 40), 0.7) == number + 1


def test_two_tracks_on_one_face_become_one() -> None:
    """The older stays."""
    tracker = Tracker()
    first = begun(tracker, Box(100, 100, 40, 40))
    begun(tracker, Box(200, 100, 40, 40))
    tracker.found(tracker.tracks[1], Face(Box(102, 100, 40, 40), 1.0), 0.1, SIZE)
    tracker.forget(0.1)
    assert [track.number for track in tracker.tracks] == [first]


def test_overlaps() -> None:
    """Intersection over union, and over the smaller."""
    one, half, apart = Box(0, 0, 10, 10), Box(5, 0, 10, 10), Box(20, 0, 5, 5)
    assert iou(one, one) == 1
    assert iou(one, half) == pytest.approx(1 / 3)
    assert iou(one, apart) == 0
    assert shared(one, half) == 0.5
    assert shared(one, Box(2, 2, 2, 2)) == 1
