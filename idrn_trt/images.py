"""Pictures in and out of files: untrusted bytes to uint8 RGB, and back without half-written files."""

from __future__ import annotations

import contextlib
import io
import struct
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

UInt8 = npt.NDArray[np.uint8]

READ_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".gif",
    }
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
# An 8-bit RGB picture of this many pixels is 300 MB; --max-pixels raises it.
DEFAULT_MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95


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


def read_image(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> UInt8:
    """The pixels of the picture at `path` alone, uint8 RGB (H, W, 3); see `read_picture`."""
    return read_picture(path, max_pixels).rgb


def read_picture(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """The picture at `path`, upright.

    The size is read from the header and checked before anything is decoded. Of an animation the first
    frame is taken; 16-bit values are scaled to 8; both are noted. Raises SourceError.
    """
    with _as_source_errors(repr(str(path))), path.open("rb") as file:
        return _picture(file, repr(str(path)), max_pixels)


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
            f"cannot read picture {name}: not a picture in a format known here"
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
    with _own_pixel_limit(), Image.open(file) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise SourceError(
                f"picture {name} has {width}x{height} = {width * height:,} pixels, more than "
                f"the limit of {max_pixels:,}: raise it with --max-pixels if you trust the file"
            )
        notes = tuple(_not_kept(picture))
        profile = None if picture.mode == "CMYK" else picture.info.get("icc_profile")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            # convert("RGB") would clip 16-bit values instead of scaling them.
            grey = (np.asarray(upright).astype(np.uint32) * 255 + 32767) // 65535
            upright = Image.fromarray(grey.astype(np.uint8))
        alpha = None
        if upright.has_transparency_data:
            upright = upright.convert("LA" if upright.mode in _GREY else "RGBA")
            alpha = np.array(upright.getchannel("A"))
        return Picture(
            rgb=np.array(upright.convert("RGB")),
            alpha=alpha,
            profile=profile or None,
            grey=upright.mode in {*_GREY, "I", "F"},
            notes=notes,
        )


_GREY = frozenset({"1", "L", "LA", "La"})


def _not_kept(picture: Image.Image) -> Iterator[str]:
    """What of an opened, not yet decoded picture its result will not have."""
    if getattr(picture, "n_frames", 1) > 1:
        yield f"only the first of {picture.n_frames} frames is taken"  # type: ignore[attr-defined]  # of formats with frames
    # Pillow reads 16 bits a channel into 8 where it has no mode of its own for them.
    if picture.mode.startswith("I;16") or ";16" in str(getattr(picture, "tile", "")):
        yield "16 bits a channel became 8"
    if picture.mode in {"I", "F"}:
        yield "values below 0 and above 255 were clipped"
    if picture.mode == "CMYK":
        yield "CMYK became RGB, without regard to a colour profile"


@contextlib.contextmanager
def _own_pixel_limit() -> Iterator[None]:
    """Switch Pillow's fixed pixel limit off while ours, which the user can raise, is in force."""
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


def write_image(path: Path, rgb: UInt8) -> None:
    """Write uint8 RGB (H, W, 3) alone; see `write_picture`."""
    write_picture(path, Picture(rgb))


def write_picture(path: Path, picture: Picture) -> tuple[str, ...]:
    """Write a picture to `path`, in the format its ending names, all at once.

    Missing folders are made. Returns what the format has no place for, one clause each. Raises
    OptionError for an unknown ending, SinkError when writing fails; an older file at `path` then stays
    as it was.
    """
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
    return image, tuple(lost)


def _settings(picture: Picture, suffix: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "format": Image.registered_extensions()[suffix],
        "quality": JPEG_QUALITY,
    }
    if picture.profile is not None and suffix not in _WITHOUT_PROFILE:
        settings["icc_profile"] = picture.profile
    return settings
