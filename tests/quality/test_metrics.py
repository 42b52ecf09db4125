"""PSNR and luma against scikit-image and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from idrn_trt.quality.metrics import luma, psnr, psnr_y


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two random uint8 RGB pictures that differ."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (2, 17, 23, 3), dtype=np.uint8)
    return a, b


@pytest.mark.parametrize("seed", range(5))
def test_psnr_equals_scikit_image(seed: int) -> None:
    """PSNR over RGB is scikit-image's, for random and for near-equal pictures."""
    a, b = pair(seed)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    near = a.copy()
    near[3, 4, 1] ^= 1
    assert psnr(a, near) == pytest.approx(
        peak_signal_noise_ratio(a, near, data_range=255), abs=1e-9
    )


def test_psnr_y_equals_scikit_image() -> None:
    """PSNR-Y is scikit-image's PSNR of scikit-image's BT.601 luma."""
    a, b = pair()
    expected = peak_signal_noise_ratio(rgb2ycbcr(a)[..., 0], rgb2ycbcr(b)[..., 0], data_range=255)
    assert psnr_y(a, b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((128, 128, 128), 16 + 219 * 128 / 255),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
    ],
    ids=["black", "white", "grey", "red", "green", "blue"],
)
def test_luma_of_known_colours(rgb: tuple[int, int, int], y: float) -> None:
    """Black is 16, white 235, and the primaries have BT.601's weights."""
    assert luma(np.array([[rgb]], np.uint8)) == pytest.approx(y, abs=1e-9)


def test_one_grey_level_everywhere() -> None:
    """An error of one level in every value is 20 lg 255 = 48.13 dB; the sign does not matter."""
    a = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(a, a + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(a + 1, a) == psnr(a, a + 1)


def test_black_against_white() -> None:
    """The largest possible error is 0 dB on RGB; luma spans 219 levels only."""
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert psnr(black, white) == 0
    assert psnr_y(black, white) == pytest.approx(20 * math.log10(255 / 219))


def test_equal_pictures_are_infinitely_good() -> None:
    """Equal pictures have no error: infinite PSNR, without a warning."""
    a, _ = pair()
    assert psnr(a, a.copy()) == math.inf
    assert psnr_y(a, a.copy()) == math.inf


def test_the_error_is_pooled_before_the_logarithm() -> None:
    """Eq. (3) takes the logarithm of a batch's mean error, which is not the mean of the PSNRs."""
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    got = truth.copy()
    got[0], got[1] = 2, 10
    assert psnr(got, truth) == pytest.approx(10 * math.log10(255**2 / 52))
    each = np.mean([psnr(got[k], truth[k]) for k in range(2)])
    assert each > psnr(got, truth) + 1


def test_pictures_of_two_sizes_are_refused() -> None:
    """Shapes that differ are an error, never broadcast."""
    a, _ = pair()
    with pytest.raises(ValueError, match="one shape"):
        psnr_y(a, a[:, :1])
