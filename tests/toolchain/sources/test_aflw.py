"""AFLW's database, as published, damaged, in use, and hostile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idrn_trt.errors import SourceError
from idrn_trt.toolchain.sources import aflw
from idrn_trt.toolchain.sources.aflw import MALFORMED, WITHOUT_BOX, WITHOUT_PICTURE, read_aflw
from idrn_trt.types import Box

# Tables and columns as in the published database, those included that are not needed here.
SCHEMA = """
CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT,
                         bw INTEGER, width INTEGER, height INTEGER);
CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER,
                       annot_type_id INTEGER);
"""
ROWS = """
INSERT INTO FaceImages VALUES (1, 'aflw', 'image1.jpg', '0/image1.jpg', 0, 500, 400);
INSERT INTO FaceImages VALUES (2, 'aflw', 'image2.jpg', '2/image2.jpg', 0, 500, 400);
INSERT INTO Faces VALUES (39341, 'image1.jpg', 'aflw'), (39342, 'image2.jpg', 'aflw'),
                         (39343, 'image2.jpg', 'aflw');
INSERT INTO FaceRect VALUES (39341, 181, 95, 227, 227, 1), (39342, 10, 20, 80, 80, 1),
                            (39343, -5, 200, 90.5, 90, 1);
"""


def database(root: Path, more: str = "", *, schema: str = SCHEMA, rows: str = ROWS) -> Path:
    """A data set whose database was made by these statements."""
    with closing(sqlite3.connect(root / aflw.DATABASE)) as connection:
        connection.executescript(schema + rows + more)
    return root


def test_faces_are_read_as_published(tmp_path: Path) -> None:
    """Faces come in the order of their ids, each with file, box, and its picture as group."""
    listing = read_aflw(database(tmp_path))
    assert not listing.problems.counts
    assert [f.name for f in listing.faces] == [
        "0/image1.jpg#39341", "2/image2.jpg#39342", "2/image2.jpg#39343",
    ]  # fmt: skip
    assert listing.faces[0].file == tmp_path / "flickr" / "0/image1.jpg"
    assert listing.faces[0].box == Box(181, 95, 227, 227)
    assert listing.faces[2].box == Box(-5, 200, 90.5, 90)
    assert listing.faces[1].group == listing.faces[2].group != listing.faces[0].group


def test_the_database_may_lie_in_data(tmp_path: Path) -> None:
    """As unpacked from its archives: data/aflw.sqlite beside data/flickr."""
    (tmp_path / "data").mkdir()
    database(tmp_path / "data")
    assert read_aflw(tmp_path).faces[0].file == tmp_path / "data" / "flickr" / "0/image1.jpg"


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """The database is opened read-only: its bytes and its folder are as before."""
    before = (database(tmp_path) / aflw.DATABASE).read_bytes()
    (tmp_path / aflw.DATABASE).chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        read_aflw(tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / aflw.DATABASE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [aflw.DATABASE]


@pytest.mark.parametrize(
    ("statement", "kind", "left"),
    [
        ("DELETE FROM FaceImages WHERE image_id = 1", WITHOUT_PICTURE, 2),
        ("DELETE FROM FaceRect WHERE face_id = 39342", WITHOUT_BOX, 2),
        ("UPDATE FaceRect SET w = 0 WHERE face_id = 39342", MALFORMED, 2),
        ("UPDATE FaceRect SET x = 'left' WHERE face_id = 39342", MALFORMED, 2),
        ("UPDATE FaceRect SET h = NULL WHERE face_id = 39342", MALFORMED, 2),
        ("UPDATE FaceRect SET h = 9e999 WHERE face_id = 39342", MALFORMED, 2),
        ("UPDATE FaceRect SET y = 9223372036854775807 WHERE face_id = 39342", MALFORMED, 2),
        ("UPDATE FaceImages SET filepath = '../../etc/x.jpg' WHERE image_id = 1", MALFORMED, 2),
        ("UPDATE FaceImages SET filepath = '/etc/x.jpg' WHERE image_id = 1", MALFORMED, 2),
        ("UPDATE FaceImages SET filepath = x'00ff' WHERE image_id = 1", MALFORMED, 2),
        ("INSERT INTO FaceRect VALUES (39341, 1, 1, 9, 9, 1)", MALFORMED, 3),
        (
            "UPDATE Faces SET file_id = CAST(x'ff' AS TEXT) WHERE face_id = 39341",
            WITHOUT_PICTURE,
            2,
        ),
    ],
)
def test_bad_rows_cost_their_own_face(tmp_path: Path, statement: str, kind: str, left: int) -> None:
    """A row that is not of the format, or leads out of the folder, is counted; the others stay."""
    listing = read_aflw(database(tmp_path, statement))
    assert len(listing.faces) == left
    assert listing.problems.counts == {kind: 1}


@pytest.mark.parametrize(
    "content",
    [b"", b"SQLite format 3\0", b"no database at all " * 20],
    ids=["empty", "cut", "text"],
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty, cut or foreign file is a SourceError."""
    (tmp_path / aflw.DATABASE).write_bytes(content)
    with pytest.raises(SourceError, match=r"empty|not an SQLite"):
        read_aflw(tmp_path)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    """A database with a page overwritten is a SourceError, not another library's."""
    path = database(tmp_path) / aflw.DATABASE
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot read AFLW database"):
        read_aflw(tmp_path)


