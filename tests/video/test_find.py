"""Telling videos from pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import Clip, picture

from idrn_trt.errors import OptionError
from idrn_trt.images import write_image
from idrn_trt.video.find import find_inputs, is_video


@pytest.mark.parametrize(
    "ending", [".mp4", ".mkv", ".mov", ".avi", ".ts", ".webm", ".flv", ".mpg", ".h264"]
)
def test_a_video_of_any_name(tmp_path: Path, ending: str) -> None:
    """Every container is known by its bytes, even when it is called a picture."""
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4", ".mpg": "mpeg2video"}.get(ending, "libx264")
    made = Clip(tmp_path / f"in{ending}", [picture(k) for k in range(3)], codec=codec).make()
    assert is_video(made)
    if ending != ".h264":  # whose first bytes are too common to go by
        assert is_video(made.rename(tmp_path / "in.png"))


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_picture_of_any_name(tmp_path: Path, ending: str) -> None:
    """A picture stays one under a video's name."""
    write_image(tmp_path / f"in{ending}", picture(0))
    assert not is_video((tmp_path / f"in{ending}").rename(tmp_path / "in.mp4"))


@pytest.mark.parametrize(
    ("head", "video"),
    [
        (b"\0\0\0\x1cftypavif", False),
        (b"\0\0\0\x1cftypheic", False),
        (b"\0\0\0\x1cftypisom", True),
        (b"RIFF\0\0\0\0WEBP", False),
        (b"GIF89a", False),
        (b"", True),
        (b"junk", True),
    ],
)
def test_content_goes_before_the_name(tmp_path: Path, head: bytes, *, video: bool) -> None:
    """Bytes that tell decide; where they do not, .mp4 is a video."""
    (tmp_path / "x.mp4").write_bytes(head + bytes(100))
    assert is_video(tmp_path / "x.mp4") == video


def test_what_cannot_be_read_goes_by_its_name(tmp_path: Path) -> None:
    """Missing files are reported as what they are called."""
    assert is_video(tmp_path / "missing.MKV")
    assert not is_video(tmp_path / "missing.png")


def test_a_mixed_folder(tmp_path: Path) -> None:
    """Pictures and videos of a folder are found in order; TypeScript is neither."""
    write_image(tmp_path / "a.png", picture(0))
    Clip(tmp_path / "sub" / "b.mp4", [picture(0)] * 2).path.parent.mkdir()
    Clip(tmp_path / "sub" / "b.mp4", [picture(0)] * 2).make()
    Clip(tmp_path / "c.ts", [picture(0)] * 2).make()
    Clip(tmp_path / "c.mp4", [picture(0)] * 2).make().rename(tmp_path / "c.3g2")
    (tmp_path / "d.ts").write_text("export const a = 1\n" * 100)
    (tmp_path / "e.txt").write_text("words")
    (tmp_path / "._a.png").write_bytes(b"what macOS keeps of a file")
    found = find_inputs([str(tmp_path)])
    assert [(i.source.relative.as_posix(), i.video) for i in found] == [
        ("a.png", False), ("c.3g2", True), ("c.ts", True), ("sub/b.mp4", True),
    ]  # fmt: skip


def test_nothing_to_do(tmp_path: Path) -> None:
    """A folder or pattern without a picture or video is refused."""
    for text in (str(tmp_path), str(tmp_path / "*.mp4")):
        with pytest.raises(OptionError, match="no picture or video found"):
            find_inputs([text])
