"""`idrn-trt stream` as a user runs it."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.cli import build_parser, main
from idrn_trt.commands.stream import _options
from idrn_trt.images import write_image

# A test picture comes from a camera that never ends, and is small.
CAMERA = "test:128x96@30"
WAIT_S = 120


def stream(*arguments: object) -> int:
    """The verb's exit code, run in this process on the bicubic engine."""
    return main(["stream", *map(str, arguments), "--engine", "bicubic"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve pictures without a face."""
    for number in range(12):
        picture = np.full((48, 64, 3), 10 * number, np.uint8)
        write_image(tmp_path / "in" / f"{number:02}.png", picture)
    return tmp_path / "in"


def test_a_file_and_a_report(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every frame is in the file, the table on standard output, counts and times in the JSON."""
    out, report = tmp_path / "clear.mkv", tmp_path / "report.json"
    assert stream(pictures, "--out", out, "--json", report, "--frame-scale", 1) == 0
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    document = json.loads(report.read_text())
    assert document["frames"] == 12
    assert document["sources"][0]["state"] == "ended"
    assert document["sinks"][0]["written"] == 12
    assert {"p50", "p95", "p99", "max"} <= document["sinks"][0]["age_ms"].keys()
    assert set(document["stages_ms"]) == {"detect", "window", "carry", "paste"}
    assert "12 frames in" in capsys.readouterr().out


def test_json_lines_are_all_there_is_on_standard_output(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables go to standard error then."""
    assert stream(pictures, "--out", "-") == 0
    said = capsys.readouterr()
    assert [json.loads(line)["frame"] for line in said.out.splitlines()] == list(range(12))
    assert "12 frames in" in said.err


@pytest.mark.parametrize("carry", [[], ["--carry", "on"], ["--carry", "off"]])
def test_a_file_is_never_carried(
    pictures: Path,
    tmp_path: Path,
    astronaut: npt.NDArray[np.uint8],
    carry: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever is asked for, every frame waits for its faces; counts and table say that none was carried."""
    for number in range(3):
        write_image(pictures / f"9{number}.png", np.roll(astronaut[::2, ::2], 2 * number, 1))
    report = tmp_path / "report.json"
    assert stream(pictures, "--out", tmp_path / "a.mkv", "--json", report, *carry) == 0
    (counts,) = json.loads(report.read_text())["sources"]
    assert counts["faces"] >= 3
    assert counts["carried"] == 0
    heads, _, cells, *_ = capsys.readouterr().out.splitlines()
    assert heads.split()[-3:] == ["reused", "carried", "reconnects"]
    assert cells.split()[-2] == "0"


def test_a_folder_of_faces_takes_nothing_carried(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both asked for is wrong usage, which says what to leave out and leaves no folder behind."""
    assert stream(pictures, "--faces-dir", tmp_path / "faces", "--carry", "on") == 2
    assert "--carry on" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "faces").exists()


@pytest.mark.parametrize(
    ("arguments", "carry"),
    [
        ([], True),
        (["--carry", "on"], True),
        (["--carry", "off"], False),
        (["--faces-dir", "x"], False),
        (["--faces-dir", "x", "--carry", "off"], False),
    ],
)
def test_what_carry_is_unless_it_is_given(arguments: list[str], carry: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """On; but off for a folder of faces, which keeps only what was made of its own frame."""
    assert _options(build_parser().parse_args(["stream", CAMERA, *arguments])).carry is carry


def test_sources_from_a_file(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """@FILE names a source a line; comments and empty lines are none."""
    names = tmp_path / "cameras.txt"
    names.write_text(f"# the shop\n{pictures}\n\n  {pictures / '00.png'}\n")
    assert stream(f"@{names}", "--out", "-") == 0
    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(frame["source"] for frame in frames) == [0] * 12 + [1]
    assert stream("@no-such-file", "--out", "null") == 1
    assert "no-such-file" in capsys.readouterr().err
    names.write_text("# nothing\n")
    assert stream(f"@{names}", "--out", "null") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "clear.avi"], ".mp4"),
        (["--max-fps", "0"], "max_fps"),
        (["--faces-dir", "x", "--keep-count", "0"], "count"),
        (["--out", "null", "--keep-days", "3"], "--faces-dir"),
        (["--out", "ftp://u:secret@host"], "rtsp://"),
        (["--timeout", "-1"], "--timeout"),
        (["--out", "a.mp4", "--out", "./a.mp4"], "twice"),
        (["--out", "null", "--metrics-port", "70000"], "65535"),
        (["--codec", "mpeg9", "--out", "a.mp4"], "mpeg9"),
    ],
)
def test_wrong_usage_is_one_line(
    pictures: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what was expected."""
    assert stream(pictures, *arguments) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert words in said
    assert "secret" not in said


def test_a_source_is_not_written_over(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clip that is its own output, by whatever name, stays as it is."""
    clip = pictures.parent / "clip.mkv"
    assert stream(pictures, "--out", clip, "--frame-scale", 1) == 0
    before = clip.read_bytes()
    for source in (clip, clip.parent / "cli*.mkv", clip.parent):
        assert stream(source, "--out", clip.parent / "in" / ".." / "clip.mkv") == 2
        assert "is a source too" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_one_file_is_not_written_twice(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However it is spelt; two addresses that differ in their password only are two."""
    here = tmp_path / "a.mp4"
    assert stream(pictures, "--out", here, "--out", tmp_path / "x" / ".." / "a.mp4") == 2
    assert "given twice" in capsys.readouterr().err
    addresses = [f"rtmp://127.0.0.1:1/live?key={key}" for key in (1, 2)]
    assert stream(pictures, "--out", addresses[0], "--out", addresses[1]) == 1
    assert "given twice" not in capsys.readouterr().err


def test_a_source_that_cannot_be_read_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and one line, without the password."""
    assert stream(tmp_path / "no.mkv", "--out", "null") == 1
    assert "no.mkv" in capsys.readouterr().err.splitlines()[-1]
    assert stream("rtsp://u:secret@127.0.0.1:1/x", "--out", "null", "--timeout", 2) == 1
    said = capsys.readouterr()
    assert "***@127.0.0.1" in said.err
    assert "secret" not in said.err + said.out


def test_without_a_screen_the_default_says_what_to_give(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The window is the default sink."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert stream(pictures) == 1
    assert "--out FILE" in capsys.readouterr().err


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    pytest.importorskip("skimage")
    command = [
        sys.executable,
        "-m",
        "idrn_trt",
        "stream",
        *map(str, arguments),
        "--engine",
        "bicubic",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_reader_that_goes_away_ends_the_stream(tmp_path: Path) -> None:
    """As under `head -1`: exit code 0, nothing on standard error but states and counts, the file finished."""
    out = tmp_path / "a.mkv"
    process = started(CAMERA, "--out", "-", "--out", out)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["frame"] >= 0
    process.stdout.close()
    assert process.wait(WAIT_S) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a health file says that frames come."""
    deadline_s = time.monotonic() + WAIT_S
    while not (path.exists() and json.loads(path.read_text())["frames"] > 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_files(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, a file that plays, the faces' best shots, a report, and no health file left."""
    out, health, faces = tmp_path / "a.mkv", tmp_path / "health.json", tmp_path / "faces"
    process = started(CAMERA, "--out", out, "--health", health, "--faces-dir", faces, "--json", "-")
    wait_for(health, process)
    process.send_signal(number)
    said, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    frames = json.loads(said)["sinks"][0]["written"]
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames > 3
    lines = [json.loads(line) for line in (faces / "faces.jsonl").read_text().splitlines()]
    assert all((faces / line[kind]).is_file() for line in lines for kind in ("lr", "sr"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "faces"]


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Even while the first one's stopping is stuck."""
    # Nobody reads the JSON lines: once the pipe is full, writing them blocks.
    health = tmp_path / "health.json"
    process = started(CAMERA, "--out", "-", "--health", health)
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    wait_for(health, process)
    deadline_s = time.monotonic() + WAIT_S
    before = -1
    while before != (now := json.loads(health.read_text())["sinks"][0]["written"]):
        assert time.monotonic() < deadline_s
        before = now
        time.sleep(6)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 128 + signal.SIGINT
    process.communicate()
