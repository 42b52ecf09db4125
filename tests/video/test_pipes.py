"""Videos through pipes: standard input and output that cannot be gone back in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import Clip, decode, picture

ROOT = Path(__file__).parents[2]
COUNT = 30


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip with sound and subtitles, of uneven times."""
    times = [k + (k > 10) * 7 for k in range(COUNT)]
    return Clip(
        tmp_path / "in.mkv", [picture(k) for k in range(COUNT)], pts=times,
        time_base=Fraction(1, 1000) * 40, audio="aac", subtitles="subrip",
    ).make()  # fmt: skip


def upscale(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own, fed and read through pipes."""
    command = [sys.executable, "-m", "idrn_trt", "upscale", "-", "--engine", "bicubic", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False, cwd=ROOT)


def blocks(path: Path) -> Iterator[tuple[Fraction, bytes]]:
    """Every packet of the other tracks, at its time."""
    for packets in decode(path).packets.values():
        yield from packets


@pytest.mark.parametrize("output", [(), ("-o", "-")])
def test_a_clip_through_a_pipe(tmp_path: Path, clip: Path, output: tuple[str, ...]) -> None:
    """Matroska comes out with every frame, sound and subtitle at its time, and nothing else does."""
    done = upscale(clip.read_bytes(), *output)
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.mkv").write_bytes(done.stdout)
    before, after = decode(clip), decode(tmp_path / "out.mkv")
    assert after.container == "matroska,webm"
    assert after.times == before.times
    assert list(blocks(tmp_path / "out.mkv")) == list(blocks(clip))
    assert f"{COUNT} frames without a face found".encode() in done.stderr


def test_a_pipe_into_a_named_file(tmp_path: Path, clip: Path) -> None:
    """What comes through a pipe can go into any container, and a part of it too."""
    target = tmp_path / "out.mp4"
    done = upscale(clip.read_bytes(), "-o", str(target), "--start", "0.2", "--duration", "0.2")
    assert done.returncode == 0, done.stderr
    assert b"1 of 1 videos" in done.stdout
    assert decode(target).times == [Fraction(k, 25) for k in range(5)]


def test_a_clip_cut_off_in_a_pipe(tmp_path: Path, clip: Path) -> None:
    """What came through before the end is written, exit code 1, and one line says where it ends."""
    data = clip.read_bytes()
    done = upscale(data[: len(data) // 3])
    assert done.returncode == 1
    assert b"is cut off at" in done.stderr
    (tmp_path / "out.mkv").write_bytes(done.stdout)
    assert 0 < len(decode(tmp_path / "out.mkv").times) < COUNT


def test_an_index_at_the_end(tmp_path: Path) -> None:
    """An MP4 that cannot be read without going back is one line that says to name the file."""
    # Larger than what FFmpeg keeps of a pipe.
    noise = np.random.default_rng(0).integers(0, 256, (5, 480, 640, 3), np.uint8)
    path = Clip(tmp_path / "in.mp4", list(noise)).make()
    done = upscale(path.read_bytes())
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"give the file's name" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away(clip: Path) -> None:
    """`| head` ends the command without a traceback."""
    command = [sys.executable, "-m", "idrn_trt", "upscale", str(clip), "-o", "-"]
    with subprocess.Popen(
        [*command, "--engine", "bicubic", "--codec", "ffv1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(120) == 1
    assert b"Traceback" not in said


def test_no_thumbnail_beside_a_pipe(clip: Path) -> None:
    """--thumbnail without a file to put it beside is wrong usage."""
    done = upscale(clip.read_bytes(), "--thumbnail")
    assert done.returncode == 2
    assert b"give -o FILE" in done.stderr
