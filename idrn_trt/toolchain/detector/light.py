"""Scenes and faces in other light, and as some camera gives them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.toolchain.degrade import Degradation

UInt8 = npt.NDArray[np.uint8]

# Of whole scenes: lit anew, blurred by motion, through all a camera does, and grey.
_LIT_SHARE = 0.3
_MOTION_SHARE = 0.15
_CAMERA_SHARE = 0.5
_GREY_SHARE = 0.08


def lit(pixels: UInt8, rng: np.random.Generator) -> UInt8:
    """Another exposure and colour of light: darker or lighter skin, shade, a lamp's cast."""
    gamma = np.exp(rng.normal(0, 0.4))
    gain = np.exp(rng.uniform(np.log(0.35), np.log(1.5), 1) + rng.normal(0, 0.08, 3))
    levels = (np.arange(256) / 255.0)[:, None] ** gamma * gain
    table = np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table[:, None]), np.uint8)


def camera(pixels: UInt8, seed: int, index: int, rng: np.random.Generator) -> UInt8:
    """The scene as some camera gives it: light, motion, noise, compression, grey."""
    if rng.random() < _LIT_SHARE:
        pixels = lit(pixels, rng)
    if rng.random() < _MOTION_SHARE:
        length = int(rng.integers(2, 8))
        kernel = (
            np.full((1, length), 1 / length)
            if rng.random() < 0.7
            else np.full((length, 1), 1 / length)
        )
        pixels = np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)
    if rng.random() < _CAMERA_SHARE:
        pixels = Degradation(seed)(pixels, 1, index)
    if rng.random() < _GREY_SHARE:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        pixels = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.ascontiguousarray(pixels)


def blended_light(patch: UInt8, scene: UInt8, rng: np.random.Generator) -> UInt8:
    """Half the faces take on a part of the scene's brightness."""
    if rng.random() < 0.5:
        return patch
    gain = (float(scene.mean()) + 20) / (float(patch.mean()) + 20)
    share = rng.uniform(0, 0.7)
    return np.asarray(cv2.convertScaleAbs(patch, alpha=gain**share), np.uint8)
