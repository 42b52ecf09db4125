"""What of a result is shown: the whole frame, its faces, or the frame beside or halved with interpolation."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.faces.layout import background
from idrn_trt.types import Result

UInt8 = npt.NDArray[np.uint8]

GAP_PX = 4
# Faces stand on mid grey: neither bright nor dark skin is set off by it.
GREY = 128


def compose(view: str, frame: UInt8, result: Result) -> UInt8 | None:
    """The picture of `view`, one of types.VIEWS, uint8 RGB.

    frame is the input, (H, W, 3). "split" has interpolation in its left half and the result in its
    right. None for "faces" when there is none.
    """
    if view == "frame":
        return result.frame
    if view == "faces":
        return faces_sheet(result)
    height, width = result.frame.shape[:2]
    plain = background(frame, width, height)
    if view == "side-by-side":
        return np.hstack([plain, result.frame])
    plain[:, width // 2 :] = result.frame[:, width // 2 :]
    plain[:, width // 2 - 1 : width // 2 + 1] = GREY
    return plain


def faces_sheet(result: Result) -> UInt8 | None:
    """Every face at model scale in rows, each over its own bicubic enlargement; None without a face.

    A row is as many faces as make the sheet about square.
    """
    if not result.faces:
        return None
    cell_h, cell_w = (max(face.sr.shape[axis] for face in result.faces) for axis in (0, 1))
    columns = int(np.ceil(np.sqrt(2 * len(result.faces))))
    columns = min(columns, len(result.faces))
    rows = -(-len(result.faces) // columns)
    pitch_x, pitch_y = cell_w + GAP_PX, 2 * cell_h + 2 * GAP_PX
    sheet = np.full((rows * pitch_y - GAP_PX, columns * pitch_x - GAP_PX, 3), GREY, np.uint8)
    for index, face in enumerate(result.faces):
        row, column = divmod(index, columns)
        top, left = row * pitch_y, column * pitch_x
        height, width = face.sr.shape[:2]
        plain = cv2.resize(face.lr, (width, height), interpolation=cv2.INTER_CUBIC)
        sheet[top : top + height, left : left + width] = plain
        sheet[top + cell_h : top + cell_h + height, left : left + width] = face.sr
    return sheet
