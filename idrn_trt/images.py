"""Pictures in and out of files: untrusted bytes to uint8 RGB, and back without half-written files."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from idrn_trt.errors import OptionError, SinkError, SourceError
from idrn_trt.files import replacing
from idrn_trt.levels import (
    GREY_MODES,
    deep_levels,
    float_levels,
    is_deep_grey,
    is_preview,
    not_kept,
)

UInt8 = npt.NDArray[np.uint8]

READ_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm",
        ".pbm", ".pnm", ".gif",
    }
)  # fmt: skip
# What is read, whatever its file is called. Pillow knows more: of those, EPS is a program, which it has
# Ghostscript run, ICO is decoded before its size is known, and the others are hardly met.
_FORMATS = (
    "JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000",
)  # fmt: skip
WRITE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".avif"})
# What Pillow's decoders and encoders raise besides OSError, on hostile files and impossible sizes.
_CODEC_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, SyntaxError, SystemError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
# Formats that have no place for them; what a picture has of it is then dropped, and that is said.
_WITHOUT_ALPHA = frozenset({".jpg", ".jpeg", ".bmp"})
_WITHOUT_PROFILE = frozenset({".bmp"})
# Greyscale is written as RGB, which a profile of greyscale does not fit; with transparency in the second too.
_WITHOUT_GREY = frozenset({".webp"})
_WITHOUT_GREY_ALPHA = frozenset({".webp", ".avif"})
# Where an ICC profile names the colour space it is of.
_PROFILE_SPACE = slice(16, 20)
# What their encoders take, by Pillow's names.
_MOST_SIDE_PX = {"JPEG": 65500, "WEBP": 16383}
# An 8-bit RGB picture of this many pixels is 300 MB; --max-pixels raises it.
DEFAULT_MAX_PIXELS = 100_000_000
# Of a pipe, which is read whole. A file of DEFAULT_MAX_PIXELS in 16-bit RGBA, not compressed, is 800 MB.
MOST_PIPE_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
JPEG_QUALITY = 95
# Pillow's limit is one for all threads.
_LIMIT_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Source:
    """A picture to read: path, and relative, where its result belongs below an output folder."""

    path: Path
    relative: Path


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and what must not get lost on its way to the result.

    rgb: uint8 (H, W, 3), upright, owned. alpha: uint8 (H, W), 255 opaque, or None. profile: its ICC
    profile's bytes, which the result keeps, or None. grey: whether it was greyscale, as its result then
    is. notes: what was not kept, one clause each.
    """

    rgb: UInt8
    alpha: UInt8 | None = None
    profile: bytes | None = None
    grey: bool = False
    notes: tuple[str, ...] = ()


