"""A detector and an engine that cost nothing, so that what is around them can be timed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from idrn_trt.engines.base import Engine
from idrn_trt.types import EngineSpec, Face

UInt8 = npt.NDArray[np.uint8]


class Known:
    """A detector that knows the faces."""

    name = "known"
    smallest_face_px = 1

    def __init__(self, faces: list[Face]) -> None:
        self.faces = faces

    def detect(self, frame: UInt8) -> list[Face]:
        """The faces it holds."""
        del frame
        return self.faces


class Recorded:
    """An engine that gives what another one once gave for a batch of that shape."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._answers: dict[tuple[int, ...], UInt8] = {}
        self.notes: list[str] = []

    @property
    def spec(self) -> EngineSpec:
        """The other one's."""
        return self._inner.spec

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        """The recorded answer."""
        if batch.shape not in self._answers:
            self._answers[batch.shape] = self._inner.run(batch).copy()
        if out is None:
            return self._answers[batch.shape]
        np.copyto(out, self._answers[batch.shape])
        return out

    def close(self) -> None:
        """The other one stays its owner's."""
