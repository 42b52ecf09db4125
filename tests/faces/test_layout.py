"""Output sizes, and the frame at another size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from idrn_trt.errors import OptionError
from idrn_trt.faces.layout import AUTO_SIZE_PX, background, output_size


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((480, 270), 4, (1920, 1080)),
        ((320, 240), 4, (1280, 960)),
        ((640, 480), 4, (1440, 1080)),
        ((640, 480), 2, (1280, 960)),
        ((1280, 720), 4, (1920, 1080)),
        ((854, 480), 4, (1920, 1079)),
        ((300, 600), 4, (540, 1080)),
        ((720, 1280), 4, (720, 1280)),
        ((1920, 1080), 4, (1920, 1080)),
        ((1921, 100), 4, (1921, 100)),
        ((640, 1081), 4, (640, 1081)),
        ((1, 1), 3, (3, 3)),
        ((1920, 1), 4, (1920, 1)),
    ],
)
def test_auto(size: tuple[int, int], scale: int, expected: tuple[int, int]) -> None:
    """Auto takes the largest factor up to the model's that keeps within 1920x1080, or the input's size."""
    assert output_size(*size, model_scale=scale) == expected


def test_auto_keeps_the_aspect_and_the_limit() -> None:
    """For random sizes within the limit: never beyond it or smaller than the input, aspect to a pixel."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        width, height = int(rng.integers(1, 1921)), int(rng.integers(1, 1081))
        scale = int(rng.integers(2, 5))
        out_w, out_h = output_size(width, height, model_scale=scale)
        assert width <= out_w <= min(AUTO_SIZE_PX[0], scale * width)
        assert height <= out_h <= min(AUTO_SIZE_PX[1], scale * height)
        factor = max(out_w / width, out_h / height)
        assert abs(out_w - factor * width) <= 0.5 * max(1, width / height) + 1e-9
        assert abs(out_h - factor * height) <= 0.5 * max(1, height / width) + 1e-9
        full = out_w == scale * width or AUTO_SIZE_PX[0] == out_w or AUTO_SIZE_PX[1] == out_h
        assert full


def test_asked_for_sizes() -> None:
    """A size or a frame scale asked for is taken as it is, whatever the model's scale."""
    assert output_size(640, 480, out_size=(100, 3), model_scale=4) == (100, 3)
    assert output_size(640, 480, frame_scale=1, model_scale=4) == (640, 480)
    assert output_size(1920, 1080, frame_scale=4, model_scale=2) == (7680, 4320)


@pytest.mark.parametrize(
    ("out_size", "frame_scale"),
    [
        ((0, 5), None),
        ((5, -1), None),
        (None, 3),
        ((5, 5), 1),
        ((640,), None),
        ("640x480", None),
        ((640.5, 480), None),
        ((True, 5), None),
        (None, 2.0),
        (None, "2"),
    ],
)
def test_sizes_that_are_none(out_size: tuple[int, int] | None, frame_scale: int | None) -> None:
    """A size below one pixel, a scale that is not offered, or both at once is an OptionError."""
    with pytest.raises(OptionError):
        output_size(64, 48, out_size=out_size, frame_scale=frame_scale, model_scale=4)


def test_background() -> None:
    """Bicubic up, area mean down, unchanged at the same size, and always the caller's own array."""
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    larger = cv2.resize(frame, (100, 90), interpolation=cv2.INTER_CUBIC)
    smaller = cv2.resize(frame, (20, 30), interpolation=cv2.INTER_AREA)
    assert np.array_equal(background(frame, 100, 90), larger)
    assert np.array_equal(background(frame, 20, 30), smaller)
    same = background(frame, 64, 48)
    assert np.array_equal(same, frame)
    assert not np.shares_memory(same, frame)
    assert background(frame, 20, 90).shape == (90, 20, 3)
    assert background(frame[:1, :1], 4, 4).shape == (4, 4, 3)
