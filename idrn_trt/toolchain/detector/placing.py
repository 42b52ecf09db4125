"""Pieces of pictures put into a scene: where they go, how much of them shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.toolchain.detector.pictures import Picture

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

LARGEST_ANGLE = 40.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture goes: the affine map from its pixels to the scene's, and its angle and scale."""

    matrix: npt.NDArray[np.float64]
    angle: float
    scale: float

    def boxes(self, boxes: Float32) -> Float32:
        """The boxes in the scene: around the turned ellipses that the given ones hold."""
        centre = boxes[:, :2] + boxes[:, 2:] / 2
        centre = centre @ self.matrix[:, :2].T + self.matrix[:, 2]
        turn = np.deg2rad(self.angle)
        half = boxes[:, 2:] * self.scale / 2
        cos, sin = np.cos(turn), np.sin(turn)
        reach = np.hypot(half * cos, half[:, ::-1] * sin)
        return np.concatenate([centre - reach, 2 * reach], axis=1).astype(np.float32)

    def drawn(
        self, picture: Picture, which: int, side: int, rng: np.random.Generator, *, whole: bool
    ) -> tuple[UInt8, UInt8]:
        """The picture in the scene, (side, side, 3), and how much of it shows, (side, side), 255 for all."""
        pixels, matrix = picture.pixels, self.matrix
        if self.scale < 0.7:  # shrink by the mean of what a pixel covers first
            height, width = pixels.shape[:2]
            small = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
            pixels = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), np.uint8)
            matrix = matrix @ np.diag([width / small[0], height / small[1], 1.0])
        size = (side, side)
        patch = cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        mask = np.full(pixels.shape[:2], 255, np.uint8)
        if not whole:
            ratio = np.array([pixels.shape[1], pixels.shape[0]]) / picture.pixels.shape[1::-1]
            mask = _mask(mask, picture.boxes[which] * np.tile(ratio, 2), rng)
        alpha = cv2.warpAffine(mask, matrix, size)
        return np.asarray(patch, np.uint8), np.asarray(alpha, np.uint8)


def placement(
    box: Float32, scale: float, side: int, rng: np.random.Generator, *, whole: bool
) -> Placement:
    """Somewhere in a square scene, at that scale and a random angle; smaller for whole pictures.

    box: of the face in its picture, whose centre is what is placed.
    """
    spread = LARGEST_ANGLE / (3 if whole else 1.5)
    angle = float(np.clip(rng.normal(0, spread), -LARGEST_ANGLE, LARGEST_ANGLE))
    x, y, w, h = box.tolist()
    matrix = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), angle, scale)
    reach = min(0.35 * scale * max(w, h), 0.5 * side)  # faces may be cut by the scene's edge
    to = rng.uniform(reach, side - reach + 1e-6, 2)
    matrix[:, 2] += to - (x + w / 2, y + h / 2)
    return Placement(np.asarray(matrix, np.float64), angle, scale)


def _mask(mask: UInt8, box: npt.NDArray[np.float64], rng: np.random.Generator) -> UInt8:
    """What of a picture shows around a face: a soft ellipse or rectangle, tight or with shoulders."""
    x, y, w, h = box.tolist()
    out = np.zeros_like(mask)
    if rng.random() < 0.6:
        wide, high = rng.uniform(1.05, 1.9, 2)
        centre, axes = (
            (round(x + w / 2), round(y + h / 2)),
            (round(w / 2 * wide), round(h / 2 * high)),
        )
        cv2.ellipse(out, centre, axes, 0, 0, 360, 255, -1)
    else:
        left, right, above, below = rng.uniform(0.05, 1.0, 4) * (w, w, h, 1.5 * h)
        corners = (round(x - left), round(y - above)), (round(x + w + right), round(y + h + below))
        cv2.rectangle(out, *corners, 255, -1)
    soft = int(max(w, h) * rng.uniform(0, 0.12))
    return np.asarray(cv2.blur(out, (soft, soft)), np.uint8) if soft > 1 else out


def mix(below: UInt8, above: UInt8, alpha: UInt8) -> None:
    """Put `above` over `below` in place, as much of it as alpha says."""
    x, y, w, h = cv2.boundingRect(alpha)
    part = np.s_[y : y + h, x : x + w]
    share = alpha[part][..., None] * np.float32(1 / 255)
    below[part] = np.rint(below[part] + (above[part].astype(np.float32) - below[part]) * share)


def filling(pixels: UInt8, side: int, zoom: float, rng: np.random.Generator) -> UInt8:
    """A random square of the picture, at a scale at which `zoom` of it just covers side by side pixels."""
    height, width = pixels.shape[:2]
    scale = max(zoom, 1.0) * side / min(height, width)
    wanted = side / scale
    x, y = rng.uniform(0, width - wanted + 1e-6), rng.uniform(0, height - wanted + 1e-6)
    part = pixels[int(y) : int(y + wanted) + 1, int(x) : int(x + wanted) + 1]
    shown = round(side * min(zoom, 1.0))
    method = cv2.INTER_AREA if scale < 1 or zoom < 1 else cv2.INTER_LINEAR
    square = np.array(cv2.resize(part, (shown, shown), interpolation=method), np.uint8)
    # Below a zoom of 1 there is more to fill than the picture shows: it is mirrored beyond its edge.
    return np.pad(square, ((0, side - shown), (0, side - shown), (0, 0)), mode="reflect")


def touching(boxes: Float32, others: Float32, margin: float) -> bool:
    """Whether the first box, grown by a share of its size, meets any other."""
    x, y, w, h = boxes[0].tolist()
    near = (
        (others[:, 0] < x + w * (1 + margin)) & (others[:, 0] + others[:, 2] > x - w * margin)
        & (others[:, 1] < y + h * (1 + margin)) & (others[:, 1] + others[:, 3] > y - h * margin)
    )  # fmt: skip
    return bool(near.any())
