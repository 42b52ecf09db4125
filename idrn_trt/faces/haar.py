"""OpenCV's Haar cascade as a detector.

The constants are measured by benchmarks/detection.py; its results are in benchmarks/results/detection.json.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import BackendUnavailable
from idrn_trt.faces.working import checked, faces_of, resized, working_scale
from idrn_trt.types import Face

UInt8 = npt.NDArray[np.uint8]

# The smallest size, at the scale it works at, to rely on: 93 % are found at 22 px, 96 % at 24.
HAAR_SMALLEST_FACE_PX = 24

# Of the cascades OpenCV carries, and of scale steps 1.1 and 1.2, the best recall for false faces and time.
HAAR_CASCADE = "haarcascade_frontalface_alt2.xml"
HAAR_SCALE_STEP = 1.1
HAAR_MIN_NEIGHBOURS = 3
# The last stage's votes add up to 53.8 or more for whatever passes the cascade. Asking for more costs 1 %
# of the faces in the clips and saves half of what is none (a third in large, busy scenes).
HAAR_LEAST_SCORE = 55.0
# The cascade finds squares. The face in one, from hairline to chin and from ear to ear as the other detectors
# give it and windows are shaped for, is this part: left, top, width and height in sides of the square.
# Medians over 257 faces (docs/decisions/035-upright-windows.md).
HAAR_FACE = (0.084, -0.069, 0.841, 1.145)


class HaarDetector:
    """A boosted cascade of Haar features on the grey picture; needs nothing but OpenCV below 5."""

    name = "haar"

    def __init__(self, *, min_face_px: int = 24, upscale: bool = False) -> None:
        self._cascade = load_cascade(HAAR_CASCADE)
        self._scale = working_scale(HAAR_SMALLEST_FACE_PX, min_face_px, upscale=upscale)
        self.smallest_face_px = math.ceil(HAAR_SMALLEST_FACE_PX / self._scale)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector. The score is the sum of the last stage's votes, from 55 to about 58."""
        frame = checked(frame)
        if frame.size == 0:
            return []
        grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        picture = resized(np.asarray(grey, np.uint8), self._scale)
        height, width = picture.shape
        if min(height, width) < min(self._cascade.getOriginalWindowSize()):
            return []
        boxes, _, weights = self._cascade.detectMultiScale3(
            picture,
            scaleFactor=HAAR_SCALE_STEP,
            minNeighbors=HAAR_MIN_NEIGHBOURS,
            outputRejectLevels=True,
        )
        squares = np.reshape(boxes, (-1, 4)).astype(np.float64)
        left, top, w, h = HAAR_FACE
        sides = squares[:, 2]
        found = np.column_stack(
            [
                squares[:, 0] + left * sides,
                squares[:, 1] + top * sides,
                w * sides,
                h * sides,
                np.ravel(weights),
            ]
        )
        return faces_of(found[found[:, 4] >= HAAR_LEAST_SCORE], frame, (height, width))


def load_cascade(file: str) -> cv2.CascadeClassifier:
    """A cascade that OpenCV carries. Raises BackendUnavailable where it does not."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, file)
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise BackendUnavailable(
            f"detector 'haar' is not usable: OpenCV {cv2.__version__} lacks {file} (version 5 no "
            'longer carries the cascades). pip install "opencv-python>=4.8,<5", or use '
            "another detector."
        )
    return cv2.CascadeClassifier(str(path))
