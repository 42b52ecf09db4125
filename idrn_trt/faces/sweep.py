"""Looking for faces piece by piece, so that a frame costs little however large it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.faces.detect import Detector
from idrn_trt.types import Box, Face

UInt8 = npt.NDArray[np.uint8]

# All in multiples of the smallest face the detector sees. Tiles overlap by LARGEST, so a face of up to that
# size is whole in one of them; larger ones are found in the frame shrunk by LARGEST, tiled again.
TILE = 10
LARGEST = 3
# Smaller ones cost more in calls than in pixels.
LEAST_TILE_PX = 160
LEAST_REGION_PX = 64
# Around a known face is looked at in a square of REGION times its size, brought to REGION_FACE.
REGION = 2.0
REGION_FACE = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the frame in pixels, and the size = (width, height) that it is looked at in."""

    x: int
    y: int
    w: int
    h: int
    size: tuple[int, int]


class Sweep:
    """The tiles of a frame, one after another, again and again."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._size = (0, 0)
        self._next = 0
        self.tiles: list[Tile] = []

    def fit(self, frame: UInt8) -> None:
        """Lay out the tiles for frames of this size; begins anew where it is another one."""
        size = (frame.shape[1], frame.shape[0])
        if size != self._size:
            self._size, self._next = size, 0
            self.tiles = lay_out(*size, self._detector.smallest_face_px)

    def step(self, frame: UInt8) -> list[Face]:
        """The faces in the next tile."""
        tile = self.tiles[self._next]
        self._next = (self._next + 1) % len(self.tiles)
        return look(self._detector, frame, tile)


def lay_out(width: int, height: int, smallest_px: int) -> list[Tile]:
    """Tiles that between them show every face of at least smallest_px, each whole in at least one."""
    tiles = []
    shrink = 1.0
    while True:
        side = round(max(TILE * smallest_px, LEAST_TILE_PX) * shrink)
        overlap = round(LARGEST * smallest_px * shrink)
        columns, rows = _starts(width, side, overlap), _starts(height, side, overlap)
        w, h = min(side, width), min(side, height)
        size = (math.ceil(w / shrink), math.ceil(h / shrink))
        tiles += [Tile(x, y, w, h, size) for y in rows for x in columns]
        if len(columns) == len(rows) == 1:
            return tiles
        shrink *= LARGEST


def look(detector: Detector, frame: UInt8, tile: Tile) -> list[Face]:
    """The faces in one tile, in the frame's pixels."""
    part = frame[tile.y : tile.y + tile.h, tile.x : tile.x + tile.w]
    across, down = tile.w / tile.size[0], tile.h / tile.size[1]
    if tile.size != (tile.w, tile.h):
        method = cv2.INTER_AREA if across > 1 else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, tile.size, interpolation=method), np.uint8)
    return [
        Face(
            Box(tile.x + box.x * across, tile.y + box.y * down, box.w * across, box.h * down),
            found.score,
        )
        for found in detector.detect(part)
        for box in (found.box,)
    ]


def look_around(detector: Detector, frame: UInt8, box: Box) -> list[Face]:
    """The faces near a known one. What is looked at always has the same, small size."""
    height, width = frame.shape[:2]
    side = math.ceil(REGION * max(box.w, box.h))
    w, h = min(side, width), min(side, height)
    x = min(max(round(box.x + box.w / 2 - w / 2), 0), width - w)
    y = min(max(round(box.y + box.h / 2 - h / 2), 0), height - h)
    # Smaller only where the frame is.
    scale = max(REGION * REGION_FACE * detector.smallest_face_px, LEAST_REGION_PX) / side
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return look(detector, frame, Tile(x, y, w, h, size))


def _starts(size: int, side: int, overlap: int) -> list[int]:
    """Where tiles of `side` begin so that they cover `size` and overlap by at least `overlap`."""
    count = max(1, math.ceil((size - overlap) / (side - overlap)))
    step = (size - side) / (count - 1) if count > 1 else 0.0
    return [max(0, round(step * k)) for k in range(count)]
