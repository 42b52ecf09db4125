"""FDDB's fold files, in their published format and out of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from idrn_trt.errors import SourceError
from idrn_trt.toolchain.sources.face import Listing
from idrn_trt.toolchain.sources.fddb import MALFORMED, ellipse_box, read_fddb

GOOD = """\
2002/08/11/big/img_591
1
123.583300 85.549500 1.265839 269.693400 161.781200  1
2003/01/02/big/img_7
2
50.0 40.0 -0.5 100.0 90.0  1
30.0 25.5 1.570796 300.25 80.0  1
"""


def fddb(root: Path, *folds: str) -> Path:
    """A data set of these folds; no picture is needed to list faces."""
    (root / "FDDB-folds").mkdir()
    for number, text in enumerate(folds, start=1):
        (root / "FDDB-folds" / f"FDDB-fold-{number:02}-ellipseList.txt").write_text(text)
    return root


def problems(listing: Listing) -> list[str]:
    """The malformed lines that were named."""
    return listing.problems.named.get(MALFORMED, [])


def test_folds_are_read_as_published(tmp_path: Path) -> None:
    """Every face of every fold comes with its picture's file, a name of its own and its box."""
    root = fddb(tmp_path, GOOD, GOOD.replace("img_7", "img_8"))
    listing = read_fddb(root)
    assert not listing.problems.counts
    assert len(listing.faces) == 6
    first, second, third = listing.faces[:3]
    assert first.file == root / "2002/08/11/big/img_591.jpg"
    assert (second.group, third.group) == ("2003/01/02/big/img_7",) * 2
    assert second.name != third.name
    assert third.box is not None
    # Upright by a quarter turn: the major radius is the half height.
    assert (third.box.w, third.box.h) == pytest.approx((51.0, 60.0), abs=1e-3)
    assert third.box.x + third.box.w / 2 == pytest.approx(300.25)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, math.pi / 2, -2.5, 7.0])
def test_a_box_touches_its_ellipse(angle: float) -> None:
    """The box is the bounds of points on the ellipse, whatever its angle."""
    t = np.linspace(0, 2 * np.pi, 20001)
    u, v = 80 * np.cos(t), 50 * np.sin(t)
    x = 200 + u * math.cos(angle) - v * math.sin(angle)
    y = 150 + u * math.sin(angle) + v * math.cos(angle)
    box = ellipse_box(80, 50, angle, 200, 150)
    bounds = (x.min(), y.min(), np.ptp(x), np.ptp(y))
    assert (box.x, box.y, box.w, box.h) == pytest.approx(bounds, abs=1e-4)


@pytest.mark.parametrize(
    "line",
    [
        "50.0 40.0 0.5 100.0",
        "50.0 40.0 0.5 100.0 90.0",
        "50.0 40.0 0.5 100.0 90.0 2",
        "50.0 40.0 0.5 100.0 90.0 1 1",
        "50.0 40.0 nan 100.0 90.0 1",
        "inf 40.0 0.5 100.0 90.0 1",
        "0 40.0 0.5 100.0 90.0 1",
        "50.0 -40.0 0.5 100.0 90.0 1",
        "50.0 40.0 0.5 1e300 90.0 1",
        "fifty 40.0 0.5 100.0 90.0 1",
        "\x00\xff",
    ],
)
def test_a_malformed_face_is_named_by_number(tmp_path: Path, line: str) -> None:
    """One face that is not of the format costs itself only, and its line is named."""
    text = GOOD.replace("50.0 40.0 -0.5 100.0 90.0  1", line)
    root = fddb(tmp_path, "")
    (root / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt").write_text(text, encoding="latin-1")
    listing = read_fddb(root)
    assert len(listing.faces) == 2
    assert len(problems(listing)) == 1
    assert problems(listing)[0].startswith("FDDB-fold-01-ellipseList.txt:6 ")


@pytest.mark.parametrize(
    ("old", "new", "line", "faces"),
    [
        ("\n1\n123", "\n2\n123", 1, 3),
        ("\n1\n123", "\n123", 1, 3),
        ("\n2\n50", "\n1\n50", 4, 3),
        ("2002/08/11/big/img_591\n", "", 1, 2),
    ],
    ids=["one announced too many", "no count", "one too few", "no picture"],
)
def test_counts_and_pictures_that_do_not_fit_are_named(
    tmp_path: Path, old: str, new: str, line: int, faces: int
) -> None:
    """A picture whose faces are not as many as announced is named; faces are kept where they can be."""
    assert old in GOOD
    listing = read_fddb(fddb(tmp_path, GOOD.replace(old, new)))
    assert f":{line} " in problems(listing)[0]
    assert len(listing.faces) == faces


@pytest.mark.parametrize("path", ["2002/../../etc/passwd", "2002/x/../../../y"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    """A fold cannot name a file outside its data set."""
    listing = read_fddb(fddb(tmp_path, GOOD.replace("2002/08/11/big/img_591", path)))
    assert len(listing.faces) == 2
    assert "leads out" in problems(listing)[0]


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    """Nor by a link among its pictures."""
    root = tmp_path / "set"
    root.mkdir()
    (root / "2002").symlink_to(tmp_path)
    assert len(read_fddb(fddb(root, GOOD)).faces) == 2


def test_many_problems_are_counted_and_a_few_named(tmp_path: Path) -> None:
    """Of a thousand bad lines all are counted, and the report stays one line."""
    listing = read_fddb(fddb(tmp_path, "2002/a/b\n1000\n" + "bad line\n" * 1000 + GOOD))
    assert len(listing.faces) == 3
    assert listing.problems.counts[MALFORMED] == 1000
    (line,) = listing.problems.lines()
    assert line.startswith("1000 malformed fold lines: FDDB-fold-01")
    assert line.endswith(", ...")


def test_a_folder_without_folds_is_a_source_error(tmp_path: Path) -> None:
    """A folder that is no FDDB is an error that says what was expected."""
    with pytest.raises(SourceError, match="FDDB-fold-"):
        read_fddb(tmp_path)
