"""Crops: what is cut, what is left out, and the cache they are read from."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idrn_trt.errors import SinkError, TrainingError
from idrn_trt.toolchain.crops import LARGEST_PX, MISSING, OUTSIDE, UNREADABLE, cut, open_crops
from idrn_trt.toolchain.sources.face import LabelledFace
from idrn_trt.types import Box


def face(box: Box | None, margin: float = 1.0) -> LabelledFace:
    """A face that is only cut, never read."""
    return LabelledFace(Path("x.png"), "x", box, "x", margin)


def ramp(height: int, width: int) -> np.ndarray:
    """A picture in which red is x and green is y."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, 0 * x], axis=2).astype(np.uint8)


def test_a_square_is_cut_around_the_box() -> None:
    """The square has the box's longer side times the margin, and the box's centre."""
    crop = cut(ramp(200, 250), face(Box(100, 50, 40, 60), 1.5))
    assert crop is not None
    assert crop.shape == (90, 90, 3)
    assert tuple(crop[0, 0, :2]) == (75, 35)  # centre (120, 80) less 45


@pytest.mark.parametrize(
    ("box", "corner", "side"),
    [
        (Box(-5, -5, 60, 60), (0, 0), 60),
        (Box(196, 146, 60, 60), (190, 140), 60),
        (Box(10, 10, 230, 180), (25, 0), 200),
    ],
    ids=["top left", "bottom right", "larger than the picture"],
)
def test_a_square_is_shifted_into_the_picture(box: Box, corner: tuple[int, int], side: int) -> None:
    """At an edge the square moves inside; one with no room has the picture's shorter side."""
    crop = cut(ramp(200, 250), face(box))
    assert crop is not None
    assert crop.shape == (side, side, 3)
    assert tuple(crop[0, 0, :2]) == corner


@pytest.mark.parametrize(
    "box", [Box(-30, 10, 60, 60), Box(300, 10, 50, 50), Box(10, 180, 60, 60), Box(-900, -900, 9, 9)]
)
def test_a_face_outside_is_not_cut(box: Box) -> None:
    """A box of which over a quarter lies outside the picture gives no crop."""
    assert cut(ramp(200, 250), face(box)) is None


def test_large_faces_are_shrunk_and_whole_pictures_are_not() -> None:
    """A face above the limit is reduced to it; a picture that is a crop already stays as it is."""
    flat = np.full((700, 900, 3), 77, np.uint8)
    shrunk = cut(flat, face(Box(50, 0, 650, 650)))
    assert shrunk is not None
    assert shrunk.shape == (LARGEST_PX, LARGEST_PX, 3)
    assert (shrunk == 77).all()
    assert cut(flat, face(None)) is flat