def test_a_locked_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that another program writes to is a SourceError after a short wait."""
    monkeypatch.setattr(aflw, "_LOCK_WAIT_S", 0.01)
    database(tmp_path)
    with closing(sqlite3.connect(tmp_path / aflw.DATABASE, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="locked"):
            read_aflw(tmp_path)


def test_a_database_in_write_ahead_mode_is_refused(tmp_path: Path) -> None:
    """Reading one would write files beside it."""
    database(tmp_path, "PRAGMA journal_mode=WAL;")
    with pytest.raises(SourceError, match="write-ahead"):
        read_aflw(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [aflw.DATABASE]


def test_no_database_and_no_face_are_refused(tmp_path: Path) -> None:
    """A folder without the database, or with one without faces, is a SourceError."""
    with pytest.raises(SourceError, match="no AFLW database"):
        read_aflw(tmp_path)
    database(tmp_path, rows="")
    with pytest.raises(SourceError, match="no face: 0 rows in FaceImages"):
        read_aflw(tmp_path)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "


@pytest.mark.parametrize(
    "table",
    [
        f"CREATE VIEW Faces AS {ENDLESS} SELECT i AS face_id, i AS file_id FROM n",  # noqa: S608 (a trap)
        "CREATE VIEW Faces AS SELECT load_extension('evil') AS face_id, 1 AS file_id",
        "CREATE VIRTUAL TABLE Faces USING fts5(face_id, file_id)",
        "CREATE TABLE Other (face_id, file_id)",
        "CREATE TABLE Faces (id, file_id)",
        "CREATE TABLE Faces (face_id, file_id AS (hex(zeroblob(9)))); INSERT INTO Faces VALUES (1)",
    ],
    ids=[
        "endless view",
        "view with a function",
        "virtual",
        "missing",
        "other columns",
        "generated",
    ],
)
def test_a_hostile_database_runs_nothing(tmp_path: Path, table: str) -> None:
    """Anything but a plain table with the columns is a SourceError, and nothing of it is run."""
    schema = SCHEMA.replace(
        "CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT)", table
    )
    assert table in schema
    database(tmp_path, schema=schema, rows="")
    with pytest.raises(SourceError, match=r"no table Faces|cannot read"):
        read_aflw(tmp_path)


def test_too_much_work_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that costs more steps than AFLW ever would is a SourceError, in bounded time."""
    monkeypatch.setattr(aflw, "_MOST_TICKS", 1)
    monkeypatch.setattr(aflw, "_STEPS_A_TICK", 1000)
    many = f"{ENDLESS} INSERT INTO FaceRect SELECT i, 1, 1, 9, 9, 1 FROM n LIMIT 5000"  # noqa: S608 (a trap)
    with pytest.raises(SourceError, match="interrupted"):
        read_aflw(database(tmp_path, many))


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than any face set has are a SourceError before they fill the memory."""
    monkeypatch.setattr(aflw, "_MOST_ROWS", 2)
    with pytest.raises(SourceError, match="over 2 rows in Faces"):
        read_aflw(database(tmp_path))
