"""Hard negatives: the backgrounds in which a detector sees faces (Sung and Poggio 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from torch import nn
from tqdm import tqdm

from idrn_trt.faces.grid import decode
from idrn_trt.toolchain.detector.pictures import Picture, UInt8
from idrn_trt.toolchain.detector.validate import by_torch

_SCORE = 0.4
_ZOOMS = (1.0, 2.0)


def hard_negatives(net: nn.Module, backgrounds: Sequence[Picture]) -> list[str]:
    """The names of the backgrounds in which the network gives some cell more than a low score."""
    answer = by_torch(net)
    return [
        picture.name
        for picture in tqdm(backgrounds, "hard negatives", leave=False, disable=None)
        if any(len(decode(answer(_zoomed(picture.pixels, z)), _SCORE)[0]) for z in _ZOOMS)
    ]


def _zoomed(pixels: UInt8, zoom: float) -> UInt8:
    """The picture so many times as large, then up to multiples of 32 by its mirrored edge."""
    large = cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    height, width = large.shape[:2]
    return np.asarray(
        cv2.copyMakeBorder(large, 0, -height % 32, 0, -width % 32, cv2.BORDER_REFLECT), np.uint8
    )
