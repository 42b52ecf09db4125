"""The whole upscaler on a frame: detection, windows, network, paste."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from idrn_trt.bench.cases import Case
from idrn_trt.bench.measure import Samples, interleave
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.pictures import picture
from idrn_trt.faces.detect import Detector, open_detector
from idrn_trt.faces.window import CONTEXT_PX, MARGIN, WINDOW_SHAPES_PX
from idrn_trt.types import Box, Face
from idrn_trt.upscaler import Upscaler
from idrn_trt.zoo import DEFAULT_DETECTOR

UInt8 = npt.NDArray[np.uint8]

FRAME_PX = (640, 480)
_SEED = 7


class KnownFaces:
    """The real detector, whose time counts, in front of faces whose number and places are known.

    A seeded frame holds no face to find, and a benchmark has to know how many windows it runs.
    """

    def __init__(self, inner: Detector, faces: list[Face]) -> None:
        self._inner = inner
        self._faces = faces
        self.name = inner.name
        self.smallest_face_px = inner.smallest_face_px

    def detect(self, frame: UInt8) -> list[Face]:
        """The known faces, after the time that looking for them takes."""
        self._inner.detect(frame)
        return self._faces


class Pipeline:
    """One engine in an upscaler, with a frame for it; keeps the stage times of every call."""

    def __init__(self, case: Case, options: BenchOptions) -> None:
        if case.opened is None:
            raise TypeError(f"{case.row.name} has no engine")
        self.frame, faces = frame_with_faces(options.windows_a_call, options.window_px)
        detector = KnownFaces(open_detector(DEFAULT_DETECTOR), faces)
        self._upscaler = Upscaler(engine=case.opened, detector=detector)
        self.stages_ms: dict[str, list[float]] = {}

    def run(self) -> None:
        """One frame."""
        for stage, ms in self._upscaler.upscale(self.frame).times_ms.items():
            self.stages_ms.setdefault(stage, []).append(ms)


def frame_with_faces(count: int, window_px: int) -> tuple[UInt8, list[Face]]:
    """A seeded frame of FRAME_PX, or larger where it must be, and `count` faces whose windows are so high."""
    h, w = next((s for s in WINDOW_SHAPES_PX if s[0] >= window_px), WINDOW_SHAPES_PX[-1])
    face_h, face_w = (float(int((side - 2 * CONTEXT_PX) / MARGIN)) for side in (h, w))
    width, height = FRAME_PX
    columns = width // w
    height = max(height, -(-count // columns) * h)
    faces = []
    for k in range(count):
        x, y = (k % columns) * w + (w - face_w) / 2, (k // columns) * h + (h - face_h) / 2
        faces.append(Face(Box(x, y, face_w, face_h), 1.0))
    return picture(height, width, _SEED), faces


def end_to_end(
    cases: list[Case], options: BenchOptions, threads: int, budget_s: float
) -> list[dict[str, Any]]:
    """The upscaler's times with each case's engine, interleaved.

    Raises Interrupted, whose samples are whole frames by row name.
    """
    pipelines = {case.row.name: Pipeline(case, options) for case in cases}
    calls: Mapping[str, Callable[[], object]] = {n: p.run for n, p in pipelines.items()}
    taken = interleave(calls, rounds=1000, block=5, warm=1, threads=threads, budget_s=budget_s)
    return [_entry(case, pipelines[case.row.name], taken, options) for case in cases]


def _entry(
    case: Case, pipeline: Pipeline, taken: Mapping[str, Samples], options: BenchOptions
) -> dict[str, Any]:
    samples = taken[case.row.name]
    height, width = pipeline.frame.shape[:2]
    return {
        "model": case.row.model,
        "engine": case.row.engine,
        "precision": case.row.precision,
        "frame_px": [width, height],
        "faces": options.windows_a_call,
        "detector": DEFAULT_DETECTOR,
        "figures": samples.to_dict(options.reported),
        "stages_p50_ms": {
            stage: round(float(np.median(ms)), 4) for stage, ms in pipeline.stages_ms.items()
        },
        "blocks_ms": samples.blocks_ms(),
    }
