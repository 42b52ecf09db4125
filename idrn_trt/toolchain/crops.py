"""Face crops, cut once into one flat file and read from there through a memory map.

So a data set of any size trains as fast as one in memory, and starts at once the second time. The
cache is named after all that decides its content; it is written aside and renamed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from idrn_trt.engines._cache import cache_folder
from idrn_trt.errors import SinkError, SourceError, TrainingError
from idrn_trt.images import read_image
from idrn_trt.quality.pairs import bicubic
from idrn_trt.toolchain.duplicates import perceptual_hash
from idrn_trt.toolchain.sources import list_faces
from idrn_trt.toolchain.sources.face import LabelledFace, Listing, Problems
from idrn_trt.types import Box

UInt8 = npt.NDArray[np.uint8]

FORMAT = 1
# Twice the side of the largest HR crop that is trained on; a larger face is shrunk to it.
LARGEST_PX = 512
# A face of which less can be seen is counted as outside.
LEAST_VISIBLE = 0.75

MISSING = "missing pictures"
UNREADABLE = "unreadable pictures"
OUTSIDE = "faces outside their picture"
_PIXELS, _INDEX = "pixels.u8", "index.json"


@dataclass(frozen=True, slots=True)
class Crop:
    """Where one crop lies in the file, and what splitting needs to know of it."""

    name: str
    group: str
    look: int  # its perceptual hash
    offset: int
    height: int
    width: int


@dataclass(slots=True)
class Crops(Sequence[UInt8]):
    """Crops as a sequence of read-only uint8 RGB (H, W, 3), views of the mapped file.

    digest: sha256 over names, boxes and files used, in order. problems: what was left out.
    May be sent to another process, which maps the file anew.
    """

    path: Path
    entries: list[Crop]
    digest: str
    problems: Problems = field(default_factory=Problems)
    _map: UInt8 | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        entry = self.entries[index]
        if self._map is None:
            self._map = np.memmap(self.path, np.uint8, "r")
        end = entry.offset + entry.height * entry.width * 3
        # As a plain array: a slice of a memmap carries Python attributes that cost time.
        pixels: UInt8 = np.asarray(self._map[entry.offset : end])
        return pixels.reshape(entry.height, entry.width, 3)

    def __reduce__(self) -> tuple[Any, ...]:
        return Crops, (self.path, self.entries, self.digest, self.problems)

    def subset(self, indices: Iterable[int]) -> Crops:
        """Those crops, in that order, of the same file."""
        entries = [self.entries[i] for i in indices]
        return dataclasses.replace(self, entries=entries)

    def named(self) -> Iterable[tuple[str, UInt8]]:
        """(name, pixels) of each crop."""
        return ((entry.name, self[i]) for i, entry in enumerate(self.entries))


def open_crops(spec: str, smallest_px: int, cache: Path | None = None) -> Crops:
    """The crops of a specification whose shorter side is at least `smallest_px`.

    cache: folder for the cut crops, by default the user's. Raises OptionError or SourceError for the
    specification, TrainingError when no crop is left, SinkError when the cache cannot be written.
    """
    listing = list_faces(spec)
    folder = _cache(cache) / _recipe_hash(listing, smallest_px)
    crops = _load(folder)
    if crops is None:
        _build(listing, smallest_px, folder)
        crops = _load(folder)
    if crops is None:
        raise SinkError(f"the cache of crops {str(folder)!r} cannot be read back")
    crops.problems.add(listing.problems)
    if not crops:
        raise TrainingError(
            f"no usable picture in {spec!r}: {len(listing.faces)} faces looked at. "
            + "; ".join(crops.problems.lines())
        )
    return crops


def cut(pixels: UInt8, face: LabelledFace) -> UInt8 | None:
    """The face's square of `pixels`, or None for one that lies outside them.

    The square has the margin around the box's longer side as far as the picture has room, and is
    shifted to lie inside; one above LARGEST_PX is shrunk by bicubic. A face without box is the picture.
    """
    if face.box is None:
        return pixels
    height, width = pixels.shape[:2]
    if _visible(face.box, height, width) < LEAST_VISIBLE:
        return None
    side = min(round(face.margin * max(face.box.w, face.box.h)), height, width)
    x = _start(face.box.x + face.box.w / 2, side, width)
    y = _start(face.box.y + face.box.h / 2, side, height)
    square = pixels[y : y + side, x : x + side]
    if side > LARGEST_PX:
        return np.asarray(bicubic(Image.fromarray(square), LARGEST_PX, LARGEST_PX))
    return square


def _visible(box: Box, height: int, width: int) -> float:
    w = min(box.x + box.w, width) - max(box.x, 0)
    h = min(box.y + box.h, height) - max(box.y, 0)
    return max(w, 0) * max(h, 0) / (box.w * box.h)


def _start(centre: float, side: int, size: int) -> int:
    return min(max(round(centre - side / 2), 0), size - side)


def _cache(folder: Path | None) -> Path:
    chosen = folder or cache_folder("crops")
    if chosen is None:
        raise SinkError("no cache folder can be written to: name one with --cache DIR")
    return chosen


def _recipe_hash(listing: Listing, smallest_px: int) -> str:
    """Named by all that decides the crops: the labels, the files' sizes and times, the limits."""
    digest = hashlib.sha256(repr((FORMAT, smallest_px, LARGEST_PX, LEAST_VISIBLE)).encode())
    for face in listing.faces:
        try:
            stat = face.file.stat()
            state = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            state = (0, 0)
        digest.update(repr((str(face.file.absolute()), *state, face)).encode())
    return digest.hexdigest()[:32]


