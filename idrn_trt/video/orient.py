"""Frames turned upright by their display matrix, as players show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

UInt8 = npt.NDArray[np.uint8]
Turn = Callable[[UInt8], UInt8]

# Signs of the matrix's a, b, c, d -> how the stored picture is turned to be shown. The matrix takes a
# stored point (x, y) to the shown (a x + c y, b x + d y) (https://ffmpeg.org/doxygen/trunk/group__lavu__video__display.html).
_TURNS: dict[tuple[int, int, int, int], tuple[str, int]] = {
    (1, 0, 0, 1): ("", 0),
    (0, 1, -1, 0): ("turned by 90 degrees clockwise", 90),
    (-1, 0, 0, -1): ("turned by 180 degrees", 180),
    (0, -1, 1, 0): ("turned by 90 degrees anticlockwise", 270),
    (-1, 0, 0, 1): ("mirrored left to right", 0),
    (1, 0, 0, -1): ("mirrored top to bottom", 180),
    (0, 1, 1, 0): ("mirrored left to right, then turned by 90 degrees anticlockwise", 270),
    (0, -1, -1, 0): ("mirrored left to right, then turned by 90 degrees clockwise", 90),
}
_ROTATE = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def turn_of(frame: VideoFrame) -> tuple[Turn | None, bool, str]:
    """How this frame's pictures are turned.

    The function that does it (None for not at all), whether it swaps width and height, and a note that
    says so ("" for none).
    """
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return None, False, ""
    values = np.frombuffer(bytes(side_data), np.int32)
    if len(values) < 9:
        return None, False, "a damaged display matrix is ignored"
    a, b, c, d = (int(np.sign(values[k])) for k in (0, 1, 3, 4))
    if (a, b, c, d) not in _TURNS:
        return None, False, "a display matrix that is not a quarter turn is ignored"
    words, degrees = _TURNS[a, b, c, d]
    if not words:
        return None, False, ""
    mirrored = a * d - b * c < 0
    return _turn(degrees, mirrored), degrees in {90, 270}, f"{words}, as its display matrix says"


def _turn(degrees: int, mirrored: bool) -> Turn:  # noqa: FBT001 (private)
    def turn(picture: UInt8) -> UInt8:
        if mirrored:
            picture = np.asarray(cv2.flip(picture, 1), np.uint8)
        if degrees:
            picture = np.asarray(cv2.rotate(picture, _ROTATE[degrees]), np.uint8)
        return picture

    return turn
