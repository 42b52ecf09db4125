"""Pictures and small training runs for the toolchain's tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
from drawings import draw
from PIL import Image


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small lose more to threads waiting for each other than they gain."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 pictures of 64 to 83 px a side; none is square."""
    folder = tmp_path_factory.mktemp("faces")
    for k in range(40):
        Image.fromarray(draw(k, 64 + k % 13, 70 + k % 14)).save(folder / f"{k:03}.png")
    return folder
