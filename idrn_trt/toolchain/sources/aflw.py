"""AFLW, Annotated Facial Landmarks in the Wild (Koestinger et al. 2011).

Labels are an SQLite database aflw.sqlite, in the set's folder or in data/ below it, with tables
FaceImages (file_id, filepath, width, height), Faces (face_id, file_id) and FaceRect (face_id, x, y, w,
h); pictures lie in flickr/ beside the database. The database is a stranger's: it is opened read-only,
may be read from in the three tables only, and is given up when reading costs too much.
"""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from idrn_trt.errors import SourceError
from idrn_trt.toolchain.sources.face import LabelledFace, Listing, Problems, inside
from idrn_trt.types import Box

DATABASE = "aflw.sqlite"
PICTURES = "flickr"
_COLUMNS = {
    "FaceImages": ("file_id", "filepath"),
    "Faces": ("face_id", "file_id"),
    "FaceRect": ("face_id", "x", "y", "w", "h"),
}
# AFLW has 25,993 faces. Reading a row takes some ten steps of SQLite's machine.
_MOST_ROWS = 1_000_000
_STEPS_A_TICK = 100_000
_MOST_TICKS = 2_000
_LOCK_WAIT_S = 2.0
_LARGEST_PX = 100_000.0

# Rectangles end at the brows and the chin.
_MARGIN = 1.3

_COMPUTED = re.compile(r"\bAS\b|\bVIRTUAL\b", re.IGNORECASE)

MALFORMED = "malformed rows"
WITHOUT_PICTURE = "faces without a picture's row"
WITHOUT_BOX = "faces without a rectangle"


def read_aflw(root: Path) -> Listing:
    """The faces of the database, in the order of their ids.

    Rows that are not of the format are counted with their id. Raises SourceError for a database that
    is missing, empty, locked, or not what AFLW's is.
    """
    path = _find(root)
    with _opened(path) as connection:
        tables = {name: list(_rows(connection, name, path)) for name in _COLUMNS}
    listing = Listing()
    problems = listing.problems
    files = {key: (name,) for key, name in _unique(tables["FaceImages"], "FaceImages", problems)}
    boxes = {key: values for key, *values in _unique(tables["FaceRect"], "FaceRect", problems)}
    for face, file_id in sorted(_unique(tables["Faces"], "Faces", problems), key=_by_id):
        if file_id not in files:
            problems.note(WITHOUT_PICTURE, f"face {face!r}")
        elif face not in boxes:
            problems.note(WITHOUT_BOX, f"face {face!r}")
        else:
            _take(path.parent / PICTURES, face, files[file_id][0], boxes[face], listing)
    if not listing.faces:
        counts = ", ".join(f"{len(rows)} rows in {name}" for name, rows in tables.items())
        raise SourceError(f"AFLW database {str(path)!r} gives no face: {counts}")
    return listing


def _find(root: Path) -> Path:
    for folder in (root, root / "data"):
        if (folder / DATABASE).is_file():
            return folder / DATABASE
    raise SourceError(
        f"no AFLW database in {str(root)!r}: expected {DATABASE} there or in data/, with the "
        f"pictures in {PICTURES}/ beside it"
    )


def _take(pictures: Path, face: Any, name: Any, values: list[Any], listing: Listing) -> None:
    box = _box(values)
    file = inside(pictures, name) if isinstance(name, str) else None
    if box is None or file is None:
        what = "rectangle" if file is not None else "file path"
        listing.problems.note(MALFORMED, f"face {face!r} ({what})")
        return
    listing.faces.append(LabelledFace(file, f"{name}#{face}", box, str(name), _MARGIN))


def _box(values: list[Any]) -> Box | None:
    if not all(type(v) in {int, float} and math.isfinite(v) for v in values):
        return None
    x, y, w, h = map(float, values)
    if max(abs(x), abs(y), w, h) > _LARGEST_PX or min(w, h) <= 0:
        return None
    return Box(x, y, w, h)


def _unique(rows: list[Any], table: str, problems: Problems) -> Iterator[tuple[Any, ...]]:
    """The rows whose key, the first column, is a number or text and the first of its value."""
    seen: set[Any] = set()
    for row in rows:
        key = row[0]
        if type(key) not in {int, str} or key in seen:
            problems.note(MALFORMED, f"{table} {_short(key)} (no key, or one met before)")
            continue
        seen.add(key)
        yield row


def _short(value: Any) -> str:
    return ascii(value)[:40]


def _by_id(row: tuple[Any, ...]) -> tuple[int, int, str]:
    """Numbers in order, then texts in order."""
    key = row[0]
    return (0, key, "") if isinstance(key, int) else (1, 0, key)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    _check_header(path)
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=_LOCK_WAIT_S)
        ) as connection:
            _harden(connection)
            yield connection
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        raise SourceError(
            f"cannot read AFLW database {str(path)!r}: {error}. Expected an SQLite database with "
            f"{', '.join(_COLUMNS)}, not in use by another program"
        ) from error


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise SourceError(f"cannot read AFLW database {str(path)!r}: {error}") from error
    if not header:
        raise SourceError(f"AFLW database {str(path)!r} is empty")
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise SourceError(f"{str(path)!r} is not an SQLite database")
    if 2 in header[18:20]:
        # Even a reader would write files beside it.
        raise SourceError(
            f"AFLW database {str(path)!r} is in write-ahead mode, which cannot be read without "
            "writing: convert it with `PRAGMA journal_mode=DELETE`"
        )


def _harden(connection: sqlite3.Connection) -> None:
    ticks = iter(range(_MOST_TICKS))
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.set_authorizer(_authorise)
    # A true answer ends the query.
    connection.set_progress_handler(lambda: int(next(ticks, None) is None), _STEPS_A_TICK)


def _authorise(action: int, first: str | None, *_rest: str | None) -> int:
    if action == sqlite3.SQLITE_SELECT:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and first in {*_COLUMNS, "sqlite_master", "sqlite_schema"}:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _rows(connection: sqlite3.Connection, table: str, path: Path) -> Iterator[tuple[Any, ...]]:
    found = connection.execute(
        "SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)
    ).fetchone()
    # A view, a virtual table or a computed column ("... AS (...)") would run what its author wrote.
    if found is None or found[0] != "table" or _COMPUTED.search(str(found[1])):
        raise SourceError(f"AFLW database {str(path)!r} has no table {table} of plain columns")
    # Names cannot be parameters; these are our own constants.
    columns = ", ".join(_COLUMNS[table])
    rows = connection.execute(f"SELECT {columns} FROM {table} LIMIT ?", (_MOST_ROWS + 1,))  # noqa: S608
    for count, row in enumerate(rows, start=1):
        if count > _MOST_ROWS:
            raise SourceError(f"AFLW database {str(path)!r}: over {_MOST_ROWS:,} rows in {table}")
        yield row
