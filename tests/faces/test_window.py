"""Windows: where they lie and which pixels they hold."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.errors import OptionError
from idrn_trt.faces.paste import feather_px
from idrn_trt.faces.window import (
    CONTEXT_PX,
    MARGIN,
    WINDOW_SIDES_PX,
    cut,
    group_by_side,
    window_for,
)
from idrn_trt.types import Box, Window

UInt8 = npt.NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> UInt8:
    """A frame in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("longer", "side"),
    [(1, 32), (21.4, 32), (21.5, 48), (35.7, 48), (35.8, 64), (49.9, 64), (50.1, 80), (64.2, 80),
     (64.3, 96), (78.5, 96), (78.6, 112), (92.8, 112), (92.9, 128), (107, 128), (120, 128)],
)  # fmt: skip
def test_the_side_is_the_smallest_with_room(longer: float, side: int) -> None:
    """The side is the next legal one for margin and context, and 128 for what just fits into it."""
    window = window_for(Box(300, 300, longer, longer / 2), 800, 800)
    assert window is not None
    assert window.side == side


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
        assert window.side in WINDOW_SIDES_PX
        assert 0 <= window.x <= width - window.side
        assert 0 <= window.y <= height - window.side
        for start, low, size, frame in (
            (window.x, box.x, box.w, width),
            (window.y, box.y, box.h, height),
        ):
            assert start <= max(0, math.ceil(low))
            assert start + window.side >= min(frame, math.floor(low + size))


def test_the_margin_and_context_stay_free() -> None:
    """In mid-frame a face that fits has its margin and then the context at every side."""
    rng = np.random.default_rng(2)
    for longer in rng.uniform(1, 107, 300):
        window = window_for(Box(200, 200, longer, longer), 600, 600)
        assert window is not None
        free = min(200 - window.x, window.x + window.side - 200 - longer)
        assert free >= longer * (MARGIN - 1) / 2 + CONTEXT_PX - 0.5


@pytest.mark.parametrize("side", WINDOW_SIDES_PX)
def test_the_feather_hardly_reaches_the_face(side: int) -> None:
    """At the edge of the largest box that a side takes, a face has six tenths of its strength or more."""
    longer = (side - 2 * CONTEXT_PX) / MARGIN
    beyond_px = longer * (MARGIN - 1) / 2
    assert beyond_px / feather_px(side) >= 0.6


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
    window = Window(30, 40, 48)
    pixels = cut(frame, window)
    assert np.array_equal(pixels, frame[40:88, 30:78])
    out = np.zeros((48, 48, 3), np.uint8)
    assert cut(frame, window, out) is out
    assert np.array_equal(out, pixels)
    pixels[...] = 0
    assert np.array_equal(frame, noise(100, 120))


def test_windows_are_grouped_by_side() -> None:
    """Every window is in the group of its side, in order, the smallest side first."""
    windows = [Window(0, 0, side) for side in (64, 32, 64, 128, 32)]
    assert list(group_by_side(windows).items()) == [(32, [1, 4]), (64, [0, 2]), (128, [3])]
    assert group_by_side([]) == {}


@pytest.mark.parametrize(
    "box", [Box(0, 0, 0, 10), Box(0, 0, 10, -1), Box(math.nan, 0, 5, 5), Box(0, 0, math.inf, 5)]
)
def test_a_box_that_is_none_is_refused(box: Box) -> None:
    """A box without a finite position or a positive size is an OptionError that shows it."""
    with pytest.raises(OptionError, match="box must be finite"):
        window_for(box, 100, 100)
