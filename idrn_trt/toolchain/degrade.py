"""Low-resolution pictures as webcams and CCTV make them, for the `-real` models.

Blur of the lens, one or two resizes, the sensor's noise, JPEG. Every picture is a function of (seed,
index) alone, with one version of Pillow and OpenCV.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# The seed of the degraded test set, so that figures compare; training has its run's seed.
TEST_SEED = 20190626

JPEG_QUALITY = (30, 90)
# Standard deviations in LR pixels along and across a random direction: defocus, and some motion.
_BLUR_LR_PX = (0.1, 0.7)
_BLUR_SHARE = 0.8
# Chains go through an intermediate picture of this many LR sides (a camera's own zoom when below 1).
_CHAIN = (0.75, 2.0)
_CHAIN_SHARE = 0.4
_SMOOTH = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_FILTERS = (Image.Resampling.BOX, *_SMOOTH)
# Linear light from 0 to 1: variance = shot * value + read^2, from daylight to a dim room.
_SHOT = (1e-4, 5e-3)
_READ = (1e-3, 1e-2)
_NOISE_SHARE = 0.8
_GAMMA = 2.2
# Pillow's numbers for 4:4:4, 4:2:2 (most webcams) and 4:2:0 (most CCTV).
_SUBSAMPLING = (0, 1, 2)
_JPEG_BLOCK_PX = 16


@dataclass(frozen=True, slots=True)
class Degradation:
    """HR (s*h, s*w, 3) -> LR (h, w, 3), uint8 RGB, by the recipe above under one seed."""

    seed: int = TEST_SEED

    def __call__(self, hr: UInt8, scale: int, index: int) -> UInt8:
        """The low-resolution picture of the index-th sample; sides must be multiples of `scale`."""
        rng = np.random.default_rng((self.seed, 4, index))
        height, width = hr.shape[0] // scale, hr.shape[1] // scale
        picture = hr if rng.random() >= _BLUR_SHARE else _blur(hr, scale, rng)
        lr = _resize(picture, height, width, rng)
        if rng.random() < _NOISE_SHARE:
            lr = _noise(lr, rng)
        return _jpeg(lr, rng)


def _blur(hr: UInt8, scale: int, rng: np.random.Generator) -> UInt8:
    along, across = rng.uniform(*_BLUR_LR_PX, 2) * scale
    angle = rng.uniform(0, np.pi)
    radius = int(np.ceil(3 * max(along, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    blurred = cv2.filter2D(hr, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.uint8)


def _resize(picture: UInt8, height: int, width: int, rng: np.random.Generator) -> UInt8:
    image = Image.fromarray(picture)
    if rng.random() < _CHAIN_SHARE:
        factor = np.exp(rng.uniform(*np.log(_CHAIN)))
        between = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = image.resize(between, _filter(rng))
    enlarged = image.width < width  # a camera's zoom interpolates, it does not repeat pixels
    return np.asarray(
        image.resize((width, height), _filter(rng, _SMOOTH if enlarged else _FILTERS))
    )


def _filter(
    rng: np.random.Generator, filters: tuple[Image.Resampling, ...] = _FILTERS
) -> Image.Resampling:
    return filters[int(rng.integers(len(filters)))]


def _noise(lr: UInt8, rng: np.random.Generator) -> UInt8:
    shot, read = (float(np.exp(rng.uniform(*np.log(bounds)))) for bounds in (_SHOT, _READ))
    light = (lr / np.float32(255)) ** np.float32(_GAMMA)
    spread = np.sqrt(shot * light + read**2)
    light = light + spread * rng.standard_normal(lr.shape, np.float32)
    levels = np.clip(light, 0, 1) ** (1 / _GAMMA) * 255
    return np.asarray(np.rint(levels), np.uint8)


def _jpeg(lr: UInt8, rng: np.random.Generator) -> UInt8:
    """Coded as part of a larger picture: the grid of blocks lies anywhere over the face."""
    top, left = rng.integers(0, _JPEG_BLOCK_PX, 2).tolist()
    quality = int(rng.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
    subsampling = _SUBSAMPLING[int(rng.integers(len(_SUBSAMPLING)))]
    after = _JPEG_BLOCK_PX
    padded = cv2.copyMakeBorder(lr, top, after, left, after, cv2.BORDER_REFLECT)
    coded = io.BytesIO()
    Image.fromarray(np.asarray(padded, np.uint8)).save(
        coded, "JPEG", quality=quality, subsampling=subsampling
    )
    decoded = np.asarray(Image.open(coded))
    return np.ascontiguousarray(decoded[top : top + len(lr), left : left + lr.shape[1]])
