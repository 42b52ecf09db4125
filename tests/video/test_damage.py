"""Clips that are cut off, damaged, or no clips; disks that are full; and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Clip, decode, picture

from idrn_trt.errors import SourceError
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip

HERE = Path(__file__).parent


def noisy(count: int, width: int = 128, height: int = 96) -> list[np.ndarray]:
    """Pictures that do not compress, so that a file's bytes are spread over its time."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".avi", ".ts"])
def test_a_clip_cut_off_in_the_middle(tmp_path: Path, same_size: Upscaler, ending: str) -> None:
    """What could be decoded is written and plays, at its own times, and the report says what is missing."""
    options = {"movflags": "+faststart"} if ending == ".mp4" else {}
    whole = Clip(
        tmp_path / f"whole{ending}", noisy(50), container_options=options, audio="aac",
        codec="mpeg4" if ending == ".avi" else "libx264",
    ).make()  # fmt: skip
    source = tmp_path / f"in{ending}"
    data = whole.read_bytes()
    source.write_bytes(data[: len(data) * 6 // 10])
    report = upscale_clip(source, tmp_path / "out.mkv", same_size)
    after = decode(tmp_path / "out.mkv")
    assert 10 < len(after.times) < 50
    assert report.frames == len(after.times)
    if ending != ".ts":  # which says nowhere how long it is
        assert str(source) in report.damage
        assert after.times == pytest.approx(decode(whole).times[: len(after.times)], abs=0.001)


def test_a_torn_packet_that_is_not_the_last(tmp_path: Path, same_size: Upscaler) -> None:
    """Where the end of a stream tears a packet, it is said, though others are handed over after that one."""
    data = Clip(
        tmp_path / "whole.mpg", noisy(50), codec="mpeg2video", audio="mp2"
    ).make().read_bytes()  # fmt: skip
    source = tmp_path / "in.mpg"
    for percent in range(30, 80):
        source.write_bytes(data[: len(data) * percent // 100])
        with av.open(str(source)) as container:
            torn = [packet.is_corrupt for packet in container.demux() if packet.size]
        if any(torn) and not torn[-1]:
            break
    else:
        pytest.fail("no such cut")
    assert "is cut off at" in upscale_clip(source, tmp_path / "out.mkv", same_size).damage


@pytest.mark.parametrize("cut", [False, True])
def test_an_mxf_says_how_long_it_is(tmp_path: Path, same_size: Upscaler, cut: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """MXF's header tells the end of a clip, so a missing one is noticed, and a whole one is not."""
    whole = Clip(tmp_path / "whole.mxf", noisy(50), codec="mpeg2video", audio="pcm_s16le")
    data = whole.make().read_bytes()
    source = tmp_path / "in.mxf"
    # Between two packets, so that none is torn: a picture's or sound's key (SMPTE ST 379-1).
    between = data.index(bytes.fromhex("060e2b34 01020101 0d010301"), len(data) * 6 // 10)
    source.write_bytes(data[:between] if cut else data)
    report = upscale_clip(source, tmp_path / "out.mkv", same_size)
    assert ("is cut off at" in report.damage) is cut


def test_a_damaged_stretch(tmp_path: Path, same_size: Upscaler) -> None:
    """Packets of noise in the middle cost their frames; the rest is written, and it is said."""
    source = tmp_path / "in.mkv"
    Clip(source, noisy(50), codec="ffv1", pix_fmt="bgr0").make()
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    source.write_bytes(bytes(data))
    report = upscale_clip(source, tmp_path / "out.mkv", same_size)
    assert 30 < len(decode(tmp_path / "out.mkv").times) <= 50
    assert report.damage == "" or str(source) in report.damage


def sound_only(path: Path) -> None:
    """A file with an audio track and no other."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        for start in range(0, 48000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sound_and_cover(path: Path) -> None:
    """A file with an audio track and a picture of its cover."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = 1 << 10
        frame = av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format="yuvj420p")
        container.mux([*cover.encode(frame), *cover.encode(None)])
        tone = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        tone.sample_rate, tone.pts = 48000, 0
        container.mux([*sound.encode(tone), *sound.encode(None)])


def no_frame(path: Path) -> None:
    """A header that promises a video track with nothing in it."""
    whole = Clip(path.with_suffix(".mkv"), noisy(5)).make()
    data = whole.read_bytes()
    whole.unlink()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 20])  # up to the first cluster


def playlist(path: Path) -> None:
    """A list of other files, which must not be followed."""
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (sound_only, "no video track: it holds audio"),
        (sound_and_cover, "no video track: it holds audio and a cover picture"),
        (no_frame, "not one frame can be decoded|damaged from its beginning"),
        (playlist, "not a video in a format known here"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"hello" * 100), "not a video in a format known here"),
        (lambda path: path.write_bytes(bytes(5000)), "not a video in a format known here"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.unlink(missing_ok=True), "no such file"),
    ],
    ids=["sound", "cover", "no frame", "playlist", "empty", "text", "zeros", "folder", "missing"],
)
def test_what_is_no_video(tmp_path: Path, upscaler: Upscaler, make: object, words: str) -> None:
    """Each ends in a SourceError of one line that names the file, and nothing is written."""
    source = tmp_path / "in.mp4"
    make(source)  # type: ignore[operator]
    with pytest.raises(SourceError, match=words) as caught:
        upscale_clip(source, tmp_path / "out.mp4", upscaler)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir() if p != source] == []