def read_image(path: str | Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> UInt8:
    """The pixels of the picture at `path` alone, uint8 RGB (H, W, 3); see `read_picture`."""
    return read_picture(path, max_pixels).rgb


def read_picture(path: str | Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """The picture at `path`, upright.

    The size is read from the header and checked before anything is decoded. Of an animation the first
    frame is taken; 16-bit values are scaled to 8; both are noted. Raises SourceError.
    """
    name = repr(str(path))
    with _as_source_errors(name), Path(path).open("rb") as file:
        if file.seekable():
            return _picture(file, name, max_pixels)
        return parse_picture(read_pipe(file, name), name, max_pixels)


def read_pipe(file: BinaryIO, name: str) -> bytes:
    """All that comes through a pipe; name: what an error calls it. Raises SourceError for too much of it."""
    data = bytearray()
    # Piece by piece: read(MOST_PIPE_BYTES) would set as much memory aside at once.
    while piece := file.read(_PIECE_BYTES):
        data += piece
        if len(data) > MOST_PIPE_BYTES:
            raise SourceError(
                f"cannot read picture {name}: more than {MOST_PIPE_BYTES >> 20} MiB came through the "
                "pipe, expected less: give a file"
            )
    return bytes(data)


def parse_picture(data: bytes, name: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """The same of a file's bytes; name: what an error calls them."""
    with _as_source_errors(name):
        return _picture(io.BytesIO(data), name, max_pixels)


@contextlib.contextmanager
def _as_source_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise SourceError(
            f"cannot read picture {name}: not a picture in a format known here, or a rare kind of one. "
            f"Known are {', '.join(_formats())}: convert it to one of them"
        ) from error
    except SourceError:
        raise
    except MemoryError as error:
        raise SourceError(f"cannot read picture {name}: not enough memory") from error
    except OSError as error:
        raise SourceError(f"cannot read picture {name}: {_reason(error)}") from error
    except _CODEC_ERRORS as error:
        raise SourceError(f"cannot read picture {name}: corrupt ({error})") from error


def _picture(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    if not file.read(1):
        raise SourceError(f"cannot read picture {name}: the file is empty")
    file.seek(0)
    with warnings.catch_warnings():
        # Pillow's own, lower, bomb limit and metadata oddities.
        warnings.simplefilter("ignore")
        return _decode(file, name, max_pixels)


def _decode(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    with _own_pixel_limit(), Image.open(file, formats=_formats()) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise SourceError(
                f"picture {name} has {width}x{height} = {width * height:,} pixels, more than "
                f"the limit of {max_pixels:,}: raise it with --max-pixels if you trust the file"
            )
        if is_preview(picture):
            raise SourceError(
                f"cannot read picture {name}: it begins with a preview, as a camera's raw file does. "
                "Develop it into a TIFF or JPEG file first"
            )
        notes = tuple(not_kept(picture))
        profile = None if picture.mode == "CMYK" else picture.info.get("icc_profile")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if is_deep_grey(picture):
            upright = deep_levels(upright)
        elif upright.mode == "F":
            upright, note = float_levels(upright)
            notes += (note,)
        alpha = None
        if upright.has_transparency_data:
            upright = upright.convert("LA" if upright.mode in GREY_MODES else "RGBA")
            alpha = np.array(upright.getchannel("A"))
        return Picture(
            rgb=np.array(upright.convert("RGB")),
            alpha=alpha,
            profile=profile or None,
            grey=upright.mode in {*GREY_MODES, "I"},
            notes=notes,
        )


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of _FORMATS that this build of Pillow has."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def _own_pixel_limit() -> Iterator[None]:
    """Switch Pillow's fixed pixel limit off while ours, which the user can raise, is in force."""
    with _LIMIT_LOCK:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _reason(error: OSError) -> str:
    if error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def check_writable_name(path: Path) -> None:
    """Raises OptionError when no encoder here writes files of this name."""
    if path.suffix.lower() not in WRITE_SUFFIXES:
        raise OptionError(
            f"cannot write a picture named {str(path)!r}: expected one of the endings "
            f"{', '.join(sorted(WRITE_SUFFIXES))}"
        )


def write_image(path: str | Path, rgb: UInt8) -> None:
    """Write uint8 RGB (H, W, 3) alone; see `write_picture`."""
    write_picture(path, Picture(rgb))


def write_picture(path: str | Path, picture: Picture) -> tuple[str, ...]:
    """Write a picture to `path`, in the format its ending names, all at once.

    Missing folders are made. Returns what the format has no place for, one clause each. Raises
    OptionError for an unknown ending, SinkError when writing fails; an older file at `path` then stays
    as it was.
    """
    path = Path(path)
    check_writable_name(path)
    suffix = path.suffix.lower()
    fitting, lost = _fitting(picture, suffix)
    with replacing(path, "picture") as part, part.open("wb") as file:
        _save(fitting, file, _settings(picture, suffix))
    return lost


def encode_picture(picture: Picture, suffix: str = ".png") -> bytes:
    """The bytes of a file with that ending, one of WRITE_SUFFIXES. Raises SinkError."""
    target = io.BytesIO()
    try:
        _save(_fitting(picture, suffix)[0], target, _settings(picture, suffix))
    except OSError as error:
        raise SinkError(f"cannot make a {suffix} file: {_reason(error)}") from error
    return target.getvalue()


def _save(image: Image.Image, file: BinaryIO, settings: dict[str, Any]) -> None:
    """Raises OSError, whatever the encoder's own way is to say that a picture or profile is too large."""
    most_px = _MOST_SIDE_PX.get(settings["format"])
    if most_px is not None and max(image.size) > most_px:
        width, height = image.size
        raise OSError(
            f"it has {width}x{height} pixels, and {settings['format']} files hold at most {most_px} a side: "
            "choose another ending, or a smaller result"
        )
    try:
        image.save(file, **settings)
    except (*_CODEC_ERRORS, MemoryError) as error:
        raise OSError(str(error) or type(error).__name__) from error


def _fitting(picture: Picture, suffix: str) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture as Pillow writes it, and what of it the format has no place for."""
    lost = []
    image = Image.fromarray(picture.rgb)
    if picture.grey:
        image = image.convert("L")
    if picture.alpha is not None and suffix in _WITHOUT_ALPHA:
        lost.append(f"transparency, which {suffix} files cannot hold")
    elif picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    if picture.profile is not None and suffix in _WITHOUT_PROFILE:
        lost.append(f"the colour profile, which {suffix} files cannot hold")
    elif _is_unfit(picture, suffix):
        lost.append(f"the colour profile, which is of greyscale, and {suffix} files are in colour")
    return image, tuple(lost)


def _is_unfit(picture: Picture, suffix: str) -> bool:
    """Whether the picture's profile says how to see other pixels than its file will have."""
    space = (picture.profile or b"")[_PROFILE_SPACE]
    in_colour = _WITHOUT_GREY if picture.alpha is None else _WITHOUT_GREY_ALPHA
    return picture.grey and suffix in in_colour and space == b"GRAY"


def _settings(picture: Picture, suffix: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "format": Image.registered_extensions()[suffix],
        "quality": JPEG_QUALITY,
    }
    kept = suffix not in _WITHOUT_PROFILE and not _is_unfit(picture, suffix)
    if picture.profile is not None and kept:
        settings["icc_profile"] = picture.profile
    return settings
