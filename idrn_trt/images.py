"""Pictures in and out of files: untrusted bytes to uint8 RGB, and back without half-written files."""

from __future__ import annotations

import contextlib
import glob
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from idrn_trt.errors import OptionError, SourceError
from idrn_trt.files import replacing

UInt8 = npt.NDArray[np.uint8]

READ_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"}
)
WRITE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
# An 8-bit RGB picture of this many pixels is 300 MB; --max-pixels raises it.
DEFAULT_MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Source:
    """A picture to read: path, and relative, where its result belongs below an output folder."""

    path: Path
    relative: Path


def find_images(inputs: list[str]) -> list[Source]:
    """The pictures that files, folders (searched below) and glob patterns stand for, in order.

    A named file that does not exist is kept, so that it is reported with the others. Raises OptionError
    when a folder or pattern holds no picture.
    """
    found: dict[Path, Source] = {}
    for text in inputs:
        for source in _expand(text):
            found.setdefault(source.path.absolute(), source)
    return list(found.values())


def _expand(text: str) -> Iterator[Source]:
    path = Path(text)
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in READ_SUFFIXES)
        files = [Source(p, p.relative_to(path)) for p in inside if p.is_file()]
    elif not path.exists() and glob.has_magic(text):
        matches = sorted(Path(p) for p in glob.glob(text, recursive=True))
        files = [Source(p, Path(p.name)) for p in matches if p.is_file()]
    else:
        files = [Source(path, Path(path.name))]
    if not files:
        raise OptionError(
            f"no picture found in {text!r}: expected files ending in "
            f"{', '.join(sorted(READ_SUFFIXES))}"
        )
    yield from files


def read_image(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> UInt8:
    """The picture at `path`, upright, as uint8 RGB (H, W, 3), owned by the caller.

    The size is read from the header and checked before anything is decoded. Of an animation the first
    frame is taken; alpha is dropped; 16-bit values are scaled to 8. Raises SourceError.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # Pillow's own, lower, bomb limit and metadata oddities
            if not file.read(1):
                raise SourceError(f"cannot read picture {str(path)!r}: the file is empty")
            file.seek(0)
            return _decode(file, path, max_pixels)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise SourceError(
            f"cannot read picture {str(path)!r}: not a picture in a format known here"
        ) from error
    except SourceError:
        raise
    except MemoryError as error:
        raise SourceError(f"cannot read picture {str(path)!r}: not enough memory") from error
    except OSError as error:
        raise SourceError(f"cannot read picture {str(path)!r}: {_reason(error)}") from error
    except (ValueError, SyntaxError, IndexError, TypeError, EOFError, ArithmeticError) as error:
        # What Pillow's decoders raise on hostile files besides OSError.
        raise SourceError(f"cannot read picture {str(path)!r}: corrupt ({error})") from error


def _decode(file: object, path: Path, max_pixels: int) -> UInt8:
    with _own_pixel_limit(), Image.open(file) as picture:  # type: ignore[arg-type]
        width, height = picture.size
        if width * height > max_pixels:
            raise SourceError(
                f"picture {str(path)!r} has {width}x{height} = {width * height:,} pixels, more than "
                f"the limit of {max_pixels:,}: raise it with --max-pixels if you trust the file"
            )
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):
            # convert("RGB") would clip 16-bit values instead of scaling them.
            grey = (np.asarray(upright).astype(np.uint32) * 255 + 32767) // 65535
            upright = Image.fromarray(grey.astype(np.uint8))
        return np.array(upright.convert("RGB"))


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
    """Write uint8 RGB (H, W, 3) to `path`, in the format its ending names, all at once.

    Missing folders are made. Raises OptionError for an unknown ending, SinkError when writing fails;
    an older file at `path` then stays as it was.
    """
    check_writable_name(path)
    with replacing(path, "picture") as part:
        Image.fromarray(rgb).save(
            part, format=Image.registered_extensions()[path.suffix.lower()], quality=JPEG_QUALITY
        )
