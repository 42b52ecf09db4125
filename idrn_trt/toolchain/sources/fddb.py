"""FDDB, the Face Detection Data set and Benchmark (Jain and Learned-Miller 2010).

Pictures lie under 2002/ and 2003/, labels in FDDB-folds/FDDB-fold-XX-ellipseList.txt: for each picture
its path without ending, the number of faces, and a line a face: major radius, minor radius, angle of
the major axis in radians, centre x, centre y (pixels), and a 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from idrn_trt.errors import SourceError
from idrn_trt.toolchain.sources.face import LabelledFace, Listing, inside
from idrn_trt.types import Box

LABELS = "FDDB-folds"
_FOLD = "FDDB-fold-*-ellipseList.txt"
_PICTURE = re.compile(r"\d{4}/[\w./-]+")
_ENDING = ".jpg"
# The real folds have some 30 kB each.
_LARGEST_FOLD = 16 << 20
# Radii and positions beyond this are no picture's.
_LARGEST_PX = 100_000.0

# An ellipse holds the head from chin to hair.
_MARGIN = 1.1

MALFORMED = "malformed fold lines"


def read_fddb(root: Path) -> Listing:
    """The faces of every fold, in the folds' order. Raises SourceError when there is no fold.

    A line that is not of the format is counted with file and number, and costs its own face only.
    """
    folds = sorted((root / LABELS).glob(_FOLD))
    if not folds:
        raise SourceError(f"no FDDB labels in {str(root / LABELS)!r}: expected files {_FOLD}")
    listing = Listing()
    for fold in folds:
        _Fold(root, fold, listing).read()
    return listing


def ellipse_box(major: float, minor: float, angle: float, x: float, y: float) -> Box:
    """The smallest upright rectangle around an ellipse: radii and centre in pixels, radians."""
    half_w = math.hypot(major * math.cos(angle), minor * math.sin(angle))
    half_h = math.hypot(major * math.sin(angle), minor * math.cos(angle))
    return Box(x - half_w, y - half_h, 2 * half_w, 2 * half_h)


@dataclass(slots=True)
class _Fold:
    """One fold while it is read: which picture the lines belong to, and how many are due."""

    root: Path
    path: Path
    listing: Listing
    picture: str = ""
    picture_line: int = 0
    expected: int | None = None
    found: int = 0

    def read(self) -> None:
        for number, line in enumerate(_lines(self.path), start=1):
            text = line.strip()
            if text:
                self._line(number, text)
        self._end_picture()

    def _line(self, number: int, text: str) -> None:
        if _PICTURE.fullmatch(text):
            self._end_picture()
            self.picture, self.picture_line, self.expected, self.found = text, number, None, 0
        elif not self.picture:
            self._malformed(number, "no picture before it")
        elif self.expected is None and text.isdecimal() and len(text) < 6:
            self.expected = int(text)
        else:
            self._face(number, text)

    def _face(self, number: int, text: str) -> None:
        self.found += 1
        values = _numbers(text)
        file = inside(self.root, self.picture + _ENDING)
        if values is None or file is None:
            reason = (
                "not the five numbers of an ellipse and a 1" if file else "a path that leads out"
            )
            self._malformed(number, reason)
            return
        name = f"{self.picture}#{self.found}"
        box = ellipse_box(*values)
        self.listing.faces.append(LabelledFace(file, name, box, self.picture, _MARGIN))

    def _end_picture(self) -> None:
        if self.picture and self.expected != self.found:
            expected = "no number of faces" if self.expected is None else f"{self.expected} faces"
            self._malformed(self.picture_line, f"{expected} announced, {self.found} lines follow")

    def _malformed(self, number: int, reason: str) -> None:
        self.listing.problems.note(MALFORMED, f"{self.path.name}:{number} ({reason})")


def _lines(path: Path) -> Iterable[str]:
    try:
        if path.stat().st_size > _LARGEST_FOLD:
            raise SourceError(f"FDDB fold {str(path)!r} is above {_LARGEST_FOLD >> 20} MiB")
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"cannot read FDDB fold {str(path)!r}: {error}") from error


def _numbers(text: str) -> tuple[float, float, float, float, float] | None:
    words = text.split()
    try:
        major, minor, angle, x, y = map(float, words[:5])
    except ValueError:
        return None
    sizes = (major, minor, abs(x), abs(y))
    sound = all(math.isfinite(v) and v <= _LARGEST_PX for v in sizes) and math.isfinite(angle)
    if not sound or min(major, minor) <= 0 or words[5:] != ["1"]:
        return None
    return major, minor, angle, x, y
