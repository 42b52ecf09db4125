"""A small folder of pictures with and without faces."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image

FACES, BACKGROUNDS = 40, 60
BOX = (20.0, 15.0, 30.0, 40.0)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 drawings that each have a bright box as their face, and 60 dark ones without."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "train").mkdir()
    (folder / "background").mkdir()
    x, y, w, h = map(int, BOX)
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "x", "y", "w", "h"])
        for k in range(FACES):
            picture = draw(k, 80, 72) // 3
            picture[y : y + h, x : x + w] = 255 - picture[y : y + h, x : x + w]
            Image.fromarray(picture).save(folder / "train" / f"{k:03}.png")
            rows.writerow([f"train/{k:03}.png", *BOX])
    for k in range(BACKGROUNDS):
        dark = np.asarray(draw(1000 + k, 70, 90) // 3, np.uint8)
        Image.fromarray(dark).save(folder / "background" / f"{k:03}.png")
    return folder
