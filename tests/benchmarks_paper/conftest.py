"""Pictures to repeat the paper's experiments on, at the smallest scale at which they are real."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest
import torch
from drawings import draw
from PIL import Image

# The experiments are scripts, which find each other in their own folder.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "paper"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small lose more to threads waiting for each other than they gain."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/ and test/, of pictures that are large enough for x4."""
    root = tmp_path_factory.mktemp("pictures")
    for name, first, count in (("train", 0, 12), ("test", 100, 4)):
        (root / name).mkdir()
        for k in range(first, first + count):
            kind = "portrait" if k % 2 else "other"
            Image.fromarray(draw(k, 130, 134)).save(root / name / f"{kind}_{k:03}.png")
    return root


@pytest.fixture(scope="session")
def common(pictures: Path) -> list[str]:
    """The arguments that every experiment is given here."""
    return [
        "--data", f"folder:{pictures / 'train'}", "--val-data", f"folder:{pictures / 'test'}",
        "--steps", "2", "--threads", "1", "--workers", "0", "--device", "cpu",
    ]  # fmt: skip
