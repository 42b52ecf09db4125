"""The face detectors by name.

Sizes of faces are the side of a square over the whole face, brow to chin with some forehead: the longer
side of YuNet's box and of our network's, 1.12 times a Haar cascade's.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import BackendUnavailable, ModelError, OptionError
from idrn_trt.faces.cnn import CNN_SMALLEST_FACE_PX, CnnDetector
from idrn_trt.faces.haar import HAAR_CASCADE, HAAR_SMALLEST_FACE_PX, HaarDetector, load_cascade
from idrn_trt.faces.working import LEAST_MIN_FACE_PX
from idrn_trt.faces.yunet import YUNET_SMALLEST_FACE_PX, YuNetDetector
from idrn_trt.types import Face
from idrn_trt.zoo import DETECTOR_MODEL, find_model

UInt8 = npt.NDArray[np.uint8]

DETECTORS = ("cnn", "haar", "yunet")


class Detector(Protocol):
    """Finds faces in a frame. One object serves one thread at a time."""

    name: str
    smallest_face_px: int
    """The smallest face, in frame pixels, it can see at the scale it works at."""

    def detect(self, frame: UInt8) -> list[Face]:
        """The faces in a frame, boxes in its pixels, from left to right.

        frame: uint8 RGB (H, W, 3) or grey (H, W), of any size; one too small for a face has none. Raises
        OptionError for another array.
        """
        ...


def open_detector(
    name: str,
    *,
    min_face_px: int = 24,
    model_file: Path | None = None,
    upscale: bool = False,
    engine: str = "openvino",
    threads: int | None = None,
) -> Detector:
    """The detector of that name, ready to use.

    min_face_px: the smallest face worth finding, in frame pixels. The detector works on the frame
    shrunk as far as such a face stays visible to it, and on an enlarged one only with upscale.
    model_file: YuNet's .onnx, or a model folder in the place of the one that cnn carries. engine, threads:
    what cnn and yunet compute in, "openvino", "onnxruntime" or "tensorrt", and with how much. Raises
    OptionError, ModelError for a file that is not that detector's, BackendUnavailable where OpenCV lacks a
    cascade or TensorRT is missing, and DeviceError where there is no GPU for it.
    """
    check_detector(name, min_face_px, model_file)
    if name == "haar":
        return HaarDetector(min_face_px=min_face_px, upscale=upscale)
    if name == "yunet" and model_file is not None:
        return YuNetDetector(
            model_file, min_face_px=min_face_px, upscale=upscale, engine=engine, threads=threads
        )
    return CnnDetector(
        model_file, min_face_px=min_face_px, upscale=upscale, engine=engine, threads=threads
    )


def check_detector(name: str, min_face_px: int, model_file: Path | None) -> None:
    """What can be said of `open_detector`'s arguments before anything is opened. Raises OptionError."""
    if not LEAST_MIN_FACE_PX <= min_face_px < math.inf:  # NaN is refused too
        raise OptionError(
            f"min_face_px must be a number of at least {LEAST_MIN_FACE_PX}, got {min_face_px!r}"
        )
    if name not in DETECTORS:
        near = difflib.get_close_matches(str(name).lower(), DETECTORS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"no detector {name!r}.{hint} There are: {', '.join(DETECTORS)}.")
    if name == "yunet" and model_file is None:
        raise OptionError(
            "detector 'yunet' needs its model file, which is not carried along: give "
            "model_file (--detector-model), such as face_detection_yunet_2023mar.onnx of OpenCV Zoo"
        )


@dataclass(frozen=True, slots=True)
class DetectorStatus:
    """What `doctor` says of one detector.

    smallest_face_px: at the frame's own scale. reason: what it still needs, or why it is not usable.
    """

    name: str
    usable: bool
    smallest_face_px: int
    reason: str = ""


def describe_detectors() -> list[DetectorStatus]:
    """Each detector of DETECTORS, tried as far as that goes without being opened."""
    needs = "give its file with --detector-model"
    return [
        _status("cnn", CNN_SMALLEST_FACE_PX, lambda: find_model(DETECTOR_MODEL)),
        _status("haar", HAAR_SMALLEST_FACE_PX, lambda: load_cascade(HAAR_CASCADE)),
        DetectorStatus("yunet", usable=True, smallest_face_px=YUNET_SMALLEST_FACE_PX, reason=needs),
    ]


def _status(name: str, smallest_px: int, attempt: Callable[[], object]) -> DetectorStatus:
    try:
        attempt()
    except (BackendUnavailable, ModelError) as error:
        return DetectorStatus(name, usable=False, smallest_face_px=smallest_px, reason=str(error))
    return DetectorStatus(name, usable=True, smallest_face_px=smallest_px)
