"""LR/HR pairs for measuring quality, made as the paper's section 3.1 makes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8 = npt.NDArray[np.uint8]


def bicubic(picture: Image.Image, width: int, height: int) -> Image.Image:
    """`picture` resized by Pillow's antialiased bicubic, the paper's degradation (section 3.1)."""
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def centre_square(pixels: UInt8, side: int) -> Image.Image:
    """The centre square of a picture, resized to side x side by bicubic."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return bicubic(Image.fromarray(pixels[top : top + short, left : left + short]), side, side)


def evaluation_pair(pixels: UInt8, scale: int, lr_px: int) -> tuple[UInt8, UInt8]:
    """(LR, HR) of a whole face crop: HR is the centre square at lr_px * scale, LR its bicubic.

    uint8 RGB, (lr_px, lr_px, 3) and (lr_px * scale, lr_px * scale, 3); the paper's section 3.1.
    """
    truth = centre_square(pixels, lr_px * scale)
    return np.asarray(bicubic(truth, lr_px, lr_px)), np.asarray(truth)


def bicubic_up(lr: UInt8, scale: int) -> UInt8:
    """The floor every method is compared with: `lr` s times larger by Pillow's bicubic."""
    height, width = lr.shape[:2]
    return np.asarray(bicubic(Image.fromarray(lr), width * scale, height * scale))
