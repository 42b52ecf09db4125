"""What the network should answer for a scene, on the grid that faces/grid.py decodes.

A level is responsible for faces of a range of sizes; ranges overlap, and just outside of its range a level
may answer or not. The score's target is a Gaussian around the face's centre, as in CenterNet (Zhou et al.
2019, https://arxiv.org/abs/1904.07850), scaled so that the nearest cell has 1; the box is asked of the
cells whose target is above a share, weighted by it, as in TTFNet (Liu et al. 2020,
https://arxiv.org/abs/1909.00700).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from idrn_trt.faces.grid import CELL_PX, STRIDES

Float32 = npt.NDArray[np.float32]

# Longer sides in pixels that each level answers for.
LEVEL_PX = ((0.0, 56.0), (40.0, 128.0), (96.0, np.inf))
_BORDER = 1.25
# Standard deviation of the score's target: of a face's sides, and its bounds in cells.
_SPREAD = 0.1
_SPREAD_CELLS = (0.6, 1.6)
_BOXED = 0.3


class Targets(NamedTuple):
    """For L levels and h by w cells: score (L, h, w), asked (L, h, w), box (L, 4, h, w), boxed (L, h, w).

    asked: 1 where the score counts, 0 where it does not. box: as the answer's values 1 to 4. boxed: how
    much the box counts there; 1 in all for each face and level.
    """

    score: Float32
    asked: Float32
    box: Float32
    boxed: Float32


def targets(boxes: Float32, counted: npt.NDArray[np.bool_], side_px: int) -> Targets:
    """The targets of a square scene. boxes: (n, 4) left, top, width, height in pixels."""
    cells, levels = side_px // CELL_PX, len(STRIDES)
    made = Targets(
        np.zeros((levels, cells, cells), np.float32),
        np.ones((levels, cells, cells), np.float32),
        np.zeros((levels, 4, cells, cells), np.float32),
        np.zeros((levels, cells, cells), np.float32),
    )
    centres = (np.arange(cells, dtype=np.float32) + 0.5) * CELL_PX
    for box, wanted in zip(boxes, counted, strict=True):
        px = float(box[2:].max())
        for level, (low, high) in enumerate(LEVEL_PX):
            if wanted and low <= px < high:
                _ask(made, level, box, centres)
            elif low / _BORDER <= px < high * _BORDER:
                _forgive(made, level, box, centres)
    return made


def _ask(made: Targets, level: int, box: Float32, centres: Float32) -> None:
    x, y, w, h = box.tolist()
    least, most = (cells * CELL_PX for cells in _SPREAD_CELLS)
    spread = [min(max(_SPREAD * side, least), most) for side in (w, h)]
    away_x, away_y = (x + w / 2 - centres), (y + h / 2 - centres)
    if max(np.abs(away_x).min(), np.abs(away_y).min()) > CELL_PX:
        return  # its centre is outside the scene
    distance = (away_x / spread[0]) ** 2 + ((away_y / spread[1]) ** 2)[:, None]
    score = np.exp((distance.min() - distance) / 2)
    mine = score > made.score[level]
    made.score[level][mine] = score[mine]
    part = mine & (score > _BOXED)
    made.asked[level][part] = 1
    stride = STRIDES[level]
    answer = np.broadcast_arrays(
        away_x / stride, (away_y / stride)[:, None], np.log(w / stride), np.log(h / stride), score
    )[:4]
    for value, wanted in enumerate(answer):
        made.box[level, value][part] = wanted[part]
    made.boxed[level][part] = score[part] / max(float(score[part].sum()), 1e-6)


def _forgive(made: Targets, level: int, box: Float32, centres: Float32) -> None:
    x, y, w, h = box.tolist()
    inside = (np.abs(centres - x - w / 2) < w / 2) & (np.abs(centres - y - h / 2) < h / 2)[:, None]
    made.asked[level][inside & (made.score[level] < _BOXED)] = 0
