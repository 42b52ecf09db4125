"""How good an engine's reconstruction is on whole face crops, with bicubic always beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from idrn_trt.engines.base import Engine
from idrn_trt.errors import SourceError
from idrn_trt.images import READ_SUFFIXES, read_image
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR-Y in dB of one picture: the engine's and bicubic's."""

    file: str
    psnr_y_db: float
    bicubic_psnr_y_db: float


def evaluate(engine: Engine, folder: Path, lr_px: int = 32) -> list[Score]:
    """The score of every picture below `folder`, in name order.

    HR is the picture's centre square at lr_px * s, LR its antialiased bicubic reduction, both uint8.
    Raises SourceError when the folder holds no picture or one that cannot be read.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READ_SUFFIXES)
    if not files:
        raise SourceError(f"no picture below {str(folder)!r} to evaluate on")
    scale = engine.spec.scale
    scores = []
    for file in tqdm(files, desc="evaluating", unit="picture", leave=False, disable=None):
        lr, hr = evaluation_pair(read_image(file), scale, lr_px)
        sr = engine.run(lr[None])[0]
        scores.append(Score(file.name, psnr_y(sr, hr), psnr_y(bicubic_up(lr, scale), hr)))
    return scores


def by_group(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Means over all pictures and over each group of file names that start with the same letters.

    Each group has count, psnr_y_db, bicubic_psnr_y_db, gain_db and the gain's worst decile.
    """
    groups: dict[str, list[Score]] = {"all": list(scores)}
    for score in scores:
        match = re.match(r"[A-Za-z]+", score.file)
        groups.setdefault(match[0] if match else "other", []).append(score)
    return {name: _means(group) for name, group in groups.items()}


def _means(scores: Sequence[Score]) -> dict[str, float]:
    ours = np.array([s.psnr_y_db for s in scores])
    floor = np.array([s.bicubic_psnr_y_db for s in scores])
    return {
        "count": len(scores),
        "psnr_y_db": round(float(ours.mean()), 3),
        "bicubic_psnr_y_db": round(float(floor.mean()), 3),
        "gain_db": round(float((ours - floor).mean()), 3),
        "gain_worst_decile_db": round(float(np.quantile(ours - floor, 0.1)), 3),
    }
