"""A few words in a picture's corner: how fast, how late, by what."""

from __future__ import annotations

import time
from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.types import StreamResult

UInt8 = npt.NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_RATE_FRAMES = 30


class Hud:
    """Draws for one sink. engine: what computes, in words."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._drawn_s: deque[float] = deque(maxlen=_RATE_FRAMES)

    def drawn(self, result: StreamResult) -> UInt8:
        """A copy of the result's picture, which it must have, with the words in it."""
        now_s = time.perf_counter()
        self._drawn_s.append(now_s)
        age_ms = now_s * 1e3 - result.captured_ns / 1e6
        words = f"{self._fps():.1f} fps  {age_ms:.0f} ms  {len(result.faces)} faces  {self._engine}"
        picture = np.array(result.picture, np.uint8)
        scale = max(0.4, picture.shape[0] / 1000)
        place = (round(12 * scale), round(36 * scale))
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                picture,
                words,
                place,
                _FONT,
                scale,
                colour,
                max(1, round(width * scale)),
                cv2.LINE_AA,
            )
        return picture

    def _fps(self) -> float:
        span_s = self._drawn_s[-1] - self._drawn_s[0]
        return (len(self._drawn_s) - 1) / span_s if span_s > 0 else 0.0
