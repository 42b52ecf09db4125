"""Scenes for the detector: faces of known places put onto backgrounds, as a camera might see them.

Copy-paste composition (Dwibedi et al. 2017, "Cut, Paste and Learn", https://arxiv.org/abs/1708.01642):
each face keeps a part of its own surroundings, is turned, scaled, lit and partly covered, and fades into
the background. Every scene is a function of (seed, index) alone, with one version of OpenCV and Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.toolchain.detector.light import blended_light, camera, lit
from idrn_trt.toolchain.detector.pictures import Picture, Pictures
from idrn_trt.toolchain.detector.placing import filling, mix, placement, touching

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Longer side of a face's box. Below the first there is no face to tell from noise.
FACE_PX = (10.0, 400.0)
MOST_FACES = 7
MOST_DECOYS = 3

_WHOLE_SHARE = 0.45  # scenes around a whole picture with its own surroundings
_EMPTY_SHARE = 0.2
_MOSAIC_SHARE = 0.4
_HARD_SHARE = 0.6
_NOISE_SHARE = 0.06  # of textures: noise of any coarseness down to a plain colour
_COVERED_SHARE = 0.3
_SKIN_SHARE = 0.5  # of covers
_LIT_SHARE = 0.6
# A face that shows less than this of its box, or is smaller than that, is neither wanted nor wrong.
_LEAST_SHOWN = 0.6
_LARGEST_SHARE = 1.25  # of the scene's side: a larger face is a patch of skin


@dataclass(slots=True)
class Scene:
    """pixels: uint8 RGB (side, side, 3). boxes: (n, 4) left, top, w, h. counted: (n,) bool.

    A face that is not counted is too much hidden to ask for and too much shown to forbid.
    """

    pixels: UInt8
    boxes: Float32
    counted: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Composer:
    """Scenes of side by side pixels from pictures, under one seed.

    hard: backgrounds that are shown more often than others: those with false faces.
    """

    pictures: Pictures
    side: int
    seed: int
    hard: Sequence[UInt8] = ()

    def __call__(self, index: int) -> Scene:
        """The index-th scene."""
        rng = np.random.default_rng((self.seed, 8, index))
        scene = Scene(self._background(rng), np.empty((0, 4), np.float32), np.empty(0, np.bool_))
        kind = rng.random()
        if kind >= _EMPTY_SHARE:
            if kind < _EMPTY_SHARE + _WHOLE_SHARE:
                self._put(scene, rng, whole=True)
            for _ in range(int(rng.integers(0 if len(scene.boxes) else 1, MOST_FACES + 1))):
                self._put(scene, rng, whole=False)
        for _ in range(int(rng.integers(0, MOST_DECOYS + 1))):
            self._decoy(scene, rng)
        scene.pixels = camera(scene.pixels, self.seed, index, rng)
        if rng.random() < 0.5:
            scene.pixels = np.ascontiguousarray(scene.pixels[:, ::-1])
            scene.boxes[:, 0] = self.side - scene.boxes[:, 0] - scene.boxes[:, 2]
        return scene

    def _background(self, rng: np.random.Generator) -> UInt8:
        canvas = self._texture(self.side, rng)
        if rng.random() < _MOSAIC_SHARE:
            x, y = rng.integers(self.side // 5, self.side - self.side // 5, 2).tolist()
            for rows in (slice(0, y), slice(y, None)):
                for columns in (slice(0, x), slice(x, None)):
                    part = canvas[rows, columns]
                    part[...] = self._texture(max(part.shape), rng)[
                        : part.shape[0], : part.shape[1]
                    ]
        return canvas

    def _texture(self, side: int, rng: np.random.Generator) -> UInt8:
        """A background picture of random scale over a square; now and then noise or a plain colour."""
        if rng.random() < _NOISE_SHARE:
            coarse = rng.integers(0, 256, (int(rng.integers(1, 40)), int(rng.integers(1, 40)), 3))
            size = (side, side)
            return np.asarray(
                cv2.resize(coarse.astype(np.uint8), size, interpolation=int(rng.integers(3)))
            )
        pixels = self._without_a_face(rng)
        return filling(pixels, side, float(np.exp(rng.uniform(np.log(0.6), np.log(2.5)))), rng)

    def _without_a_face(self, rng: np.random.Generator) -> UInt8:
        if len(self.hard) and rng.random() < _HARD_SHARE:
            return self.hard[int(rng.integers(len(self.hard)))]
        return self.pictures.backgrounds[int(rng.integers(len(self.pictures.backgrounds)))].pixels

    def _put(self, scene: Scene, rng: np.random.Generator, *, whole: bool) -> None:
        """One more face, unless there is no room for it."""
        picture = self.pictures.faces[int(rng.integers(len(self.pictures.faces)))]
        which = int(rng.integers(len(picture.boxes)))
        px = _face_px(rng, self.side, whole=whole)
        scale = px / float(picture.boxes[which, 2:].max())
        if scale > 2:
            return
        placed = placement(picture.boxes[which], scale, self.side, rng, whole=whole)
        taken = placed.boxes(picture.boxes if whole else picture.boxes[which : which + 1])
        if not whole and touching(taken, scene.boxes, margin=0.25):
            return
        patch, alpha = placed.drawn(picture, which, self.side, rng, whole=whole)
        if not whole or rng.random() < 0.3:
            patch = lit(patch, rng) if rng.random() < _LIT_SHARE else patch
        if not whole:
            patch = blended_light(patch, scene.pixels, rng)
        mix(scene.pixels, patch, alpha)
        counted = _counted(taken, self.side)
        if rng.random() < _COVERED_SHARE:
            self._cover(scene, taken[0], rng)
        scene.boxes = np.concatenate([scene.boxes, taken])
        scene.counted = np.concatenate([scene.counted, counted])

    def _decoy(self, scene: Scene, rng: np.random.Generator) -> None:
        """A piece of a background where a face could be, so that a pasted edge tells nothing."""
        pixels = self._without_a_face(rng)
        size = rng.uniform(0.2, 0.6, 2) * min(pixels.shape[:2])
        at = rng.uniform(0, 1, 2) * (np.array(pixels.shape[1::-1]) - size)
        picture = Picture("", pixels, np.array([[*at, *size]], np.float32))
        px = _face_px(rng, self.side, whole=False)
        placed = placement(picture.boxes[0], px / float(size.max()), self.side, rng, whole=False)
        if not touching(placed.boxes(picture.boxes), scene.boxes, margin=0.25):
            patch, alpha = placed.drawn(picture, 0, self.side, rng, whole=False)
            mix(scene.pixels, patch, alpha)

    def _cover(self, scene: Scene, box: Float32, rng: np.random.Generator) -> None:
        """Something in front of up to 40 % of the face, from one of its sides, and of no other face."""
        x, y, w, h = box.tolist()
        share, along = rng.uniform(0.15, 0.4), rng.uniform(0, 0.5)
        left, top, right, bottom = (
            (x - 0.3 * w, y - along * h, x + share * w, y + 1.5 * h),
            (x + (1 - share) * w, y - along * h, x + 1.3 * w, y + 1.5 * h),
            (x - along * w, y - 0.3 * h, x + 1.5 * w, y + share * h),
            (x - along * w, y + (1 - share) * h, x + 1.5 * w, y + 1.3 * h),
        )[int(rng.integers(4))]
        if touching(np.array([[left, top, right - left, bottom - top]]), scene.boxes, margin=0):
            return
        rows = slice(max(0, int(top)), max(0, int(bottom)))
        part = scene.pixels[rows, max(0, int(left)) : max(0, int(right))]
        if part.size:
            height, width = part.shape[:2]
            stuff = self._skin if rng.random() < _SKIN_SHARE else self._texture
            alpha = np.full((height, width), 255, np.uint8)
            if rng.random() < 0.5:
                alpha[...] = 0
                middle = (width // 2, height // 2)
                cv2.ellipse(alpha, middle, middle, 0, 0, 360, 255, -1)
            mix(part, stuff(max(height, width), rng)[:height, :width], alpha)

    def _skin(self, side: int, rng: np.random.Generator) -> UInt8:
        """A cheek, enlarged over a square: what a hand before a face looks like."""
        picture = self.pictures.faces[int(rng.integers(len(self.pictures.faces)))]
        x, y, w, h = picture.boxes[0].tolist()
        left, top = int(x + w * rng.uniform(0.15, 0.6)), int(y + h * rng.uniform(0.45, 0.6))
        part = picture.pixels[max(0, top) :, max(0, left) :][: int(h / 5) + 1, : int(w / 4) + 1]
        return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def _face_px(rng: np.random.Generator, side: int, *, whole: bool) -> float:
    """Log-uniform; of pasted ones two in five are small and two in five of a webcam's size."""
    low, high = FACE_PX[0], min(FACE_PX[1], _LARGEST_SHARE * side)
    kind = rng.random()
    if not whole and kind < 0.4:
        high = 48.0
    elif not whole and kind < 0.8:
        low, high = 40.0, 130.0
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _counted(boxes: Float32, side: int) -> npt.NDArray[np.bool_]:
    """Which of the boxes show enough of a face that is large enough, inside the scene."""
    ends = np.clip(boxes[:, :2] + boxes[:, 2:], 0, side) - np.clip(boxes[:, :2], 0, side)
    shown = ends.prod(1) / boxes[:, 2:].prod(1)
    return np.asarray((shown >= _LEAST_SHOWN) & (boxes[:, 2:].max(1) >= FACE_PX[0]), np.bool_)
