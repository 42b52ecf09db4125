"""Evaluation pairs are Pillow's bicubic of the centre square (the paper's section 3.1)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from idrn_trt.quality.pairs import bicubic_up, evaluation_pair


def noise(height: int, width: int) -> np.ndarray:
    """A random uint8 RGB picture."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(150, 150), (151, 200), (200, 131), (60, 61)])
def test_evaluation_pair_equals_pillow(height: int, width: int, scale: int) -> None:
    """HR is the centre square by Pillow's bicubic at 32 s, LR is HR by Pillow's bicubic at 32."""
    pixels = noise(height, width)
    lr, hr = evaluation_pair(pixels, scale, 32)
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    truth = square.resize((32 * scale, 32 * scale), Image.Resampling.BICUBIC)
    assert np.array_equal(hr, np.asarray(truth))
    assert np.array_equal(lr, np.asarray(truth.resize((32, 32), Image.Resampling.BICUBIC)))
    assert hr.dtype == lr.dtype == np.uint8


def test_a_crop_of_the_right_size_is_left_alone() -> None:
    """A square picture that already has HR's size is HR, bit for bit."""
    pixels = noise(128, 128)
    assert np.array_equal(evaluation_pair(pixels, 4, 32)[1], pixels)


def test_the_floor_is_bicubic() -> None:
    """`bicubic_up` is Pillow's bicubic enlargement; a flat picture stays flat."""
    lr = noise(5, 7)
    expected = Image.fromarray(lr).resize((21, 15), Image.Resampling.BICUBIC)
    assert np.array_equal(bicubic_up(lr, 3), np.asarray(expected))
    assert np.array_equal(bicubic_up(np.full((4, 4, 3), 77, np.uint8), 4), np.full((16, 16, 3), 77))
