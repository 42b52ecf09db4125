"""Windows: where they lie and which pixels they hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.errors import OptionError
from idrn_trt.faces.paste import feather_px
from idrn_trt.faces.window import (
    CONTEXT_PX,
    MARGIN,
    WINDOW_SHAPES_PX,
    cut,
    group_by_shape,
    window_for,
)
from idrn_trt.types import Box, Window

UInt8 = npt.NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> UInt8:
    """A frame in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("w", "h", "shape"),
    [(1, 1, (32, 32)), (10, 21.4, (32, 32)), (10, 21.5, (48, 40)), (28.5, 35.7, (48, 40)),
     (28.6, 30, (64, 48)), (35.7, 49.9, (64, 48)), (30, 50.1, (80, 64)), (49.9, 64.2, (80, 64)),
     (50.1, 64, (96, 72)), (57.1, 78.5, (96, 72)), (57, 78.6, (104, 80)), (64.2, 85.7, (104, 80)),
     (64.3, 80, (112, 88)), (71.4, 92.8, (112, 88)), (70, 92.9, (128, 96)), (78.5, 107.1, (128, 96)),
     (78.6, 100, (128, 128)), (50, 107.2, (128, 128)), (120, 120, (128, 128))],
)  # fmt: skip
def test_the_shape_is_the_smallest_with_room(w: float, h: float, shape: tuple[int, int]) -> None:
    """The shape is the first with room for margin and context each way; the largest for what just fits."""
    window = window_for(Box(300, 300, w, h), 800, 800)
    assert window is not None
    assert window.shape == shape
    assert window.pixels == math.prod(shape)


def test_each_shape_lies_inside_the_next() -> None:
    """So the smallest one that holds a face is the first, and a larger face has no smaller window."""
    for (low, narrow), (high, wide) in itertools.pairwise(WINDOW_SHAPES_PX):
        assert low <= high
        assert narrow <= wide
        assert low * narrow < high * wide
    assert all(side % 8 == 0 for shape in WINDOW_SHAPES_PX for side in shape)


@pytest.mark.parametrize("box", [Box(0, 0, 120.5, 10), Box(0, 0, 10, 121), Box(0, 0, 700, 700)])
def test_a_face_larger_than_the_largest_window_has_none(box: Box) -> None:
    """A face whose longer side leaves no context in 128 px is given no window."""
    assert window_for(box, 800, 800) is None


def test_the_window_is_centred_on_the_box() -> None:
    """Away from the frame's edges, window and box have one centre, to half a pixel."""
    window = window_for(Box(100.3, 200.8, 20, 16), 800, 800)
    assert window is not None
    assert abs(window.x + 16 - 110.3) <= 0.5
    assert abs(window.y + 16 - 208.8) <= 0.5


def test_windows_lie_inside_the_frame_and_hold_the_face() -> None:
    """For random boxes at and over every edge the window is in the frame, and holds the box's part of it."""
    rng = np.random.default_rng(1)
    for _ in range(2000):
        height, width = rng.integers(128, 400, 2).tolist()
        w, h = rng.uniform(2, 120, 2)
        box = Box(*(rng.uniform(-60, (width, height)).tolist()), w, h)
        window = window_for(box, height, width)
        assert window is not None
        assert window.shape in WINDOW_SHAPES_PX
        assert 0 <= window.x <= width - window.w
        assert 0 <= window.y <= height - window.h
        for start, length, low, size, frame in (
            (window.x, window.w, box.x, box.w, width),
            (window.y, window.h, box.y, box.h, height),
        ):
            assert start <= max(0, math.ceil(low))
            assert start + length >= min(frame, math.floor(low + size))


def test_the_margin_and_context_stay_free() -> None:
    """In mid-frame a face that fits has its margin and then the context at every side."""
    rng = np.random.default_rng(2)
    for w, h in rng.uniform(1, 107, (300, 2)):
        window = window_for(Box(200, 200, w, h), 600, 600)
        assert window is not None
        for start, length, size in ((window.x, window.w, w), (window.y, window.h, h)):
            free = min(200 - start, start + length - 200 - size)
            assert free >= size * (MARGIN - 1) / 2 + CONTEXT_PX - 0.5


@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_the_feather_hardly_reaches_the_face(shape: tuple[int, int]) -> None:
    """At the edge of the largest box that a shape takes, a face has six tenths of its strength or more."""
    for length in shape:
        largest = (length - 2 * CONTEXT_PX) / MARGIN
        beyond_px = largest * (MARGIN - 1) / 2
        assert beyond_px / feather_px(length) >= 0.6


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20, 20), (31, 33), (3, 40)])
def test_frames_smaller_than_the_window_are_mirrored(size: tuple[int, int]) -> None:
    """Such a window is centred on the frame and its missing pixels are the frame's, mirrored."""
    frame = noise(*size)
    window = window_for(Box(0, 0, 10, 10), *size)
    assert window is not None
    assert window.x <= 0
    assert window.y <= 0
    pixels = cut(frame, window)
    assert pixels.shape == (32, 32, 3)
    before = (max(0, -window.y), max(0, -window.x))
    padded = np.pad(frame, ((before[0], 32), (before[1], 32), (0, 0)), mode="symmetric")
    assert np.array_equal(pixels, padded[:32, :32])


def test_cut_is_the_native_pixels_in_an_array_of_its_own() -> None:
    """The pixels are copied unchanged, also into `out`, and writing to them leaves the frame alone."""
    frame = noise(100, 120)
    window = Window(30, 40, 40, 48)
    pixels = cut(frame, window)
    assert np.array_equal(pixels, frame[40:88, 30:70])
    out = np.zeros((48, 40, 3), np.uint8)
    assert cut(frame, window, out) is out
    assert np.array_equal(out, pixels)
    pixels[...] = 0
    assert np.array_equal(frame, noise(100, 120))


def test_windows_are_grouped_by_shape() -> None:
    """Every window is in the group of its shape, in order, the one of the fewest pixels first."""
    windows = [
        Window(0, 0, w, h)
        for w, h in ((48, 64), (32, 32), (48, 64), (128, 128), (64, 48), (32, 32))
    ]
    groups = [((32, 32), [1, 5]), ((48, 64), [4]), ((64, 48), [0, 2]), ((128, 128), [3])]
    assert list(group_by_shape(windows).items()) == groups
    assert group_by_shape([]) == {}


@pytest.mark.parametrize(
    "box", [Box(0, 0, 0, 10), Box(0, 0, 10, -1), Box(math.nan, 0, 5, 5), Box(0, 0, math.inf, 5)]
)
def test_a_box_that_is_none_is_refused(box: Box) -> None:
    """A box without a finite position or a positive size is an OptionError that shows it."""
    with pytest.raises(OptionError, match="box must be finite"):
        window_for(box, 100, 100)
