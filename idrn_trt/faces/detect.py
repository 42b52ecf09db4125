"""Finding faces: OpenCV's Haar cascade, and YuNet for those who bring its file.

Sizes of faces are the side of a square over the whole face, brow to chin with some forehead: the longer
side of YuNet's box, 1.12 times a Haar cascade's. The constants below are measured by
benchmarks/detection.py; its results are in benchmarks/results/detection.json.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import BackendUnavailable, ModelError, OptionError
from idrn_trt.types import Box, Face

UInt8 = npt.NDArray[np.uint8]

DETECTORS = ("haar", "yunet")

# The smallest sizes, at the scale a detector works at, to rely on: nine faces in ten and more are found
# from there on (Haar: 93 % at 22 px, 96 % at 24; YuNet: 86 % at 22, 92 % at 24).
HAAR_SMALLEST_FACE_PX = 24
YUNET_SMALLEST_FACE_PX = 24

# Below this there is no face to tell from noise, and enlarging for it would make frames huge.
LEAST_MIN_FACE_PX = 8

# Of the cascades OpenCV carries, and of scale steps 1.1 and 1.2, the best recall for false faces and time.
HAAR_CASCADE = "haarcascade_frontalface_alt2.xml"
HAAR_SCALE_STEP = 1.1
HAAR_MIN_NEIGHBOURS = 3
# The last stage's votes add up to 53.8 or more for whatever passes the cascade. Asking for more costs 1 %
# of the faces in the clips and saves half of what is none (a third in large, busy scenes).
HAAR_LEAST_SCORE = 55.0

YUNET_SCORE = 0.6
YUNET_NMS_IOU = 0.3

# Two boxes are one face when they share more than this of the smaller one: so a box within a box goes
# too, which the usual intersection over union would keep. Cheek to cheek, faces share less.
SAME_FACE_SHARE = 0.5


class Detector(Protocol):
    """Finds faces in a frame. One object serves one thread at a time."""

    name: str
    smallest_face_px: int
    """The smallest face, in frame pixels, it can see at the scale it works at."""

    def detect(self, frame: UInt8) -> list[Face]:
        """The faces in a frame, boxes in its pixels, from left to right.

        frame: uint8 RGB (H, W, 3) or grey (H, W), of any size; one too small for a face has none.
        """
        ...


def open_detector(
    name: str,
    *,
    min_face_px: int = 24,
    model_file: Path | None = None,
    upscale: bool = False,
) -> Detector:
    """The detector of that name, ready to use.

    min_face_px: the smallest face worth finding, in frame pixels. The detector works on the frame
    shrunk as far as such a face stays visible to it, and on an enlarged one only with upscale.
    model_file: YuNet's .onnx; Haar's is part of OpenCV. Raises OptionError, ModelError for a file that
    is no YuNet, and BackendUnavailable where this OpenCV lacks what the detector needs.
    """
    if min_face_px < LEAST_MIN_FACE_PX:
        raise OptionError(f"min_face_px must be at least {LEAST_MIN_FACE_PX}, got {min_face_px!r}")
    if name == "haar":
        return HaarDetector(min_face_px=min_face_px, upscale=upscale)
    if name != "yunet":
        near = difflib.get_close_matches(str(name).lower(), DETECTORS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"no detector {name!r}.{hint} There are: {', '.join(DETECTORS)}.")
    if model_file is None:
        raise OptionError(
            "detector 'yunet' needs its model file, which OpenCV does not carry: give "
            "model_file (--detector-model), such as face_detection_yunet_2023mar.onnx of OpenCV Zoo"
        )
    return YuNetDetector(model_file, min_face_px=min_face_px, upscale=upscale)


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
    """Each detector of DETECTORS, tried as far as that goes without its model file."""
    try:
        _load_cascade(HAAR_CASCADE)
        haar = DetectorStatus("haar", usable=True, smallest_face_px=HAAR_SMALLEST_FACE_PX)
    except BackendUnavailable as error:
        haar = DetectorStatus(
            "haar", usable=False, smallest_face_px=HAAR_SMALLEST_FACE_PX, reason=str(error)
        )
    able = hasattr(cv2, "FaceDetectorYN")
    needs = "give its file with --detector-model" if able else f"OpenCV {cv2.__version__} lacks it"
    return [
        haar,
        DetectorStatus("yunet", usable=able, smallest_face_px=YUNET_SMALLEST_FACE_PX, reason=needs),
    ]


class HaarDetector:
    """A boosted cascade of Haar features on the grey picture; needs nothing but OpenCV below 5."""

    name = "haar"

    def __init__(self, *, min_face_px: int = 24, upscale: bool = False) -> None:
        self._cascade = _load_cascade(HAAR_CASCADE)
        self._scale = _working_scale(HAAR_SMALLEST_FACE_PX, min_face_px, upscale=upscale)
        self.smallest_face_px = math.ceil(HAAR_SMALLEST_FACE_PX / self._scale)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector. The score is the sum of the last stage's votes, from 55 to about 58."""
        grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        picture = _resized(np.asarray(grey, np.uint8), self._scale)
        if min(picture.shape) < min(self._cascade.getOriginalWindowSize()):
            return []
        boxes, _, weights = self._cascade.detectMultiScale3(
            picture,
            scaleFactor=HAAR_SCALE_STEP,
            minNeighbors=HAAR_MIN_NEIGHBOURS,
            outputRejectLevels=True,
        )
        found = np.column_stack([np.reshape(boxes, (-1, 4)), np.reshape(weights, -1)])
        return _faces(found[found[:, 4] >= HAAR_LEAST_SCORE], frame, picture)


