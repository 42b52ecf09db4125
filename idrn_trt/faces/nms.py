"""One box a face: of boxes that overlap, the surest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

# Two boxes are one face when they share more than this of the smaller one: so a box within a box goes
# too, which the usual intersection over union would keep. Cheek to cheek, faces share less.
SAME_FACE_SHARE = 0.5


def distinct(boxes: Floats, scores: Floats) -> npt.NDArray[np.intp]:
    """The places of the boxes to keep, the surest first.

    boxes: (n, 4) left, top, width, height, all sizes above 0; scores: (n,). Of boxes that are one face by
    SAME_FACE_SHARE the one with the highest score is kept, of equal ones the first.
    """
    waiting = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2:].prod(axis=1)
    kept = []
    while len(waiting):
        surest, waiting = waiting[0], waiting[1:]
        kept.append(surest)
        sides = np.minimum(high[surest], high[waiting]) - np.maximum(low[surest], low[waiting])
        shared = np.maximum(sides, 0).prod(axis=1)
        apart = shared <= SAME_FACE_SHARE * np.minimum(area[surest], area[waiting])
        waiting = waiting[apart]
    return np.array(kept, np.intp)
