"""What of each frame is shown in the output video, always at one size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.faces.window import WINDOW_SHAPES_PX
from idrn_trt.types import Result, View
from idrn_trt.views import GAP_PX, GREY, compose

UInt8 = npt.NDArray[np.uint8]


class Canvas:
    """Views of one clip's frames, all of the first one's size.

    The view "faces" has no size before the first face. Its canvas then has one cell for each face of
    that frame, each large enough for the largest window, so that a face that comes nearer still fits;
    sheets of more faces are shrunk.
    """

    def __init__(self, view: View, scale: int) -> None:
        self._view = view
        self._cell = tuple(side * scale for side in WINDOW_SHAPES_PX[-1])
        self._size: tuple[int, int] | None = None

    def show(self, frame: UInt8, result: Result) -> UInt8 | None:
        """The picture to write, uint8 RGB; None while there is no size for it yet."""
        picture = compose(self._view, frame, result)
        if self._view != "faces":
            return picture
        if picture is None:
            return self.blank()
        if self._size is None:
            self._size = self._grid(picture, result)
        return self._centred(picture, self._size)

    def blank(self) -> UInt8 | None:
        """The canvas without a face; None while it has no size."""
        return None if self._size is None else np.full((*self._size, 3), GREY, np.uint8)

    def _grid(self, sheet: UInt8, result: Result) -> tuple[int, int]:
        height, width = (max(face.sr.shape[axis] for face in result.faces) for axis in (0, 1))
        rows = (sheet.shape[0] + GAP_PX) // (2 * (height + GAP_PX))
        columns = (sheet.shape[1] + GAP_PX) // (width + GAP_PX)
        most_h, most_w = self._cell
        return rows * 2 * (most_h + GAP_PX) - GAP_PX, columns * (most_w + GAP_PX) - GAP_PX

    def _centred(self, sheet: UInt8, size: tuple[int, int]) -> UInt8:
        shrink = min(1.0, size[0] / sheet.shape[0], size[1] / sheet.shape[1])
        if shrink < 1:
            width, height = (max(1, int(side * shrink)) for side in sheet.shape[1::-1])
            sheet = np.asarray(cv2.resize(sheet, (width, height), interpolation=cv2.INTER_AREA))
        canvas = np.full((*size, 3), GREY, np.uint8)
        top, left = (size[0] - sheet.shape[0]) // 2, (size[1] - sheet.shape[1]) // 2
        canvas[top : top + sheet.shape[0], left : left + sheet.shape[1]] = sheet
        return canvas
