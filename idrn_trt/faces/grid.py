"""What the face detector's network answers, and the boxes in it.

The answer is float32 (3 * VALUES, H / 8, W / 8): for each level (stride) and each cell of CELL_PX by
CELL_PX pixels a score's logit, the way from the cell's centre to the face's in strides (x, y), and the
logarithms of the face's width and height in strides. All levels share one grid, so that one rule
decodes them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

# The answer's name in a model file: every model of this project has the ends `lr` and `sr`.
OUTPUT = "sr"
CELL_PX = 8
STRIDES = (8, 16, 32)
VALUES = 5
# The largest face by its logarithm in strides: e^4 * 32 is beyond any frame that a face fits into.
_LARGEST_LOG = 4.0


def decode(answer: Float32, least_score: float) -> tuple[Float32, Float32]:
    """Boxes (n, 4) as left, top, width, height in pixels, and scores (n,), of the cells above a score.

    answer: (3 * VALUES, h, w) as the network makes it. least_score: above 0 and below 1.
    """
    height, width = answer.shape[1:]
    levels = answer.reshape(len(STRIDES), VALUES, height, width)
    level, y, x = np.nonzero(levels[:, 0] > np.log(least_score / (1 - least_score)))
    logit, dx, dy, log_w, log_h = levels[level, :, y, x].T
    stride = np.asarray(STRIDES, np.float32)[level]
    centre = (np.stack([x, y]) + np.float32(0.5)) * CELL_PX + np.stack([dx, dy]) * stride
    size = np.exp(np.minimum(np.stack([log_w, log_h]), _LARGEST_LOG)) * stride
    boxes = np.concatenate([centre - size / 2, size]).T.astype(np.float32)
    scores = (1 / (1 + np.exp(-logit))).astype(np.float32)
    return boxes, scores