class YuNetDetector:
    """A small convolutional detector (OpenCV Zoo); more certain, turned faces too."""

    name = "yunet"

    def __init__(self, model_file: Path, *, min_face_px: int = 24, upscale: bool = False) -> None:
        self._net = _load_yunet(Path(model_file))
        self._scale = _working_scale(YUNET_SMALLEST_FACE_PX, min_face_px, upscale=upscale)
        self.smallest_face_px = math.ceil(YUNET_SMALLEST_FACE_PX / self._scale)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector. The score is the network's, from 0.6 to 1."""
        code = cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR
        picture = _resized(np.asarray(cv2.cvtColor(frame, code), np.uint8), self._scale)
        height, width = picture.shape[:2]
        if min(height, width) < YUNET_SMALLEST_FACE_PX:  # it sees faces in strips of noise
            return []
        self._net.setInputSize((width, height))
        found = self._net.detect(picture)[1]
        if found is None:
            return []
        return _faces(np.asarray(found)[:, [0, 1, 2, 3, -1]], frame, picture)


def _load_cascade(file: str) -> cv2.CascadeClassifier:
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, file)
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise BackendUnavailable(
            f"detector 'haar' is not usable: OpenCV {cv2.__version__} lacks {file} (version 5 no "
            'longer carries the cascades). pip install "opencv-python>=4.8,<5", or use '
            "detector 'yunet' with its model file."
        )
    return cv2.CascadeClassifier(str(path))


def _load_yunet(model_file: Path) -> cv2.FaceDetectorYN:
    advice = "Give the file of YuNet, such as face_detection_yunet_2023mar.onnx of OpenCV Zoo."
    if not model_file.is_file():
        raise ModelError(f"detector 'yunet': no file {str(model_file)!r}. {advice}")
    try:
        net = cv2.FaceDetectorYN.create(
            str(model_file), "", (64, 64), YUNET_SCORE, YUNET_NMS_IOU, 5000
        )
        net.detect(np.zeros((64, 64, 3), np.uint8))  # another network only fails when it is run
    except cv2.error as error:
        raise ModelError(
            f"detector 'yunet': {str(model_file)!r} is not a YuNet model or is damaged. {advice}"
        ) from error
    return net


def _working_scale(smallest_px: int, min_face_px: int, *, upscale: bool) -> float:
    scale = smallest_px / min_face_px
    return scale if upscale else min(scale, 1.0)


def _resized(picture: UInt8, scale: float) -> UInt8:
    """Rounded up to whole pixels, so that no face falls below what the detector sees."""
    if scale == 1:
        return picture
    height, width = picture.shape[:2]
    size = (math.ceil(width * scale), math.ceil(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def _faces(found: npt.NDArray[np.generic], frame: UInt8, picture: UInt8) -> list[Face]:
    """Rows of x, y, w, h, score in the picture's pixels, as distinct faces in the frame's."""
    x_ratio = frame.shape[1] / picture.shape[1]
    y_ratio = frame.shape[0] / picture.shape[0]
    faces = (
        Face(Box(x * x_ratio, y * y_ratio, w * x_ratio, h * y_ratio), score)
        for x, y, w, h, score in found.astype(float).tolist()
        if w > 0 and h > 0
    )
    return sorted(_distinct(faces), key=lambda face: (face.box.x, face.box.y))


def _distinct(faces: Iterable[Face]) -> list[Face]:
    """The surest of the boxes that are one face."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(_shared(face.box, other.box) <= SAME_FACE_SHARE for other in kept):
            kept.append(face)
    return kept


def _shared(a: Box, b: Box) -> float:
    """The overlap of two boxes over the smaller one's area."""
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return max(w, 0.0) * max(h, 0.0) / min(a.w * a.h, b.w * b.h)
