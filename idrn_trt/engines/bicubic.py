"""The floor every other engine must beat: OpenCV's bicubic enlargement, no model needed."""

from __future__ import annotations

import cv2
import numpy as np

from idrn_trt.engines.base import EngineBase, UInt8
from idrn_trt.types import EngineSpec, Precision

NAME = "bicubic"


def version() -> str:
    """OpenCV's version."""
    return str(cv2.__version__)


def precisions(kinds: set[str]) -> list[Precision]:  # noqa: ARG001 (the other engines need it)
    """Always the same: no model file is read."""
    return ["fp32"]


class BicubicEngine(EngineBase):
    """Bicubic by an integer scale (Keys 1981, a = -0.75 as in OpenCV)."""

    def __init__(self, scale: int) -> None:
        super().__init__(
            EngineSpec(engine=NAME, model=NAME, scale=scale, precision="fp32", min_window_px=1)
        )

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        height, width = out.shape[1:3]
        for image, place in zip(batch, out, strict=True):
            # OpenCV takes no negative strides.
            source = np.ascontiguousarray(image)
            cv2.resize(source, (width, height), dst=place, interpolation=cv2.INTER_CUBIC)


OPEN = BicubicEngine
