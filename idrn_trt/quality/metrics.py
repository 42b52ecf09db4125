"""PSNR on luma, from uint8 RGB pictures, in float64. No border is cropped."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

# ITU-R BT.601 luma of 8-bit RGB, the Y that super-resolution papers report on.
_LUMA = np.array([65.481, 128.553, 24.966]) / 255.0


def luma(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of uint8 RGB (..., 3), unrounded."""
    return 16.0 + rgb.astype(np.float64) @ _LUMA


def psnr(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    """10 lg(255^2 / MSE) in dB over two arrays of equal shape, data range 255 (paper Eq. 3).

    Infinite for equal arrays. Raises ValueError when the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"PSNR needs two pictures of one shape, got {a.shape} and {b.shape}")
    mse = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if mse == 0 else 10.0 * math.log10(255.0**2 / mse)


def psnr_y(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """PSNR in dB of the luma of two uint8 RGB pictures."""
    return psnr(luma(a), luma(b))
