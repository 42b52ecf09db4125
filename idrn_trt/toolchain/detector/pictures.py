"""The pictures that a detector is trained and tested on, and which of them are kept for testing.

A folder laid out as: faces.csv (file, x, y, w, h in pixels, one row a face), the pictures it names, and
background/ with pictures in which there is no face.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from idrn_trt.errors import SourceError, reason_of
from idrn_trt.images import READ_SUFFIXES, read_image

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Every so many'th background, by the hash of its name, is never trained on; of the rest likewise one is
# validated on.
TEST_EVERY = 5
VALIDATION_EVERY = 20


@dataclass(frozen=True, slots=True)
class Picture:
    """name: relative to the folder. pixels: uint8 RGB (H, W, 3). boxes: (n, 4) left, top, w, h."""

    name: str
    pixels: UInt8
    boxes: Float32


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures with faces, and pictures without."""

    faces: list[Picture]
    backgrounds: list[Picture]

    def digest(self) -> str:
        """What the pictures are: sha256 over names, boxes and pixels."""
        sha256 = hashlib.sha256()
        for picture in (*self.faces, *self.backgrounds):
            sha256.update(picture.name.encode())
            sha256.update(picture.boxes.tobytes())
            sha256.update(picture.pixels.tobytes())
        return sha256.hexdigest()


def number(name: str, every: int) -> int:
    """A number below `every` that follows from the picture's name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % every


def background_files(folder: Path, *, test: bool) -> list[Path]:
    """The backgrounds kept for testing, or the others, in name order. Raises SourceError for none."""
    files = sorted(
        f for f in (folder / "background").glob("*")
        if f.suffix.lower() in READ_SUFFIXES and (number(f.name, TEST_EVERY) == 0) == test
    )  # fmt: skip
    if not files:
        raise SourceError(
            f"no picture in {str(folder / 'background')!r}: expected pictures without a face"
        )
    return files


def labels(folder: Path, part: str) -> dict[str, Float32]:
    """The boxes (n, 4) of each picture below `part` that faces.csv names. Raises SourceError."""
    path = folder / "faces.csv"
    boxes: dict[str, list[list[float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["file"].startswith(f"{part}/"):
                    box = [float(row[key]) for key in ("x", "y", "w", "h")]
                    boxes.setdefault(row["file"], []).append(box)
    except OSError as error:
        raise SourceError(f"{str(path)!r} cannot be read: {reason_of(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{str(path)!r} cannot be read as a table of faces with the columns file, x, y, w, h: {error}"
        ) from error
    if not boxes:
        raise SourceError(f"{str(path)!r} names no face below {part}/")
    return {name: np.array(found, np.float32) for name, found in sorted(boxes.items())}


def read_pictures(folder: Path) -> tuple[Pictures, Pictures]:
    """(training, validation) pictures of a folder, without those kept for testing. Raises SourceError."""
    faces = [
        Picture(name, _read(folder / name), boxes)
        for name, boxes in tqdm(labels(folder, "train").items(), "faces", leave=False, disable=None)
    ]
    nothing = np.empty((0, 4), np.float32)
    files = background_files(folder, test=False)
    backgrounds = [
        Picture(file.name, _read(file), nothing)
        for file in tqdm(files, "backgrounds", leave=False, disable=None)
    ]
    parts = _kept(faces, backgrounds, held=False), _kept(faces, backgrounds, held=True)
    if not all(part.faces and part.backgrounds for part in parts):
        raise SourceError(
            f"{str(folder)!r} has too few pictures to hold some out for validation: {len(faces)} with faces "
            f"and {len(backgrounds)} without, expected a hundred of each and more"
        )
    return parts


def _read(path: Path) -> UInt8:
    return np.ascontiguousarray(read_image(path))


def _kept(faces: Iterable[Picture], backgrounds: Iterable[Picture], *, held: bool) -> Pictures:
    return Pictures(
        [p for p in faces if (number(p.name, VALIDATION_EVERY) == 1) == held],
        [p for p in backgrounds if (number(p.name, VALIDATION_EVERY) == 1) == held],
    )
