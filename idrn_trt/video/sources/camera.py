"""Cameras of this machine, through OpenCV."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from idrn_trt.errors import SourceError
from idrn_trt.video.sources.base import SourceFrame


class Camera:
    """A camera by its number, or by its device file.

    timeout_s: how long it may give no frame. size: (width, height) asked for; a camera that lacks it
    gives what is nearest. fps: likewise. MJPG is asked for because uncompressed pictures do not fit
    through USB 2 at full rate. What a camera says of its rate is not used: the time of each frame is when
    it came.
    """

    live = True

    def __init__(
        self,
        device: int | str,
        timeout_s: float,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
    ) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else device
        self._device = device
        self._timeout_s = timeout_s
        self._size = size
        self._fps = fps
        self._capture: Any = None

    def open(self) -> None:
        """See Source."""
        backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        capture = cv2.VideoCapture(self._device, backend)
        self._capture = capture
        if not capture.isOpened():
            raise SourceError(
                f"cannot open {self.name!r}: there is no such camera, another program uses it, or "
                "this user may not (on Linux: `ls -l /dev/video*`, group video)"
            )
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if self._size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        if self._fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, self._timeout_s * 1e3)

    def read(self) -> SourceFrame | None:
        """See Source."""
        grabbed = self._capture.grab()
        captured_ns = time.perf_counter_ns()
        taken, bgr = self._capture.retrieve() if grabbed else (False, None)
        if not taken or bgr is None:
            raise SourceError(f"{self.name!r} gives no frames any more")
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        return SourceFrame(rgb, Fraction(captured_ns, 1_000_000_000), captured_ns)

    def close(self) -> None:
        """See Source."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
