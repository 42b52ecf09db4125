"""Whether a window shows anything new, and how sharp it is."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

# The mean difference of a block of BLOCK_PX squared, in grey levels, up to which it is noise. Of two frames
# with Gaussian noise of sigma each, the mean absolute difference is 2 sigma / sqrt(pi), 1.13 sigma: this
# is a sensor's noise of sigma 2.6.
NOISE_LEVELS = 3.0
BLOCK_PX = 8


def unchanged(now: UInt8, before: UInt8) -> bool:
    """Whether two pictures, uint8 (h, w, 3), differ by no more than noise in any of their blocks.

    h and w are multiples of BLOCK_PX, as windows' are. Blocks, because a lip that moves changes little of
    the whole.
    """
    if now.shape != before.shape:
        return False
    down, across = (length // BLOCK_PX for length in now.shape[:2])
    difference = cv2.absdiff(now, before).reshape(down, BLOCK_PX, across, 3 * BLOCK_PX)
    sums = difference.sum(axis=(1, 3), dtype=np.uint32)
    return float(sums.max()) <= NOISE_LEVELS * 3 * BLOCK_PX**2


def sharpness(picture: UInt8) -> float:
    """Variance of the Laplacian in grey, higher is sharper; picture is uint8 RGB."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
