"""Pictures of every format that is read, damaged: a picture as promised, or a SourceError."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from fuzz_damage import PNG, damaged, with_checksums
from fuzz_target import check_one_line
from hypothesis import strategies as st
from PIL import Image, ImageCms

from idrn_trt.errors import SinkError, SourceError
from idrn_trt.images import READ_SUFFIXES, WRITE_SUFFIXES, encode_picture, parse_picture

MOST_PIXELS = 200_000
_WRITTEN = sorted(WRITE_SUFFIXES)
# Larger ones cost time and show nothing new.
_MOST_ENCODED = 5_000


def _saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **settings)
    return target.getvalue()


def _pictures() -> Iterator[bytes]:
    y, x = np.mgrid[:9, :13]
    rgb = Image.fromarray(np.stack([x * 19, y * 28, 255 - x * y], -1).astype(np.uint8))
    grey, paper, palette = rgb.convert("L"), rgb.convert("1"), rgb.convert("P")
    rgba = rgb.copy()
    rgba.putalpha(grey)
    deep = Image.fromarray((np.asarray(grey, np.uint16) * 257).astype(np.uint16))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    moving = {"save_all": True, "append_images": [rgb.rotate(180), rgb.rotate(90)]}
    for image in (rgb, grey, paper, palette, rgba, deep):
        yield _saved(image, "PNG")
    yield _saved(rgb, "PNG", icc_profile=profile, exif=exif)
    yield _saved(palette, "PNG", transparency=3)
    yield _saved(rgb, "PNG", **moving)
    for image in (rgb, grey, rgb.convert("CMYK")):
        yield _saved(image, "JPEG")
    yield _saved(rgb, "JPEG", progressive=True, icc_profile=profile, exif=exif)
    for image in (rgb, grey, palette, paper):
        yield _saved(image, "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield _saved(rgb, "TIFF", compression=compression)
    yield _saved(paper, "TIFF", compression="group4")
    for image in (rgba, deep, rgb.convert("CMYK"), grey.convert("F")):
        yield _saved(image, "TIFF")
    for settings in ({"lossless": True}, {"quality": 50, "icc_profile": profile}, moving):
        yield _saved(rgba, "WEBP", **settings)
    yield _saved(rgba, "AVIF", speed=10)
    yield _saved(rgb, "AVIF", speed=10, **moving)
    for image in (rgb, rgba):
        yield _saved(image, "TGA", compression="tga_rle")
    yield _saved(rgb, "JPEG2000")
    yield _saved(palette, "GIF", transparency=3)
    yield _saved(palette, "GIF", **moving)
    for image in (rgb, grey, paper, deep):
        yield _saved(image, "PPM")
    yield b"P3\n2 1\n255\n1 2 3 4 5 6\n"
    yield b"P2\n2 1\n65535\n1 60000\n"


@functools.lru_cache(maxsize=1)
def seeds() -> tuple[bytes, ...]:
    """A small picture of every format and of most of its kinds."""
    found = tuple(_pictures())
    kinds = {Image.open(io.BytesIO(data)).format for data in found}
    assert kinds >= {Image.registered_extensions()[suffix] for suffix in READ_SUFFIXES}
    return found


@st.composite
def _promises(draw: st.DrawFn) -> bytes:
    """A header of any size, and next to nothing after it."""
    size = st.one_of(st.integers(0, 70_000), st.integers(0, (1 << 32) - 1))
    width, height = draw(size), draw(size)
    kind = draw(st.sampled_from(("png", "bmp", "gif", "ppm", "tiff")))
    if kind == "png":
        depth, colour = draw(st.sampled_from((1, 8, 16))), draw(st.sampled_from((0, 2, 3, 4, 6)))
        head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        body = zlib.compress(bytes(draw(st.integers(0, 64))))
        chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
        return with_checksums(
            PNG + b"".join(struct.pack(">I", len(b)) + n + b + bytes(4) for n, b in chunks)
        )
    if kind == "bmp":
        head = struct.pack(
            "<IIIHHI", 40, width, height, 1, draw(st.sampled_from((1, 8, 24, 32))), 0
        )
        return b"BM" + struct.pack("<III", 54, 0, 54) + head + bytes(40)
    if kind == "gif":
        small = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
        return b"GIF89a" + small + b"\0\0\0," + bytes(4) + small + b"\0\x02\x02L\x01\0;"
    if kind == "ppm":
        return b"P6 %d %d 255\n" % (width, height) + bytes(draw(st.integers(0, 64)))
    tags = (
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (278, height),
        (279, 64),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def cases() -> st.SearchStrategy[bytes]:
    """Mostly damaged pictures, some promises that are not kept."""
    return st.one_of(damaged(seeds()), damaged(seeds()), _promises())


def check(data: bytes) -> bool:
    """Read it, and write what was read in some format."""
    try:
        picture = parse_picture(data, "fuzzed", MOST_PIXELS)
    except SourceError as error:
        check_one_line(error)
        return False
    height, width = picture.rgb.shape[:2]
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.shape == (height, width, 3)
    assert 0 < height * width <= MOST_PIXELS
    if picture.alpha is not None:
        assert picture.alpha.dtype == np.uint8
        assert picture.alpha.shape == (height, width)
    if height * width <= _MOST_ENCODED:
        suffix = _WRITTEN[zlib.crc32(data) % len(_WRITTEN)]
        try:
            written = encode_picture(picture, suffix)
        except SinkError:
            return True
        assert parse_picture(written, "written", MOST_PIXELS).rgb.shape == picture.rgb.shape
    return True