def _load(folder: Path) -> Crops | None:
    """The cache in `folder`; None where there is none, or none that is whole."""
    path = folder / _PIXELS
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        entries = [Crop(*row) for row in index["crops"]]
        problems = Problems()
        problems.counts.update(index["counts"])
        problems.named.update(index["named"])
        whole = path.stat().st_size == index["bytes"]
        return Crops(path, entries, index["digest"], problems) if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _build(listing: Listing, smallest_px: int, folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        with (part / _PIXELS).open("wb") as file:
            index = _Cutter(smallest_px, file).cut_all(listing.faces)
        (part / _INDEX).write_text(json.dumps(index), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # one that is not whole
        part.rename(folder)
    except OSError as error:
        raise SinkError(f"cannot write the cache of crops {str(folder)!r}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(slots=True)
class _Cutter:
    """Cuts faces into a file; keeps the last picture, for neighbours often share one."""

    smallest_px: int
    file: BinaryIO
    problems: Problems = field(default_factory=Problems)
    entries: list[Crop] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0
    last: Path | None = None
    pixels: UInt8 | None = None
    file_hash: bytes = b""

    def cut_all(self, faces: Sequence[LabelledFace]) -> dict[str, Any]:
        for face in tqdm(faces, desc="cutting faces", unit="face", leave=False, disable=None):
            self._cut(face)
        return {
            "digest": self.digest.hexdigest(),
            "bytes": self.size,
            "counts": self.problems.counts,
            "named": self.problems.named,
            "crops": [dataclasses.astuple(entry) for entry in self.entries],
        }

    def _cut(self, face: LabelledFace) -> None:
        if face.file != self.last:
            self._open(face)
        if self.pixels is None:
            return
        crop = cut(self.pixels, face)
        if crop is None:
            self.problems.note(OUTSIDE, face.name)
        elif min(crop.shape[:2]) < self.smallest_px:
            self.problems.note(f"faces under {self.smallest_px} px", face.name)
        else:
            self._write(face, crop)

    def _open(self, face: LabelledFace) -> None:
        self.last, self.pixels = face.file, None
        if not face.file.is_file():
            self.problems.note(MISSING, face.name)
            return
        try:
            self.pixels = read_image(face.file)
            self.file_hash = hashlib.sha256(face.file.read_bytes()).digest()
        except (SourceError, OSError) as error:
            self.problems.note(UNREADABLE, f"{face.name} ({error})")

    def _write(self, face: LabelledFace, crop: UInt8) -> None:
        place = b"" if face.box is None else repr((face.box, face.margin)).encode()
        self.digest.update(face.name.encode() + b"\0" + self.file_hash + place)
        height, width = crop.shape[:2]
        entry = Crop(face.name, face.group, perceptual_hash(crop), self.size, height, width)
        self.entries.append(entry)
        self.size += self.file.write(np.ascontiguousarray(crop).tobytes())
