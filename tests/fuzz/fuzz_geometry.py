"""Boxes, windows and sizes of any kind: nothing outside the frame, nothing changed outside the window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from idrn_trt.errors import OptionError
from idrn_trt.faces.layout import background, output_size
from idrn_trt.faces.paste import paste
from idrn_trt.faces.window import CONTEXT_PX, WINDOW_SHAPES_PX, cut, window_for
from idrn_trt.types import Box, Window

Case = dict[str, Any]

# (w, h): those of faces, and one wider than high.
SIZES = (*((w, h) for h, w in WINDOW_SHAPES_PX), (128, 32))


def cases() -> st.SearchStrategy[Case]:
    """A frame, a box in or about it, a window anywhere, a scale and an output size."""
    near = st.floats(-150, 350)
    size = st.floats(0.01, 140)
    any_box = st.tuples(*[st.floats() for _ in range(4)])
    small = st.integers(1, 200)
    return st.fixed_dictionaries(
        {
            "frame": st.tuples(small, small),
            "box": st.one_of(st.tuples(near, near, size, size), any_box),
            "window": st.tuples(
                st.integers(-300, 400), st.integers(-300, 400), st.sampled_from(SIZES)
            ),
            "scale": st.integers(1, 4),
            "out": st.one_of(
                st.none(),
                st.sampled_from((1, 2, 4)),
                st.tuples(st.integers(-1, 500), st.integers(-1, 500)),
            ),
        }
    )


def check(case: Case) -> bool:
    """Cut and paste the window of the box, if it has one, and the window that lies anywhere."""
    (height, width), scale = case["frame"], case["scale"]
    frame = _texture(height, width)
    before = frame.copy()
    taken = True
    try:
        window = window_for(Box(*case["box"]), height, width)
    except OptionError:
        taken, window = False, None
        assert not all(map(math.isfinite, case["box"])) or min(case["box"][2:]) <= 0
    if window is not None:
        _check_inside(window, Box(*case["box"]), height, width)
    try:
        out_w, out_h = _out(case, width, height)
    except OptionError:
        return False
    x, y, size = case["window"]
    for place in (window, Window(x, y, *size)):
        if place is not None:
            _check_round_trip(frame, place, scale, (out_w, out_h))
    assert np.array_equal(frame, before)
    return taken


def _texture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7 + y, y * 5 + x * x, x * y + 3], -1).astype(np.uint8)


def _out(case: Case, width: int, height: int) -> tuple[int, int]:
    wish: dict[str, Any] = {}
    if isinstance(case["out"], tuple):
        wish["out_size"] = case["out"]
    elif case["out"] is not None:
        wish["frame_scale"] = case["out"]
    out_w, out_h = output_size(width, height, model_scale=case["scale"], **wish)
    assert out_w >= 1
    assert out_h >= 1
    return out_w, out_h


def _check_inside(window: Window, box: Box, height: int, width: int) -> None:
    assert window.shape in WINDOW_SHAPES_PX
    for start, length, face, size in (
        (window.x, window.w, box.w, width), (window.y, window.h, box.h, height),
    ):  # fmt: skip
        assert face + 2 * CONTEXT_PX <= length
        if size >= length:
            assert 0 <= start <= size - length
        else:
            assert start <= 0
            assert start + length >= size


def _check_round_trip(
    frame: np.ndarray, window: Window, scale: int, out_size: tuple[int, int]
) -> None:
    height, width = frame.shape[:2]
    pixels = cut(frame, window)
    assert pixels.shape == (window.h, window.w, 3)
    assert not np.shares_memory(pixels, frame)
    ys, xs = (
        [k for k in range(start, start + length) if 0 <= k < size]
        for start, length, size in ((window.y, window.h, height), (window.x, window.w, width))
    )
    if xs and ys:
        there = pixels[
            ys[0] - window.y : ys[-1] - window.y + 1, xs[0] - window.x : xs[-1] - window.x + 1
        ]
        assert np.array_equal(there, frame[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1])
    out = background(frame, *out_size)
    assert out.shape == (out_size[1], out_size[0], 3)
    plain = out.copy()
    sr = np.full((window.h * scale, window.w * scale, 3), 255, np.uint8)
    paste(out, window, sr, scale, (width, height))
    rows, columns = np.nonzero((out != plain).any(-1))
    for changed, start, length, size, of in (
        (rows, window.y, window.h, height, out_size[1]),
        (columns, window.x, window.w, width, out_size[0]),
    ):
        if len(changed):
            assert changed.min() >= max(0, start) * of // size
            assert changed.max() < -(-min(size, start + length) * of // size)
    assert (out >= plain).all()  # a white face makes no pixel darker
