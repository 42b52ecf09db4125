"""PSNR, SSIM and luma against scikit-image and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from idrn_trt.quality.metrics import (
    luma,
    pooled_psnr,
    psnr,
    psnr_y,
    ssim,
    ssim_paper,
    worst_decile,
)


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


def shaded(seed: int, height: int = 40, width: int = 52) -> tuple[np.ndarray, np.ndarray]:
    """A picture with flat, sloping and busy parts, and a blurred and noisy copy of it."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(30, 220, 3), np.float64)
    picture[: height // 2] += np.linspace(-60, 60, width)[:, None]
    picture[height // 3 :, width // 2 :] += rng.normal(
        0, 40, picture[height // 3 :, width // 2 :].shape
    )
    copy = (picture + np.roll(picture, 1, axis=1)) / 2 + rng.normal(0, 3, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), copy.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_ssim_equals_scikit_image(seed: int) -> None:
    """SSIM of luma and of RGB is scikit-image's with the field's options, to 1e-6 and better."""
    options = {
        "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255,
    }  # fmt: skip
    for a, b in (shaded(seed), pair(seed)):
        rgb = structural_similarity(a, b, channel_axis=-1, **options)
        assert ssim(a, b) == pytest.approx(rgb, abs=1e-9)
        y = structural_similarity(luma(a), luma(b), **options)
        assert ssim(luma(a), luma(b)) == pytest.approx(y, abs=1e-9)
        assert 0 < abs(y) < 1


def test_the_papers_ssim_has_unsquared_constants() -> None:
    """Eq. (4) with c = 0.001 * 255: scikit-image's SSIM with its K set to give those constants."""
    a, b = shaded(0)
    k = math.sqrt(0.001 * 255) / 255
    expected = structural_similarity(
        luma(a), luma(b), gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, K1=k, K2=k,
    )  # fmt: skip
    assert ssim_paper(luma(a), luma(b)) == pytest.approx(expected, abs=1e-9)
    # Smaller constants forgive less, most of all in flat regions.
    assert ssim_paper(luma(a), luma(b)) < ssim(luma(a), luma(b))


def test_ssim_of_known_pictures() -> None:
    """1 for equal pictures; two flat ones differ in the luminance term only, worked out by hand."""
    a, _ = shaded(0)
    assert ssim(a, a.copy()) == pytest.approx(1)
    assert ssim_paper(a, a.copy()) == pytest.approx(1)
    dark, bright = np.full((20, 20), 50, np.uint8), np.full((20, 20), 100, np.uint8)
    c1 = 2.55**2
    assert ssim(dark, bright) == pytest.approx((2 * 5000 + c1) / (2500 + 10000 + c1))
    assert ssim_paper(dark, bright) == pytest.approx((10000 + 0.255) / (12500 + 0.255))


@pytest.mark.parametrize("shape", [(10, 40), (40, 10, 3), (40,), (2, 40, 40, 3)])
def test_ssim_needs_room_for_its_window(shape: tuple[int, ...]) -> None:
    """A picture that the window does not fit into, or no picture at all, is refused."""
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(np.zeros(shape), np.zeros(shape))


def test_pooling_psnrs_is_pooling_errors() -> None:
    """Eq. (3) from the pictures' PSNRs is the PSNR of all pixels at once; an exact picture helps."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    b = rng.integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    b[2] = a[2]
    each = [psnr(x, y) for x, y in zip(a, b, strict=True)]
    assert each[2] == math.inf
    assert pooled_psnr(each) == pytest.approx(psnr(a, b), abs=1e-9)
    assert pooled_psnr([math.inf, math.inf]) == math.inf


def test_the_worst_decile_has_a_tenth_below() -> None:
    """Of 0 to 100 the worst decile is 10, in whatever order they come."""
    values = np.random.default_rng(0).permutation(101).astype(float)
    assert worst_decile(values.tolist()) == pytest.approx(10)
