"""YuNet (Wu et al. 2023, https://doi.org/10.1007/s11633-023-1423-y), for those who bring its file.

How its outputs are decoded is OpenCV's way:
https://github.com/opencv/opencv/blob/4.x/modules/objdetect/src/face_detect.cpp
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.engines._onnx_file import inspect_onnx
from idrn_trt.errors import ModelError, reason_of
from idrn_trt.faces.network import MULTIPLE_PX, open_network
from idrn_trt.faces.working import checked, faces_of, padded, resized, working_scale
from idrn_trt.types import Face

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# The smallest size, at the scale it works at, to rely on: 86 % are found at 22 px, 92 % at 24.
YUNET_SMALLEST_FACE_PX = 24
YUNET_SCORE = 0.6
_STRIDES = (8, 16, 32)
_OUTPUTS = [f"{part}_{stride}" for stride in _STRIDES for part in ("cls", "obj", "bbox")]
_ADVICE = "Give the file of YuNet, such as face_detection_yunet_2023mar.onnx of OpenCV Zoo."
_LARGEST_FILE = 16 << 20


class YuNetDetector:
    """A small convolutional detector (OpenCV Zoo) in OpenVINO, ONNX Runtime or TensorRT.

    model_file: its .onnx. engine, threads: see `open_network`. Raises ModelError for another file, and
    what `open_network` raises.
    """

    name = "yunet"

    def __init__(
        self,
        model_file: Path,
        *,
        min_face_px: int = 24,
        upscale: bool = False,
        engine: str = "openvino",
        threads: int | None = None,
    ) -> None:
        data = _read(Path(model_file))
        try:
            inspect_onnx(data)
            self._network = open_network(
                data, model_file.name, _OUTPUTS, engine=engine, unit=1.0, threads=threads
            )
        except ModelError as error:
            raise ModelError(
                f"detector 'yunet': {str(model_file)!r} is not a YuNet model or is damaged: {error}. "
                f"{_ADVICE}"
            ) from error
        self._scale = working_scale(YUNET_SMALLEST_FACE_PX, min_face_px, upscale=upscale)
        self.smallest_face_px = math.ceil(YUNET_SMALLEST_FACE_PX / self._scale)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector. The score is the network's, from 0.6 to 1."""
        frame = checked(frame)
        if frame.size == 0:
            return []
        code = cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR
        picture = resized(np.asarray(cv2.cvtColor(frame, code), np.uint8), self._scale)
        height, width = picture.shape[:2]
        if min(height, width) < YUNET_SMALLEST_FACE_PX:  # it sees faces in strips of noise
            return []
        fitted = padded(picture, MULTIPLE_PX)
        rows = _decoded(self._network.run(fitted), fitted.shape[1])
        return faces_of(rows, frame, (height, width))


def _decoded(outputs: Sequence[Float32], width_px: int) -> Float32:
    """Rows of x, y, w, h, score of the cells above YUNET_SCORE, in pixels of the picture."""
    parts = []
    for level, stride in enumerate(_STRIDES):
        classes, objects, boxes = outputs[3 * level : 3 * level + 3]
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1)).ravel()
        cells = np.flatnonzero(scores >= YUNET_SCORE)
        dx, dy, log_w, log_h = boxes.reshape(-1, 4)[cells].T
        row, column = np.divmod(cells, width_px // stride)
        w, h = np.exp(log_w) * stride, np.exp(log_h) * stride
        x, y = (column + dx) * stride - w / 2, (row + dy) * stride - h / 2
        parts.append(np.column_stack([x, y, w, h, scores[cells]]))
    return np.concatenate(parts).astype(np.float32)


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ModelError(f"detector 'yunet': {str(file)!r} is too large to be it. {_ADVICE}")
        return file.read_bytes()
    except OSError as error:
        reason = reason_of(error)
        raise ModelError(f"detector 'yunet': no file {str(file)!r}: {reason}. {_ADVICE}") from error
