"""Pictures and small training runs for the toolchain's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small lose more to threads waiting for each other than they gain."""
    torch.set_num_threads(1)


def draw(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture with what super-resolution has to do with: smooth shading and sharp edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    shade = np.stack([rng.uniform(40, 120) + 90 * (a * x + b * y) for a, b in rng.random((3, 2))])
    for _ in range(6):
        cy, cx, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.3)
        shade[:, (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 255, (3, 1))
    return shade.transpose(1, 2, 0).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 pictures of 64 to 83 px a side; none is square."""
    folder = tmp_path_factory.mktemp("faces")
    for k in range(40):
        Image.fromarray(draw(k, 64 + k % 13, 70 + k % 14)).save(folder / f"{k:03}.png")
    return folder
