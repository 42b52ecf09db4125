"""Which pictures a detector is trained, validated and tested on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from idrn_trt.errors import SourceError
from idrn_trt.toolchain.detector.pictures import background_files, labels, number, read_pictures


def test_the_parts_share_no_picture(scenes: Path) -> None:
    """Training, validation and test pictures are apart, and together they are all."""
    training, validation = read_pictures(scenes)
    parts = [
        {p.name for p in training.backgrounds},
        {p.name for p in validation.backgrounds},
        {f.name for f in background_files(scenes, test=True)},
    ]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 60
    assert all(parts)
    assert not {p.name for p in training.faces} & {p.name for p in validation.faces}
    assert len(training.faces) + len(validation.faces) == 40


def test_a_part_follows_from_the_name_alone(scenes: Path, tmp_path: Path) -> None:
    """Other files beside them change nothing about which pictures are kept for testing."""
    kept = [f.name for f in background_files(scenes, test=True)]
    half = tmp_path / "background"
    half.mkdir()
    for file in sorted((scenes / "background").iterdir())[::2]:
        shutil.copy(file, half)
    assert [f.name for f in background_files(tmp_path, test=True)] == [
        name for name in kept if (half / name).exists()
    ]


def test_about_a_fifth_is_kept() -> None:
    """Names fall into the five parts about evenly."""
    share = sum(number(f"picture_{k:04}.jpg", 5) == 0 for k in range(5000)) / 5000
    assert 0.18 < share < 0.22


def test_the_digest_is_of_what_is_there(scenes: Path, tmp_path: Path) -> None:
    """The same pictures have the same digest, another box another one."""
    same = read_pictures(scenes)[0].digest()
    assert read_pictures(scenes)[0].digest() == same
    copy = Path(shutil.copytree(scenes, tmp_path / "copy"))
    table = (copy / "faces.csv").read_text().replace("train/001.png,20.0", "train/001.png,21.0")
    (copy / "faces.csv").write_text(table)
    assert read_pictures(copy)[0].digest() != same


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "cannot be read"),
        ("file,x,y,w\ntrain/000.png,1,2,3\n", "columns"),
        ("file,x,y,w,h\ntrain/000.png,1,2,3,much\n", "cannot be read"),
        ("file,x,y,w,h\ntest/000.png,1,2,3,4\n", "no face below train/"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, table: str | None, message: str) -> None:
    """A missing table, one without a column, with text for a number or of another part is a SourceError."""
    if table is not None:
        (tmp_path / "faces.csv").write_text(table)
    with pytest.raises(SourceError, match=message):
        labels(tmp_path, "train")


def test_folders_with_too_little(scenes: Path, tmp_path: Path) -> None:
    """No background, and too few pictures to hold some out, are SourceErrors that say so."""
    with pytest.raises(SourceError, match="without a face"):
        background_files(tmp_path, test=False)
    few = Path(shutil.copytree(scenes, tmp_path / "few"))
    (few / "faces.csv").write_text("file,x,y,w,h\ntrain/000.png,20,15,30,40\n")
    with pytest.raises(SourceError, match="too few"):
        read_pictures(few)
