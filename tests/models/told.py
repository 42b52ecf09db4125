"""A detector for tests in which where the faces are is given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idrn_trt.types import Box, Face


class Told:
    """A detector that finds, in every frame, the faces it was told of."""

    name = "told"
    smallest_face_px = 1

    def __init__(self, *boxes: Box) -> None:
        self.faces = [Face(box, 1.0) for box in boxes]

    def detect(self, frame: npt.NDArray[np.uint8]) -> list[Face]:
        del frame  # told is told
        return self.faces
