"""`idrn-trt upscale` with videos, alone and among pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from clips import Clip, decode, picture

from idrn_trt.cli import main
from idrn_trt.images import read_image, write_image


def upscale(*arguments: object) -> int:
    """The verb's exit code, run in this process on the bicubic engine."""
    return main(["upscale", *map(str, arguments), "--engine", "bicubic"])


def clip(path: Path, count: int = 10) -> Path:
    """A clip without a face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return Clip(path, [picture(k) for k in range(count)]).make()


def test_a_video_lands_beside_its_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without -o the result is NAME.sr.mp4, and a table says what it is."""
    clip(tmp_path / "clip.mkv")
    assert upscale(tmp_path / "clip.mkv") == 0
    after = decode(tmp_path / "clip.sr.mp4")
    assert (after.width, after.height, len(after.times)) == (256, 192, 10)
    out = capsys.readouterr().out
    assert "libx264" in out
    assert "1 of 1 videos" in out
    assert "10 frames without a face found" in out


def test_files_and_folders_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures and videos go into one folder, each as its kind."""
    clip(tmp_path / "in" / "sub" / "a.mkv")
    write_image(tmp_path / "in" / "b.jpg", picture(0))
    other = clip(tmp_path / "c.mov")
    report = tmp_path / "r.json"
    assert upscale(tmp_path / "in", other, "-o", tmp_path / "out", "--json", report) == 0
    made = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")
    )
    assert made == ["b.png", "c.mp4", "sub/a.mp4"]
    document = json.loads(report.read_text())
    summary, frames = document["summary"], document["frames"]
    assert (summary["pictures"], summary["videos"], summary["done"]) == (1, 2, 3)
    assert [c["frames"] for c in summary["clips"]] == [10, 10]
    assert len(frames) == 21
    assert frames[-1]["time_s"] == pytest.approx(0.36)
    assert frames[-1]["index"] == 9
    assert set(frames[-1]["times_ms"]) == {"detect", "window", "engine", "paste", "total"}
    assert "3 of 3 files" in capsys.readouterr().out


def test_a_batch_goes_on_past_bad_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truncated video is written as far as it goes, one that is none is reported, exit code 1."""
    whole = clip(tmp_path / "whole.mkv", 100).read_bytes()
    (tmp_path / "whole.mkv").rename(tmp_path / "z.mkv")
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 50)
    code = upscale(
        *(tmp_path / n for n in ("cut.mkv", "junk.mp4", "z.mkv")), "-o", tmp_path / "out"
    )
    out, err = capsys.readouterr()
    assert code == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cut.mp4", "z.mp4"]
    assert "cut off at" in err
    assert "frames that could be read are in" in err
    assert "junk.mp4" in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 2
    assert "1 of 3 videos" in out
    assert "2 failed" in out


def test_a_thumbnail(tmp_path: Path) -> None:
    """--thumbnail writes a preview picture of the result's size beside it."""
    clip(tmp_path / "clip.mp4")
    assert upscale(tmp_path / "clip.mp4", "--thumbnail") == 0
    assert read_image(tmp_path / "clip.sr.thumb.jpg").shape == (192, 256, 3)


def test_a_part(tmp_path: Path) -> None:
    """--start and --duration take minutes and seconds."""
    clip(tmp_path / "clip.mp4", 100)
    assert upscale(tmp_path / "clip.mp4", "--start", "0:02", "--duration", "1.0") == 0
    assert len(decode(tmp_path / "clip.sr.mp4").times) == 25


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--codec", "h266"], "h264"),
        (["--crf", "99"], "0 to 51"),
        (["--preset", "soon"], "ultrafast"),
        (["--duration", "0"], "duration"),
        (["--codec", "vp9", "--preset", "veryfast"], "no preset"),
        (["-o", "clear.jpg"], ".mkv"),
        (["-o", "clear.webm", "--codec", "h264"], "webm cannot hold"),
        (["-o", "clear.mov", "--codec", "av1"], "mov cannot hold"),
        (["-o", "clear.avi"], ".mkv"),
        (["-o", "clear.GIF"], ".mkv"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """An impossible wish ends before any work, exit 2, in one line that says what to give."""
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "clip.mp4")
    assert upscale("clip.mp4", *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_video_options_without_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--start on pictures is a mistake, not ignored."""
    write_image(tmp_path / "p.png", picture(0))
    assert upscale(tmp_path / "p.png", "--start", "3", "--thumbnail") == 2
    assert "--start, --thumbnail: for videos" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1:2:3:4", "-3", "abc", "1e3", ""])
def test_times_are_usage_errors(tmp_path: Path, text: str) -> None:
    """--start wants seconds or [HOURS:]MINUTES:SECONDS."""
    with pytest.raises(SystemExit) as caught:
        upscale(clip(tmp_path / "clip.mp4"), f"--start={text}")
    assert caught.value.code == 2


def test_an_input_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o naming the video itself is refused."""
    path = clip(tmp_path / "clip.mp4")
    before = path.read_bytes()
    assert upscale(path, "-o", path) == 2
    assert "overwrite its input" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_pictures_need_no_av(tmp_path: Path) -> None:
    """Upscaling pictures imports nothing of PyAV, which loads FFmpeg's libraries."""
    write_image(tmp_path / "p.png", picture(0))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "sys.modules['av'] = None\nfrom idrn_trt.cli import main\n"
        f"sys.exit(main(['upscale', {str(tmp_path)!r}, '--engine', 'bicubic']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_av_a_video_is_one_line(tmp_path: Path) -> None:
    """Where PyAV is missing, a video ends in one line that says what to install."""
    clip(tmp_path / "clip.mp4")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "sys.modules['av'] = None\nfrom idrn_trt.cli import main\n"
        f"sys.exit(main(['upscale', {str(tmp_path / 'clip.mp4')!r}, '--engine', 'bicubic']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "idrn-trt: module 'av' is not installed: pip install av\n"
