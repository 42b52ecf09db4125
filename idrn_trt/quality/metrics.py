"""PSNR and SSIM of uint8 RGB pictures, in float64. No border is cropped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.generic]

# ITU-R BT.601 luma of 8-bit RGB, the Y that super-resolution papers report on.
_LUMA = np.array([65.481, 128.553, 24.966]) / 255.0

DATA_RANGE = 255.0

# Wang, Bovik, Sheikh and Simoncelli 2004: (0.01 L)^2 and (0.03 L)^2, Gaussian window of sigma 1.5,
# 11 x 11 pixels.
_FIELD = ((0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2)
# The paper's Eq. (4): c = k L with k = 0.001, unsquared, both alike (docs/paper.md, reading 11).
_PAPER = (0.001 * DATA_RANGE, 0.001 * DATA_RANGE)
_SIGMA = 1.5
_RADIUS = 5
SSIM_WINDOW_PX = 2 * _RADIUS + 1


def luma(rgb: npt.NDArray[np.uint8]) -> Float64:
    """Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of uint8 RGB (..., 3), unrounded."""
    return 16.0 + rgb.astype(np.float64) @ _LUMA


def psnr(a: Numbers, b: Numbers) -> float:
    """10 lg(255^2 / MSE) in dB over two arrays of equal shape, data range 255 (paper Eq. 3).

    Infinite for equal arrays. Raises ValueError when the shapes differ.
    """
    _demand_one_shape("PSNR", a, b)
    mse = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if mse == 0 else 10.0 * math.log10(DATA_RANGE**2 / mse)


def psnr_y(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """PSNR in dB of the luma of two uint8 RGB pictures."""
    return psnr(luma(a), luma(b))


def pooled_psnr(psnrs_db: Sequence[float]) -> float:
    """The paper's Eq. (3) over N pictures of one size, from the PSNR in dB of each.

    The logarithm of the mean error, where a mean of PSNRs is the mean of the logarithms: never above
    it. An infinite PSNR stands for no error.
    """
    mse = float(np.mean([DATA_RANGE**2 / 10 ** (value / 10) for value in psnrs_db]))
    return math.inf if mse == 0 else 10.0 * math.log10(DATA_RANGE**2 / mse)


def worst_decile(values: Sequence[float]) -> float:
    """The value that a tenth of the pictures fall below (linear between two of them)."""
    return float(np.quantile(values, 0.1))


def ssim(a: Numbers, b: Numbers) -> float:
    """Mean structural similarity with the constants that the field reports, for data range 255.

    Two pictures (H, W) or (H, W, C) of one shape, at least 11 x 11; of several channels the mean is
    taken. Gaussian window (sigma 1.5, 11 x 11), K1 0.01, K2 0.03, population covariance, and only
    where the window lies inside (Wang et al. 2004). Raises ValueError for other shapes.
    """
    return _mean_ssim(a, b, *_FIELD)


def ssim_paper(a: Numbers, b: Numbers) -> float:
    """The paper's Eq. (4) as printed: c1 = c2 = k L, k = 0.001, L = 255, unsquared.

    The window is not given there; it is the one of `ssim`. For the rest see `ssim`.
    """
    return _mean_ssim(a, b, *_PAPER)


def _mean_ssim(a: Numbers, b: Numbers, c1: float, c2: float) -> float:
    _demand_one_shape("SSIM", a, b)
    least = SSIM_WINDOW_PX
    if a.ndim not in {2, 3} or min(a.shape[:2]) < least:
        raise ValueError(
            f"SSIM needs pictures (H, W) or (H, W, C) of at least {least} x {least}, got {a.shape}"
        )
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    var_x = _window_mean(x * x) - mean_x**2
    var_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _window_mean(values: Float64) -> Float64:
    """The Gaussian-weighted mean around each pixel that the window fits around."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    kernel /= kernel.sum()
    means = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel)
    return np.asarray(means, np.float64)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]


def _demand_one_shape(what: str, a: Numbers, b: Numbers) -> None:
    if a.shape != b.shape:
        raise ValueError(f"{what} needs two pictures of one shape, got {a.shape} and {b.shape}")