@pytest.fixture
def fddb(tmp_path: Path) -> Path:
    """A data set of one picture with faces of every kind, one missing and one corrupt."""
    root = tmp_path / "fddb"
    (root / "FDDB-folds").mkdir(parents=True)
    (root / "2002").mkdir()
    Image.fromarray(ramp(200, 250)).save(root / "2002" / "a.jpg", quality=95)
    (root / "2002" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (root / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt").write_text(
        "2002/a\n4\n40 30 1.5 100 100 1\n5 4 0 100 100 1\n40 30 0 -80 100 1\noops\n"
        "2002/missing\n1\n40 30 0 100 100 1\n2002/broken\n1\n40 30 0 100 100 1\n"
    )
    return root


def test_what_cannot_be_used_is_counted(fddb: Path) -> None:
    """Missing, corrupt, outside, too small and malformed faces are counted and named; one is left."""
    crops = open_crops(f"fddb:{fddb}", 32)
    assert len(crops) == 1
    assert crops[0].shape == (88, 88, 3)  # twice the major radius, and a tenth
    assert crops.problems.counts == {
        MISSING: 1, UNREADABLE: 1, OUTSIDE: 1, "faces under 32 px": 1, "malformed fold lines": 1,
    }  # fmt: skip
    assert crops.problems.named[MISSING] == ["2002/missing#1"]


def test_a_cache_gives_the_same_crops(faces: Path, tmp_path: Path) -> None:
    """What is read back is every picture to the bit, in name order, with the same digest."""
    first = open_crops(f"folder:{faces}", 64, tmp_path)
    again = open_crops(f"folder:{faces}", 64, tmp_path)
    assert first.digest == again.digest
    assert [e.name for e in again.entries] == [f"{k:03}.png" for k in range(40)]
    for k in (0, 7, 39):
        assert np.array_equal(again[k], np.asarray(Image.open(faces / f"{k:03}.png")))
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_is_used_and_follows_its_recipe(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are decoded once; a changed picture or limit is another cache."""
    copy = tmp_path / "copy"
    shutil.copytree(faces, copy)
    cache = tmp_path / "cache"
    digest = open_crops(f"folder:{copy}", 64, cache).digest
    with monkeypatch.context() as patch:
        patch.setattr("idrn_trt.toolchain.crops.read_image", None)
        assert open_crops(f"folder:{copy}", 64, cache).digest == digest
        with pytest.raises(TypeError):
            open_crops(f"folder:{copy}", 65, cache)
    Image.new("RGB", (70, 70)).save(copy / "000.png")
    assert open_crops(f"folder:{copy}", 64, cache).digest != digest


@pytest.mark.parametrize("damage", ["cut", "index", "no index", "foreign index"])
def test_a_damaged_cache_is_made_again(faces: Path, tmp_path: Path, damage: str) -> None:
    """A cache that is not whole is not used."""
    crops = open_crops(f"folder:{faces}", 64, tmp_path)
    pixels, index = crops.path, crops.path.with_name("index.json")
    wanted = crops[3].copy()
    if damage == "cut":
        os.truncate(pixels, 1000)
    elif damage == "no index":
        index.unlink()
    else:
        index.write_text("{" if damage == "index" else "[1]")
    assert np.array_equal(open_crops(f"folder:{faces}", 64, tmp_path)[3], wanted)


def test_crops_may_be_sent_to_a_process(faces: Path, tmp_path: Path) -> None:
    """Pickled crops are some kilobytes, not the pixels, and are the same crops."""
    crops = open_crops(f"folder:{faces}", 64, tmp_path)
    assert crops[0].any()
    data = pickle.dumps(crops)
    assert len(data) < 10_000
    copy = pickle.loads(data)  # noqa: S301 (ours)
    assert copy.digest == crops.digest
    assert all(np.array_equal(a, b) for a, b in zip(copy, crops, strict=True))


def test_crops_are_a_sequence(faces: Path, tmp_path: Path) -> None:
    """Length, slices, subsets, iteration and negative indices are a list's; pixels are read-only."""
    crops = open_crops(f"folder:{faces}", 64, tmp_path)
    assert len(list(crops)) == len(crops) == 40
    assert np.array_equal(crops[-1], crops[39])
    assert [e.name for e in crops[2:6:2].entries] == ["002.png", "004.png"]
    assert [name for name, _ in crops.subset([5, 1]).named()] == ["005.png", "001.png"]
    with pytest.raises(IndexError):
        crops[40]
    with pytest.raises(ValueError, match="read-only"):
        crops[0][0, 0] = 0


def test_the_digest_follows_names_and_bytes(faces: Path, tmp_path: Path) -> None:
    """The digest is the same wherever a folder lies, and changes with a name or a file."""
    copy = tmp_path / "copy"
    shutil.copytree(faces, copy)
    one = open_crops(f"folder:{faces}", 64, tmp_path / "c").digest
    assert open_crops(f"folder:{copy}", 64, tmp_path / "c").digest == one
    (copy / "039.png").rename(copy / "z.png")
    renamed = open_crops(f"folder:{copy}", 64, tmp_path / "c").digest
    (copy / "000.png").unlink()
    fewer = open_crops(f"folder:{copy}", 64, tmp_path / "c").digest
    assert len({one, renamed, fewer}) == 3


def test_the_digest_follows_the_boxes(fddb: Path, tmp_path: Path) -> None:
    """Another box in the same picture is other data."""
    one = open_crops(f"fddb:{fddb}", 32, tmp_path).digest
    fold = fddb / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt"
    fold.write_text(fold.read_text().replace("40 30 1.5", "41 30 1.5"))
    assert open_crops(f"fddb:{fddb}", 32, tmp_path).digest != one


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """Grey, palette, transparent and CMYK pictures are read as RGB."""
    Image.new("RGB", (64, 64), (255, 255, 255)).convert(mode).save(tmp_path / "white.tif")
    (image,) = open_crops(f"folder:{tmp_path}", 64, tmp_path / "cache")
    assert image.shape == (64, 64, 3)
    assert (image == 255).all()


def test_no_usable_face_is_an_error(tmp_path: Path) -> None:
    """Nothing to train on is a TrainingError that says what was looked at and why it is left out."""
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    with pytest.raises(TrainingError, match=r"1 faces looked at. 1 faces under 64 px: small.png"):
        open_crops(f"folder:{tmp_path}", 64)


def test_a_cache_that_cannot_be_written_is_a_sink_error(faces: Path, tmp_path: Path) -> None:
    """A file where the cache should be is a SinkError, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SinkError, match="cannot write the cache"):
        open_crops(f"folder:{faces}", 64, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
