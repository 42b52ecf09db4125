"""Drawn pictures for tests that need some to train on, to cut or to tell apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def draw(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture with what super-resolution has to do with: smooth shading and sharp edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    shade = np.stack([rng.uniform(40, 120) + 90 * (a * x + b * y) for a, b in rng.random((3, 2))])
    for _ in range(6):
        cy, cx, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.3)
        shade[:, (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 255, (3, 1))
    return shade.transpose(1, 2, 0).clip(0, 255).astype(np.uint8)
