"""Any tree of picture files: face crops as they are, or whole pictures in which faces are found."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

from tqdm import tqdm

from idrn_trt.engines._cache import cache_folder
from idrn_trt.errors import SourceError
from idrn_trt.faces.cnn import CnnDetector
from idrn_trt.files import write_text
from idrn_trt.images import READ_SUFFIXES, read_image
from idrn_trt.toolchain.sources.face import LabelledFace, Listing
from idrn_trt.types import Box
from idrn_trt.zoo import DETECTOR_MODEL, find_model

MANIFEST = "manifest.csv"
WITHOUT_FACE = "pictures without a face found"
UNREADABLE = "unreadable pictures"
_SMALLEST_FACE_PX = 48
# The detector's boxes end at the forehead and the chin.
_MARGIN = 1.16

# Picture's name -> the boxes of its faces, or why it cannot be read.
Found = dict[str, list[list[float]] | str]


def read_folder(root: Path) -> Listing:
    """Every picture below `root` as one crop, in name order.

    Where a `manifest.csv` in `root` has the columns file and person, crops of one person are a group.
    """
    people = _people(root / MANIFEST)
    faces = []
    for path in _pictures(root):
        name = path.relative_to(root).as_posix()
        person = people.get(name, "")
        group = f"person {person}" if person else name
        faces.append(LabelledFace(path, name, None, group))
    return Listing(faces)


def read_scenes(root: Path) -> Listing:
    """Every face that the default detector finds in the pictures below `root`.

    What it found is kept in the user's cache until a picture or the detector changes.
    """
    listing = Listing()
    for name, found in _found(root).items():
        if isinstance(found, str):
            listing.problems.note(UNREADABLE, f"{name} ({found})")
        elif not found:
            listing.problems.note(WITHOUT_FACE, name)
        else:
            listing.faces += [
                LabelledFace(root / name, f"{name}#{k}", Box(*box), name, _MARGIN)
                for k, box in enumerate(found, start=1)
            ]
    return listing


def _found(root: Path) -> Found:
    files = _pictures(root)
    cache = cache_folder("faces")
    kept = None if cache is None else cache / f"{_stamp(root, files)}.json"
    if kept is not None and kept.is_file():
        found: Found = json.loads(kept.read_text(encoding="utf-8"))
        return found
    detector = CnnDetector(min_face_px=_SMALLEST_FACE_PX)
    found = {}
    for path in tqdm(files, desc="finding faces", unit="picture", leave=False, disable=None):
        found[path.relative_to(root).as_posix()] = _detect(detector, path)
    if kept is not None:
        write_text(kept, json.dumps(found), "cache of found faces")
    return found


def _detect(detector: CnnDetector, path: Path) -> list[list[float]] | str:
    try:
        faces = detector.detect(read_image(path))
    except SourceError as error:
        return str(error)
    return [[f.box.x, f.box.y, f.box.w, f.box.h] for f in faces]


def _stamp(root: Path, files: list[Path]) -> str:
    """What names a set of pictures and who looked: names, sizes, times of change; the detector's files."""
    stats = [(p.relative_to(root).as_posix(), p.stat()) for p in files]
    known = [(name, s.st_size, s.st_mtime_ns) for name, s in stats]
    model = sorted(file.sha256 for file in find_model(DETECTOR_MODEL).files.values())
    detector = (CnnDetector.name, model, _SMALLEST_FACE_PX)
    text = repr((str(root.resolve()), detector, known))
    return hashlib.sha256(text.encode()).hexdigest()


def _pictures(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in READ_SUFFIXES and p.is_file())


def _people(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            return {
                row["file"]: row["person"]
                for row in csv.DictReader(file)
                if row.get("file") and row.get("person")
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"cannot read {str(manifest)!r}: {error}") from error
