"""How good a reconstruction is on whole face crops, with bicubic always beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from idrn_trt.engines.base import Engine
from idrn_trt.errors import OptionError, SourceError
from idrn_trt.images import READ_SUFFIXES, read_image
from idrn_trt.quality.grid import grid
from idrn_trt.quality.metrics import (
    SSIM_WINDOW_PX,
    luma,
    pooled_psnr,
    psnr,
    psnr_y,
    ssim,
    ssim_paper,
    worst_decile,
)
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair

UInt8 = npt.NDArray[np.uint8]
# (HR square, scale, place in the set) -> LR, for degradations other than bicubic.
Degrade = Callable[[UInt8, int, int], UInt8]


@dataclass(frozen=True, slots=True)
class Figures:
    """One reconstruction against the truth: PSNR in dB and SSIM, on luma and on RGB.

    ssim_y_paper is Eq. (4) with the paper's constants, on luma.
    """

    psnr_y_db: float
    psnr_rgb_db: float
    ssim_y: float
    ssim_rgb: float
    ssim_y_paper: float


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one picture: ours, and bicubic's from the same LR."""

    file: str
    ours: Figures
    bicubic: Figures

    @property
    def gain_db(self) -> float:
        """PSNR-Y above bicubic."""
        return self.ours.psnr_y_db - self.bicubic.psnr_y_db


def figures(sr: UInt8, hr: UInt8) -> Figures:
    """Every figure of one reconstruction; two uint8 RGB pictures of one size."""
    y_sr, y_hr = luma(sr), luma(hr)
    return Figures(
        psnr_y_db=psnr_y(sr, hr),
        psnr_rgb_db=psnr(sr, hr),
        ssim_y=ssim(y_sr, y_hr),
        ssim_rgb=ssim(sr, hr),
        ssim_y_paper=ssim_paper(y_sr, y_hr),
    )


def evaluate(
    engine: Engine, folder: Path, lr_px: int = 32, *, degrade: Degrade | None = None
) -> list[Score]:
    """The score of every picture below `folder`, in name order.

    Raises SourceError when the folder holds no picture or one that cannot be read. The rest is as in
    `evaluate_pictures`.
    """
    return evaluate_pictures(engine, folder_pictures(folder), lr_px, degrade=degrade)


def folder_pictures(folder: Path) -> Iterator[tuple[str, UInt8]]:
    """(file's name, uint8 RGB) of every picture below `folder`, in the order of their paths.

    Raises SourceError when there is none, or one that cannot be read.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READ_SUFFIXES)
    if not files:
        raise SourceError(f"no picture below {str(folder)!r} to evaluate on")
    for file in tqdm(files, desc="evaluating", unit="picture", leave=False, disable=None):
        yield file.name, read_image(file)


def evaluate_pictures(
    engine: Engine,
    pictures: Iterable[tuple[str, UInt8]],
    lr_px: int = 32,
    *,
    degrade: Degrade | None = None,
    crop_px: int = 0,
) -> list[Score]:
    """The score of every (name, uint8 RGB picture).

    HR is the picture's centre square at lr_px * s; LR its antialiased bicubic reduction, or what
    `degrade` makes of it. `crop_px` pixels of every border are left out of the figures. Raises
    OptionError when less than SSIM's window is left.
    """
    scale = engine.spec.scale
    left = lr_px * scale - 2 * crop_px
    if left < SSIM_WINDOW_PX:
        raise OptionError(
            f"LR {lr_px} px at x{scale} less borders of {crop_px} px leaves {left} px to measure on: "
            f"expected at least {SSIM_WINDOW_PX}"
        )
    scores = []
    for place, (name, pixels) in enumerate(pictures):
        lr, hr = _pair(pixels, scale, lr_px, place, degrade)
        # The engine's own buffer is read before it runs again.
        ours = figures(_inside(engine.run(lr[None])[0], crop_px), _inside(hr, crop_px))
        floor = figures(_inside(bicubic_up(lr, scale), crop_px), _inside(hr, crop_px))
        scores.append(Score(name, ours, floor))
    return scores


def by_group(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Means over all pictures and over each group of file names that start with the same letters.

    Each group has count, then psnr_y_db, psnr_rgb_db, ssim_y, ssim_rgb and ssim_y_paper, each also
    with bicubic_ before it; the gain in PSNR-Y with its worst decile; and psnr_y_db's worst decile
    and value pooled over the pictures as Eq. (3) has it.
    """
    groups: dict[str, list[Score]] = {"all": list(scores)}
    for score in scores:
        match = re.match(r"[A-Za-z]+", score.file)
        groups.setdefault(match[0] if match else "other", []).append(score)
    return {name: _means(group) for name, group in groups.items()}


def ranked(scores: Sequence[Score]) -> dict[str, int]:
    """The places of the pictures with the highest, the middle and the lowest gain."""
    order = sorted(range(len(scores)), key=lambda place: scores[place].gain_db)
    return {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}


def comparison(
    engine: Engine,
    pictures: Iterable[tuple[str, UInt8]],
    scores: Sequence[Score],
    lr_px: int = 32,
    *,
    degrade: Degrade | None = None,
) -> UInt8:
    """LR, bicubic, ours and truth of the best, the median and the worst picture, in one picture.

    pictures, lr_px and degrade are those that the scores were made with.
    """
    scale = engine.spec.scale
    chosen = ranked(scores)
    rows: dict[str, tuple[str, list[UInt8]]] = {}
    for place, (name, pixels) in enumerate(pictures):
        for rank in (rank for rank, wanted in chosen.items() if wanted == place):
            lr, hr = _pair(pixels, scale, lr_px, place, degrade)
            sr = engine.run(lr[None])[0].copy()
            caption = f"{rank}: {name}, {scores[place].gain_db:+.2f} dB"
            rows[rank] = (caption, [lr, bicubic_up(lr, scale), sr, hr])
    return grid(("LR", "bicubic", engine.spec.model, "truth"), [rows[rank] for rank in chosen])


def _pair(
    pixels: UInt8, scale: int, lr_px: int, place: int, degrade: Degrade | None
) -> tuple[UInt8, UInt8]:
    lr, hr = evaluation_pair(pixels, scale, lr_px)
    return (lr if degrade is None else degrade(hr, scale, place)), hr


def _means(scores: Sequence[Score]) -> dict[str, float]:
    means: dict[str, float] = {"count": len(scores)}
    for name in Figures.__slots__:
        means[name] = _mean([getattr(s.ours, name) for s in scores])
        means[f"bicubic_{name}"] = _mean([getattr(s.bicubic, name) for s in scores])
    ours = [s.ours.psnr_y_db for s in scores]
    gains = [s.gain_db for s in scores]
    return {
        **means,
        "gain_db": round(float(np.mean(gains)), 3),
        "gain_worst_decile_db": round(worst_decile(gains), 3),
        "psnr_y_worst_decile_db": round(worst_decile(ours), 3),
        "psnr_y_pooled_db": round(pooled_psnr(ours), 3),
        "bicubic_psnr_y_pooled_db": round(pooled_psnr([s.bicubic.psnr_y_db for s in scores]), 3),
    }


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


def _inside(picture: UInt8, crop_px: int) -> UInt8:
    return picture[crop_px : len(picture) - crop_px, crop_px : picture.shape[1] - crop_px]
