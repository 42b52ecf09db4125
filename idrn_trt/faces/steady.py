"""Faces shown by themselves, without trembling: a part of the window that glides after the face."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.types import TrackedFace

UInt8 = npt.NDArray[np.uint8]

# The part goes after the face so that after this time 63 % of a move are done.
FOLLOW_S = 0.25
# One part in so many of a window's width and height is left out at each end: room to glide in. What is left
# holds the box of every face that has its margin (window.py).
ROOM = 12


class Steady:
    """The shown parts of one source's faces, from frame to frame. Nothing is resampled."""

    def __init__(self) -> None:
        self._centres: dict[int, tuple[float, float]] = {}
        self._last_s = 0.0

    def shown(self, faces: Iterable[TrackedFace], time_s: float) -> list[TrackedFace]:
        """The faces with lr and sr cut to what is shown, both of the same size: lr enlarged by cubic.

        time_s: by the source's clock.
        """
        share = 1 - math.exp(-max(0.0, time_s - self._last_s) / FOLLOW_S)
        self._last_s = time_s
        centres: dict[int, tuple[float, float]] = {}
        parts = []
        for face in faces:
            x, y = face.box.x + face.box.w / 2, face.box.y + face.box.h / 2
            old_x, old_y = self._centres.get(face.track, (x, y))
            centre = old_x + share * (x - old_x), old_y + share * (y - old_y)
            part, centres[face.track] = _part(face, centre)
            parts.append(part)
        self._centres = centres
        return parts


def _part(
    face: TrackedFace, centre: tuple[float, float]
) -> tuple[TrackedFace, tuple[float, float]]:
    """The part of a face's pictures around a place in the frame, and where its own centre is."""
    window = face.window
    scale = face.sr.shape[0] // window.h
    columns, x = _span(centre[0], window.x, window.w, scale)
    rows, y = _span(centre[1], window.y, window.h, scale)
    plain = cv2.resize(face.lr, face.sr.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    lr = np.asarray(plain, np.uint8)
    return replace(face, lr=lr[rows, columns], sr=face.sr[rows, columns]), (x, y)


def _span(middle: float, first: int, length: int, scale: int) -> tuple[slice, float]:
    """One axis of the part around `middle` in a window of `length` from `first` on, and its own middle."""
    room = length // ROOM * scale
    shown = length * scale - 2 * room
    start = min(max(round((middle - first) * scale - shown / 2), 0), 2 * room)
    own = first + (start + shown / 2) / scale
    # Not left behind where the window ends: it would have to catch up.
    return slice(start, start + shown), own if abs(own - middle) > 1 / scale else middle