def test_an_mp4_without_its_index(tmp_path: Path, upscaler: Upscaler) -> None:
    """An .mp4 cut before the index at its end has no frame to show: one line that says so."""
    whole = Clip(tmp_path / "whole.mp4", noisy(20)).make()
    (tmp_path / "in.mp4").write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(SourceError, match="cut off before its index"):
        upscale_clip(tmp_path / "in.mp4", tmp_path / "out.mp4", upscaler)


def test_too_many_pixels(tmp_path: Path, upscaler: Upscaler) -> None:
    """A frame size above the limit is refused before a frame is decoded."""
    source = Clip(tmp_path / "in.mp4", noisy(2)).make()
    with pytest.raises(SourceError, match="128x96 = 12,288 pixels"):
        upscale_clip(source, tmp_path / "out.mp4", upscaler, VideoOptions(max_pixels=12_287))


# What the command line is run with in a process of its own: bicubic, and no time spent on detection.
RUN = """
import sys
sys.path[:0] = {paths!r}
from idrn_trt.cli import main
from idrn_trt.faces import detect
from told import Told
from idrn_trt import upscaler
upscaler.open_detector = lambda *a, **k: Told()
{before}
sys.exit(main(["upscale", *sys.argv[1:], "--engine", "bicubic"]))
"""


def command(*arguments: object, before: str = "") -> list[str]:
    """`idrn-trt upscale` with these arguments, after the statement `before`."""
    paths = [str(HERE.parent / "models"), str(HERE.parents[1])]
    return [sys.executable, "-c", RUN.format(paths=paths, before=before), *map(str, arguments)]


def test_a_full_disk(tmp_path: Path) -> None:
    """When the file cannot grow: exit 1, one line, no temporary file, the older result untouched."""
    source = Clip(tmp_path / "in.mkv", noisy(100)).make()
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "out.mp4"
    target.write_bytes(b"an older result")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    done = subprocess.run(
        command(source, "-o", target, before=limit), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "cannot write video" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [p.name for p in target.parent.iterdir()] == ["out.mp4"]
    assert target.read_bytes() == b"an older result"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupt_keeps_what_was_done(tmp_path: Path, end: signal.Signals) -> None:
    """Ctrl-C, and what `kill` sends, exit 130 and leave a file that plays, of the frames done until then."""
    source = Clip(
        tmp_path / "in.mkv", [picture(k, 320, 240) for k in range(2000)], audio="aac"
    ).make()
    report, target = tmp_path / "r.json", tmp_path / "out" / "out.mp4"
    process = subprocess.Popen(
        command(source, "-o", target, "--json", report), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not _bytes_in(target.parent) > 30_000 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.kill(process.pid, end)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [p.name for p in target.parent.iterdir()] == ["out.mp4"]
    after, before = decode(target), decode(source)
    assert 0 < len(after.times) < 2000
    assert after.times == before.times[: len(after.times)]
    assert '"interrupted": true' in report.read_text()


def _bytes_in(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob(".*.part")) if folder.is_dir() else 0


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """After a warm-up, thousands of frames later the process has no more memory of its own."""
    source = Clip(
        tmp_path / "in.mp4",
        [picture(k, 48, 32) for k in range(3000)],
        options={"preset": "ultrafast"},
    ).make()
    before = """
import idrn_trt.video.pipeline as p
kept, told = [], p._Frames._count
def count(self, *a):
    told(self, *a)
    if self._report.frames in (1000, 2990):
        kept.append(int(open("/proc/self/statm").read().split()[1]) * 4096)
        if len(kept) == 2: print("grown", kept[1] - kept[0])
p._Frames._count = count
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system has no /proc/self/statm to read the memory from")
    done = subprocess.run(
        command(source, "-o", tmp_path / "out.mp4", before=before), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    grown = int(done.stdout.split("grown")[1].split()[0])
    assert grown < 4 << 20, f"{grown:,} bytes over 1990 frames"
