"""What is new in a window, and what is noise."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.faces.reuse import sharpness, unchanged
from idrn_trt.faces.window import WINDOW_SHAPES_PX


def window(shape: tuple[int, int]) -> np.ndarray:
    """A smooth pattern of shape (h, w)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([(3 * x + y) % 200, (x + 2 * y) % 200, (x * y) % 200], -1).astype(np.uint8) + 28


@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_noise_is_nothing_new(shape: tuple[int, int]) -> None:
    """Independent noise of sigma 2 in both pictures is let pass, in a hundred pairs."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        one, other = (
            np.clip(window(shape) + rng.normal(0, 2, (*shape, 3)), 0, 255).round().astype(np.uint8)
            for _ in range(2)
        )
        assert unchanged(one, other)


@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_a_small_part_that_moves_is_new(shape: tuple[int, int]) -> None:
    """A lip's worth of pixels, a shift by one pixel, and a change of light by 4 levels are."""
    before = window(shape)
    lip = before.copy()
    y, x = shape[0] // 2, shape[1] // 4
    lip[y : y + 3, x : x + 6] += 30
    assert not unchanged(lip, before)
    assert not unchanged(np.roll(before, 1, 1), before)
    assert not unchanged(before + 4, before)
    assert unchanged(before, before)
    assert not unchanged(window((64, 48)), window((48, 40)))


def test_a_blurred_picture_is_less_sharp() -> None:
    """Sharpness falls as a picture is blurred; a flat one has none."""
    import cv2

    sharp = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    values = [sharpness(np.asarray(cv2.blur(sharp, (k, k)), np.uint8)) for k in (1, 2, 3, 5)]
    assert values == sorted(values, reverse=True)
    assert sharpness(np.full((48, 48, 3), 90, np.uint8)) == 0
