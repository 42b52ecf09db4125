"""Specifications, folders of crops, and whole pictures with faces to be found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idrn_trt.errors import OptionError, SourceError
from idrn_trt.faces.cnn import CnnDetector
from idrn_trt.toolchain.sources import list_faces, parse_specs
from idrn_trt.toolchain.sources.folder import UNREADABLE, WITHOUT_FACE, read_folder, read_scenes
from idrn_trt.zoo import DETECTOR_MODEL, find_model

skimage_data = pytest.importorskip("skimage.data")


def blank(path: Path) -> None:
    """A small picture at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (80, 80), (9, 9, 9)).save(path)


@pytest.mark.parametrize("spec", ["faces", "folder:", "zip:faces.zip", "", "folder", ",folder:."])
def test_other_specifications_are_refused(spec: str) -> None:
    """Anything but a known kind and a folder is an OptionError that says what was expected."""
    with pytest.raises(OptionError, match=r"expected folder:DIR, scenes:DIR, fddb:DIR or aflw:DIR"):
        parse_specs(spec)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is an OptionError."""
    with pytest.raises(OptionError, match="not a folder"):
        parse_specs(f"folder:{tmp_path},fddb:{tmp_path / 'missing'}")


def test_sources_are_joined_by_commas(tmp_path: Path) -> None:
    """A comma in front of a kind separates, one inside a name does not."""
    odd = tmp_path / "a,b"
    odd.mkdir()
    assert parse_specs(f"folder:{odd},aflw:{tmp_path}") == [("folder", odd), ("aflw", tmp_path)]


def test_names_of_several_sources_stay_apart(tmp_path: Path) -> None:
    """One file name in two sources is two faces of two groups."""
    for folder in ("one", "two"):
        blank(tmp_path / folder / "x.png")
    listing = list_faces(f"folder:{tmp_path / 'one'},folder:{tmp_path / 'two'}")
    assert len({f.name for f in listing.faces}) == len({f.group for f in listing.faces}) == 2


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    """Every picture below the folder is one crop, in the order of its path; other files are none."""
    for name in ("b.png", "a/z.jpg", "c.PNG"):
        blank(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    faces = read_folder(tmp_path).faces
    assert [f.name for f in faces] == ["a/z.jpg", "b.png", "c.PNG"]
    assert all(f.box is None and f.group == f.name for f in faces)


def test_people_are_groups(tmp_path: Path) -> None:
    """Where manifest.csv names persons, crops of one of them are a group; without one, each is."""
    for name in ("1.png", "2.png", "3.png", "4.png"):
        blank(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(
        "file,person,size\n1.png,ann,1\n2.png,ann,1\n3.png,,1\n4.png,bob,1\n"
    )
    assert [f.group for f in read_folder(tmp_path).faces] == [
        "person ann", "person ann", "3.png", "person bob",
    ]  # fmt: skip
    (tmp_path / "manifest.csv").write_bytes(b"file,person\n\xff\xfe,x\n")
    with pytest.raises(SourceError, match=r"manifest\.csv"):
        read_folder(tmp_path)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A photo with a face, one without, and a broken file."""
    root = tmp_path / "scenes"
    root.mkdir()
    Image.fromarray(skimage_data.astronaut()).save(root / "astronaut.png")
    Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(root / "wall.png")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return root


def test_faces_are_found_in_scenes(scenes: Path) -> None:
    """The photo's face is listed with a box around it; what has none or cannot be read is counted."""
    listing = read_scenes(scenes)
    (face,) = listing.faces
    assert face.name == "astronaut.png#1"
    assert face.box is not None
    # The face of the photo is at about (225, 115).
    assert face.box.x < 225 < face.box.x + face.box.w
    assert face.box.y < 115 < face.box.y + face.box.h
    assert listing.problems.counts == {WITHOUT_FACE: 1, UNREADABLE: 1}


def test_faces_are_found_once(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second listing comes from the cache, until a picture or the detector's model changes."""
    calls = []
    detect = CnnDetector.detect

    def counted(self: CnnDetector, frame: np.ndarray) -> object:
        calls.append(frame.shape)
        return detect(self, frame)

    monkeypatch.setattr(CnnDetector, "detect", counted)
    first = read_scenes(scenes)
    assert len(calls) == 2
    assert read_scenes(scenes) == first
    assert len(calls) == 2
    (scenes / "wall.png").unlink()
    assert read_scenes(scenes).faces == first.faces
    assert len(calls) == 3
    model = shutil.copytree(find_model(DETECTOR_MODEL).folder, tmp_path / DETECTOR_MODEL)
    manifest = json.loads((model / "manifest.json").read_bytes())
    del manifest["files"]["fp16"]
    (model / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("IDRN_MODELS", str(tmp_path))
    assert read_scenes(scenes).faces == first.faces
    assert len(calls) == 4
