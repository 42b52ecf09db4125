"""Pictures side by side under their headings, for the eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

UInt8 = npt.NDArray[np.uint8]

_GAP_PX = 4
_TEXT_PX = 16


def grid(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[UInt8]]]) -> UInt8:
    """One picture of all: a heading a column, a caption under each row.

    rows: (caption, one uint8 RGB picture a column). Smaller pictures are enlarged pixel by pixel to the
    height of the row's tallest; columns are as wide as the widest picture.
    """
    cells = [(caption, _level(pictures)) for caption, pictures in rows]
    width = max(p.shape[1] for _, pictures in cells for p in pictures) + _GAP_PX
    heights = [max(p.shape[0] for p in pictures) + _TEXT_PX + _GAP_PX for _, pictures in cells]
    sheet = Image.new("RGB", (width * len(heads) + _GAP_PX, sum(heights) + _TEXT_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((column * width + _GAP_PX, 1), head, fill="black")
    top = _TEXT_PX
    for (caption, pictures), height in zip(cells, heights, strict=True):
        for column, pixels in enumerate(pictures):
            sheet.paste(Image.fromarray(pixels), (column * width + _GAP_PX, top))
        draw.text((_GAP_PX, top + height - _TEXT_PX - _GAP_PX), caption, fill="black")
        top += height
    return np.array(sheet)


def contact_sheet(pictures: Sequence[UInt8], columns: int, side: int) -> UInt8:
    """The pictures in rows of `columns`, each fitted into side x side."""
    rows = -(-len(pictures) // columns)
    step = side + _GAP_PX
    sheet = Image.new("RGB", (columns * step + _GAP_PX, rows * step + _GAP_PX), "white")
    for place, pixels in enumerate(pictures):
        image = Image.fromarray(pixels)
        image.thumbnail((side, side))
        row, column = divmod(place, columns)
        sheet.paste(image, (column * step + _GAP_PX, row * step + _GAP_PX))
    return np.array(sheet)


def _level(pictures: Sequence[UInt8]) -> list[UInt8]:
    tallest = max(p.shape[0] for p in pictures)
    return [p.repeat(k, 0).repeat(k, 1) for p in pictures for k in (max(1, tallest // p.shape[0]),)]
