"""Seeded pictures to check and to time on: shading, edges and a little noise. No file is needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

_DISCS = 6
_NOISE_LEVELS = 3.0


def picture(height: int, width: int, seed: int) -> UInt8:
    """One picture, uint8 RGB (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    slopes = rng.uniform(-90, 90, (2, 3))
    values = rng.uniform(90, 150, 3) + x[..., None] * slopes[0] + y[..., None] * slopes[1]
    for _ in range(_DISCS):
        centre_y, centre_x = rng.uniform(0, 1, 2)
        inside = (y - centre_y) ** 2 + (x - centre_x) ** 2 < rng.uniform(0.05, 0.3) ** 2
        values[inside] = rng.uniform(20, 235, 3)
    values += rng.normal(0, _NOISE_LEVELS, values.shape)
    return np.asarray(values.clip(0, 255).round(), np.uint8)


def windows(count: int, side: int, seed: int = 0) -> UInt8:
    """Different pictures as one batch, uint8 RGB (count, side, side, 3)."""
    return np.stack([picture(side, side, seed + k) for k in range(count)])
