"""`idrn-trt upscale` as a user runs it: files in, files and reports out, bad input survived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from idrn_trt.cli import main
from idrn_trt.commands._interrupts import Interrupts
from idrn_trt.images import read_image, write_image

BICUBIC = ["--engine", "bicubic"]


def noise(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A picture without a face."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def upscale(*arguments: object) -> int:
    """The verb's exit code, run in this process on the bicubic engine."""
    return main(["upscale", *map(str, arguments), *BICUBIC])


def test_a_picture_lands_beside_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without -o the result is NAME.sr.png, four times as large, and a table says so."""
    write_image(tmp_path / "photo.png", noise())
    assert upscale(tmp_path / "photo.png") == 0
    assert read_image(tmp_path / "photo.sr.png").shape == (192, 256, 3)
    out = capsys.readouterr().out
    assert "64x48" in out
    assert "256x192" in out
    assert "1 without a face found" in out


def test_a_folder_is_mirrored(tmp_path: Path) -> None:
    """A folder's tree stands again below the output folder."""
    write_image(tmp_path / "in" / "a.jpg", noise())
    write_image(tmp_path / "in" / "sub" / "b.png", noise())
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 0
    made = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")
    )
    assert made == ["a.png", "sub/b.png"]


def test_a_named_result(tmp_path: Path) -> None:
    """-o with a picture's ending names the one result and its format."""
    write_image(tmp_path / "photo.png", noise())
    assert upscale(tmp_path / "photo.png", "-o", tmp_path / "clear.jpg", "--frame-scale", "2") == 0
    assert (tmp_path / "clear.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert read_image(tmp_path / "clear.jpg").shape == (96, 128, 3)


def test_json_on_standard_output_is_all_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json -` prints one JSON document with the summary and one entry a picture."""
    write_image(tmp_path / "photo.png", noise())
    assert upscale(tmp_path / "photo.png", "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["done"] == 1
    assert document["summary"]["engine"] == "bicubic"
    frame = document["frames"][0]
    assert frame["index"] == 0
    assert frame["faces"] == []
    assert set(frame["times_ms"]) == {"detect", "window", "engine", "paste", "total"}


def test_a_batch_goes_on_past_bad_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty, truncated and other files are one line each; the good ones are done; exit 1."""
    write_image(tmp_path / "good.png", noise())
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    report = tmp_path / "report.json"
    names = ["truncated.png", "empty.png", "missing.png", "text.png", "good.png"]
    code = upscale(*(tmp_path / n for n in names), "-o", tmp_path / "out", "--json", report)
    err = capsys.readouterr().err
    assert code == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.png"]
    assert all(name in err for name in names[:4])
    assert "Traceback" not in err
    summary = json.loads(report.read_text())["summary"]
    assert (summary["done"], summary["failed"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "openvin"], "openvino"),
        (["--detector", "har"], "haar"),
        (["--detector", "yunet"], "--detector-model"),
        (["--model", "idrn-d8-w64-x5"], "idrn-d8-w64-x4"),
        (["--min-face-px", "0"], "min"),
        (["--threads", "0"], "threads"),
        (["--max-pixels", "0"], "--max-pixels"),
    ],
    ids=lambda v: v[0] if isinstance(v, list) else "",
)
def test_wrong_options_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """An unknown or impossible option value ends in one line that says what to give, exit 1 or 2."""
    write_image(tmp_path / "photo.png", noise())
    code = main(["upscale", str(tmp_path / "photo.png"), *arguments])
    err = capsys.readouterr().err
    assert code in {1, 2}
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "photo.sr.png").exists()


@pytest.mark.parametrize("size", ["0x100", "100", "axb", "999999x1"])
def test_wrong_sizes_are_usage_errors(tmp_path: Path, size: str) -> None:
    """--out-size wants WIDTHxHEIGHT or auto."""
    with pytest.raises(SystemExit) as caught:
        upscale(tmp_path / "photo.png", "--out-size", size)
    assert caught.value.code == 2


def test_two_inputs_of_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results that would overwrite each other are refused before any work."""
    write_image(tmp_path / "a" / "p.png", noise())
    write_image(tmp_path / "b" / "p.png", noise())
    code = upscale(tmp_path / "a" / "p.png", tmp_path / "b" / "p.png", "-o", tmp_path / "out")
    assert code == 2
    assert "would both be written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pictures_that_differ_in_their_ending_keep_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """p.jpg and p.png become p.jpg.png and p.png.png, beside a q.png as ever; run again, none is an input."""
    for name in ("p.jpg", "p.png", "q.jpg"):
        write_image(tmp_path / "in" / name, noise())
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 0
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"p.jpg.png", "p.png.png", "q.png"}
    for _ in range(2):
        assert upscale(tmp_path / "in") == 0
        results = {path.name for path in (tmp_path / "in").glob("*.sr.png")}
        assert results == {"p.jpg.sr.png", "p.png.sr.png", "q.sr.png"}
    assert "3 results of an earlier run" in capsys.readouterr().err


def test_a_name_that_another_result_takes(tmp_path: Path) -> None:
    """a.jpg and a.png need their endings, and then a.jpg.png, whose plain name is one of theirs, does too."""
    for name in ("a.jpg", "a.png", "a.jpg.png", "B.jpg", "b.png"):
        write_image(tmp_path / "in" / name, noise(8, 8))
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 0
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["B.jpg.png", "a.jpg.png", "a.jpg.png.png", "a.png.png", "b.png.png"]


def test_an_input_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o naming the input itself is refused."""
    write_image(tmp_path / "p.png", noise())
    before = (tmp_path / "p.png").read_bytes()
    assert upscale(tmp_path / "p.png", "-o", tmp_path / "p.png") == 2
    assert "overwrite its input" in capsys.readouterr().err
    assert (tmp_path / "p.png").read_bytes() == before


def test_an_output_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output folder below a file is a failure of one line, exit 1, nothing left behind."""
    write_image(tmp_path / "p.png", noise())
    (tmp_path / "blocked").write_text("a file, not a folder")
    assert upscale(tmp_path / "p.png", "-o", tmp_path / "blocked" / "r.png") == 1
    assert "cannot write picture" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocked", "p.png"]


def test_one_pixel(tmp_path: Path) -> None:
    """A picture of 1x1 px is upscaled like any other."""
    write_image(tmp_path / "dot.png", np.full((1, 1, 3), 9, np.uint8))
    assert upscale(tmp_path / "dot.png") == 0
    assert read_image(tmp_path / "dot.sr.png").shape == (4, 4, 3)


def test_interrupt_keeps_what_was_done(tmp_path: Path) -> None:
    """Ctrl-C in a batch exits 130, keeps whole results, leaves no part, still writes the JSON."""
    for k in range(400):
        write_image(tmp_path / "in" / f"{k:03}.png", noise(200, 300, k))
    command = [
        sys.executable, "-m", "idrn_trt", "upscale", str(tmp_path / "in"),
        "-o", str(tmp_path / "out"), "--json", str(tmp_path / "r.json"), *BICUBIC,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "003.png").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    made = sorted((tmp_path / "out").iterdir())
    assert all(p.suffix == ".png" and p.name[0] != "." for p in made)
    assert all(read_image(p).shape == (800, 1200, 3) for p in made[-2:])
    summary = json.loads((tmp_path / "r.json").read_text())["summary"]
    assert summary["not_started"] > 0
    assert summary["done"] == len(made)


def test_an_interrupt_waits_until_a_picture_is_written_and_reported() -> None:
    """What is held back is done wholly and ends it then; a second Ctrl-C ends it at once."""
    before = signal.getsignal(signal.SIGINT)
    done = []

    def work(*signals: int) -> None:
        with Interrupts() as interrupts, interrupts.held():
            for number in signals:
                signal.raise_signal(number)
                done.append(number)

    for signals in ([signal.SIGTERM], [signal.SIGINT, signal.SIGINT]):
        with pytest.raises(KeyboardInterrupt):
            work(*signals)
    assert done == [signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_terminal_that_hangs_up_twice_ends_it_once() -> None:
    """The second SIGHUP does not disturb what finishes files after the first."""
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
