"""What the numbers of a picture that Pillow opened become in 8 bits, and what of it is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

# Pillow's modes of greyscale in 8 bits.
GREY_MODES = frozenset({"1", "L", "LA", "La"})
_NEW_SUBFILE_TYPE = 254


def is_preview(picture: Image.Image) -> bool:
    """Whether a TIFF file says that its first picture is a smaller copy of a later one."""
    tags: Mapping[int, Any] = getattr(picture, "tag_v2", {})
    return picture.format == "TIFF" and bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1)


def is_deep_grey(picture: Image.Image) -> bool:
    """Whether its values are greyscale from 0 to 65535."""
    # PGM files of more than 8 bits come out at that range in mode I.
    return picture.mode.startswith("I;16") or (picture.mode, picture.format) == ("I", "PPM")


def deep_levels(picture: Image.Image) -> Image.Image:
    """Such greyscale in 8 bits; convert("RGB") would clip the values instead of scaling them."""
    grey = (np.asarray(picture).astype(np.uint32) * 255 + 32767) // 65535
    return Image.fromarray(grey.astype(np.uint8))


def float_levels(picture: Image.Image) -> tuple[Image.Image, str]:
    """Greyscale of 32-bit floating-point numbers (mode F) in 8 bits, and the note on it.

    They mean black to white from 0 to 1, and from 0 to 255 where more than a hundredth is above 1: sharpening
    leaves a few beyond white. NaN becomes 0.
    """
    values = np.nan_to_num(np.asarray(picture), nan=0.0)
    note = "values below 0 and above 255 were clipped"
    if np.quantile(values, 0.99) <= 1:
        values = values * 255
        note = "numbers from 0 to 1 became 0 to 255 in 8 bits"
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8)), note


def not_kept(picture: Image.Image) -> Iterator[str]:
    """What of an opened, not yet decoded picture its result will not have."""
    if getattr(picture, "n_frames", 1) > 1:
        yield f"only the first of {picture.n_frames} frames is taken"  # type: ignore[attr-defined]  # of formats with frames
    # Pillow reads 16 bits a channel into 8 where it has no mode of its own for them.
    if is_deep_grey(picture) or ";16" in str(getattr(picture, "tile", "")):
        yield "16 bits a channel became 8"
    if picture.mode == "I" and not is_deep_grey(picture):
        yield "values below 0 and above 255 were clipped"
    if picture.mode == "CMYK":
        yield "CMYK became RGB, without regard to a colour profile"
