"""Our own detector: a small convolutional network that the package carries (docs/detector.md)."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.engines._onnx_file import load_onnx
from idrn_trt.errors import ModelError
from idrn_trt.faces.grid import CELL_PX, OUTPUT, STRIDES, VALUES, Float32, decode
from idrn_trt.faces.network import MULTIPLE_PX, open_network
from idrn_trt.faces.working import checked, faces_of, padded, resized, working_scale
from idrn_trt.types import Face
from idrn_trt.zoo import DETECTOR_MODEL, FACE_DETECTION, find_model

UInt8 = npt.NDArray[np.uint8]

# The smallest size, at the scale it works at, to rely on (benchmarks/detection.py).
CNN_SMALLEST_FACE_PX = 16
# Chosen on the training's validation scenes and backgrounds (docs/decisions/025).
LEAST_SCORE = 0.6

_KINDS = ("int8-cpu", "fp32")
_TENSORRT_KINDS = ("fp16", "fp32")  # docs/decisions/030
_PROBE_PX = 2 * MULTIPLE_PX


class CnnDetector:
    """An anchor-free convolutional detector: int8 in OpenVINO and ONNX Runtime, float16 in TensorRT.

    model: a model folder, by default the one that the package carries. engine, threads: see
    `open_network`. Raises ModelError for a model that is no face detector, is altered or damaged, and
    what `open_network` raises.
    """

    name = "cnn"

    def __init__(
        self,
        model: Path | None = None,
        *,
        min_face_px: int = 24,
        upscale: bool = False,
        engine: str = "openvino",
        threads: int | None = None,
    ) -> None:
        found = find_model(model or DETECTOR_MODEL)
        if found.manifest is None or found.manifest.task != FACE_DETECTION:
            raise ModelError(
                f"model {found.name!r} is no face detector: give a folder such as {DETECTOR_MODEL!r}, "
                "or none for the one that is carried along"
            )
        file = load_onnx(found, _TENSORRT_KINDS if engine == "tensorrt" else _KINDS)
        self._network = open_network(
            file.data, found.name, [OUTPUT], engine=engine, unit=1 / 255, threads=threads
        )
        grid = _PROBE_PX // CELL_PX
        shape = self._answer(np.zeros((_PROBE_PX, _PROBE_PX, 3), np.uint8)).shape
        if shape != (len(STRIDES) * VALUES, grid, grid):
            raise ModelError(
                f"detector {found.name!r} answers {shape} to {_PROBE_PX}x{_PROBE_PX} pixels, expected "
                f"{(len(STRIDES) * VALUES, grid, grid)}"
            )
        self._scale = working_scale(CNN_SMALLEST_FACE_PX, min_face_px, upscale=upscale)
        self.smallest_face_px = math.ceil(CNN_SMALLEST_FACE_PX / self._scale)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector. The score is the network's, from LEAST_SCORE to 1."""
        frame = checked(frame)
        if frame.size == 0:
            return []
        colour = frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB)
        picture = resized(np.asarray(colour, np.uint8), self._scale)
        height, width = picture.shape[:2]
        if min(height, width) < CNN_SMALLEST_FACE_PX:
            return []
        boxes, scores = decode(self._answer(padded(picture, MULTIPLE_PX)), LEAST_SCORE)
        return faces_of(np.column_stack([boxes, scores]), frame, (height, width))

    def _answer(self, picture: UInt8) -> Float32:
        (answers,) = self._network.run(picture)
        return np.asarray(answers[0], np.float32)
