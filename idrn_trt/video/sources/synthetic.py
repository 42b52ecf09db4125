"""`test:` a moving scene with a real face, for trying things out without a camera."""

from __future__ import annotations

import math
import re
import time
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import OptionError, SourceError
from idrn_trt.video.sources.base import SourceFrame

UInt8 = npt.NDArray[np.uint8]

_FORM = re.compile(r"test:(?:(\d{2,4})x(\d{2,4}))?(?:@(\d{1,3}))?")
# Where the face of scikit-image's astronaut (NASA, public domain) is, with its surroundings, and how wide
# its face is there: x, y, side, face, in pixels.
_PORTRAIT = (130, 0, 190, 95)
# The face goes once around its path in so many seconds.
_ROUND_S = 12.0


class Synthetic:
    """`test:[WIDTHxHEIGHT][@FPS]`, 640x480 at 30 by default: a face of about a tenth of the width.

    A live source that keeps its rate, so that frames are dropped as a camera's are. Raises OptionError.
    """

    live = True

    def __init__(self, text: str) -> None:
        match = _FORM.fullmatch(text)
        if match is None:
            raise OptionError(
                f"{text!r} is no test source: expected test:, test:640x480 or test:@15"
            )
        self.name = text
        self._size = (int(match[1] or 640), int(match[2] or 480))
        self._fps = int(match[3] or 30)
        if self._fps < 1 or min(self._size) < 64:
            raise OptionError(f"{text!r}: expected at least 64x64 pixels and 1 frame/s")
        self._scene: UInt8 = np.empty((0, 0, 3), np.uint8)
        self._face: UInt8 = self._scene
        self._start_ns = 0
        self._number = 0

    def open(self) -> None:
        """See Source. Raises SourceError without scikit-image, which carries the photograph."""
        try:
            from skimage.data import astronaut
        except ImportError as error:
            raise SourceError(
                f"{self.name!r} shows a photograph that scikit-image carries: "
                'pip install "idrn-trt[demo]"'
            ) from error
        photograph = np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]
        x, y, side, face = _PORTRAIT
        scale = max(32, self._size[0] // 10) / face
        portrait = photograph[y : y + side, x : x + side]
        shown = max(1, min(round(side * scale), *self._size))
        self._face = np.asarray(
            cv2.resize(portrait, (shown, shown), interpolation=cv2.INTER_AREA), np.uint8
        )
        self._scene = _scenery(*self._size)
        self._start_ns, self._number = time.perf_counter_ns(), 0

    def read(self) -> SourceFrame | None:
        """See Source."""
        moment = Fraction(self._number, self._fps)
        due_ns = self._start_ns + int(moment * 1_000_000_000)
        if (wait_ns := due_ns - time.perf_counter_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        self._number += 1
        return SourceFrame(self._picture(float(moment)), moment, due_ns)

    def close(self) -> None:
        """See Source."""

    def _picture(self, moment_s: float) -> UInt8:
        angle = 2 * math.pi * moment_s / _ROUND_S
        side = self._face.shape[0]
        x = round((self._size[0] - side) * (0.5 + 0.45 * math.sin(angle)))
        y = round((self._size[1] - side) * (0.5 + 0.45 * math.sin(2 * angle)))
        picture = self._scene.copy()
        picture[y : y + side, x : x + side] = self._face
        return picture


def _scenery(width: int, height: int) -> UInt8:
    """A soft gradient with nothing in it that is like a face."""
    across = np.linspace(40, 120, width)
    down = np.linspace(0, 60, height)
    shade = (across[None, :] + down[:, None]).astype(np.uint8)
    return np.stack([shade, shade // 2 + 40, 200 - shade], -1).astype(np.uint8)
