"""What else a picture holds on its way through `idrn-trt upscale`, pipes, and names of any kind."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from idrn_trt.cli import main
from idrn_trt.commands._earlier_results import without_results
from idrn_trt.commands._upscale_pictures import without_halo
from idrn_trt.images import (
    Picture,
    Source,
    encode_picture,
    read_image,
    read_picture,
    write_image,
)
from idrn_trt.video.find import Input

UPSCALE = [sys.executable, "-m", "idrn_trt", "upscale"]
BICUBIC = ["--engine", "bicubic"]


def drawing(height: int = 24, width: int = 32) -> np.ndarray:
    """A soft gradient."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7, y * 9, 255 - x * 3], -1).astype(np.uint8)


def disc(side: int = 24) -> np.ndarray:
    """Alpha of a disc with a soft edge: 255 within, 0 without."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip((side / 3 - np.hypot(x, y)) * 255, 0, 255).astype(np.uint8)


def upscale(*arguments: object) -> int:
    """The verb's exit code, run in this process on the bicubic engine."""
    return main(["upscale", *map(str, arguments), *BICUBIC])


def piped(
    arguments: Sequence[str], data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The verb as a process, its standard input and output as pipes."""
    return subprocess.run(
        [*UPSCALE, *arguments, *BICUBIC], input=data, capture_output=True, check=False, timeout=300
    )


def test_transparency_is_enlarged_with_the_frame(tmp_path: Path) -> None:
    """The result of a disc is a disc: as large as the result, opaque within, empty without."""
    Image.fromarray(np.dstack([drawing(24, 24), disc()])).save(tmp_path / "p.png")
    assert upscale(tmp_path / "p.png") == 0
    back = read_picture(tmp_path / "p.sr.png")
    assert back.alpha is not None
    assert back.alpha.shape == back.rgb.shape[:2] == (96, 96)
    assert back.alpha[48, 48] == 255
    assert back.alpha[:8].max() == 0
    assert abs(back.alpha.sum() / 16 - disc().sum()) < 255


def test_side_by_side_is_transparent_on_both_sides(tmp_path: Path) -> None:
    """--view side-by-side shows the frame twice and its transparency with it."""
    Image.fromarray(np.dstack([drawing(24, 24), disc()])).save(tmp_path / "p.png")
    assert upscale(tmp_path / "p.png", "--view", "side-by-side") == 0
    alpha = read_picture(tmp_path / "p.sr.png").alpha
    assert alpha is not None
    assert alpha.shape == (96, 192)
    assert np.array_equal(alpha[:, :96], alpha[:, 96:])


def test_hidden_colours_do_not_reach_the_edge(tmp_path: Path) -> None:
    """A red disc over hidden black stays red wherever anything of it can be seen."""
    red = np.zeros((24, 24, 3), np.uint8)
    red[disc() > 0] = (200, 10, 10)
    Image.fromarray(np.dstack([red, disc()])).save(tmp_path / "p.png")
    assert upscale(tmp_path / "p.png") == 0
    back = read_picture(tmp_path / "p.sr.png")
    assert back.alpha is not None
    seen = back.rgb[back.alpha > 0]
    assert np.abs(seen.astype(int) - (200, 10, 10)).max() <= 2


def test_hidden_colours_change_nowhere_else() -> None:
    """Visible pixels, and hidden ones far from them, keep their colour."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 60, 3), np.uint8)
    alpha = np.zeros((40, 60), np.uint8)
    alpha[10:15, 10:15] = 9
    filled = without_halo(rgb, alpha)
    changed = (filled != rgb).any(-1)
    assert not changed[alpha > 0].any()
    assert changed[6:19, 6:19].any()
    changed[6:19, 6:19] = False
    assert not changed.any()
    assert (filled[12, 7] == rgb[12, 10]).all()


@pytest.mark.parametrize("alpha", [None, 0, 255], ids=["none", "empty", "opaque"])
def test_nothing_hidden_next_to_visible_is_left_alone(alpha: int | None) -> None:
    """Without transparency, or with nothing but it, the pixels are the very same array."""
    rgb = drawing()
    assert without_halo(rgb, None if alpha is None else np.full((24, 32), alpha, np.uint8)) is rgb


def test_profile_and_greyness_are_kept(tmp_path: Path) -> None:
    """The ICC profile is the input's, byte for byte, and a greyscale picture's result is greyscale."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.fromarray(drawing()).convert("L")
    grey.save(tmp_path / "g.png", icc_profile=profile)
    assert upscale(tmp_path / "g.png", "-o", tmp_path / "r.jpg") == 0
    with Image.open(tmp_path / "r.jpg") as result:
        assert result.mode == "L"
        assert result.info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deep_greyscale_stays_greyscale(tmp_path: Path, mode: str) -> None:
    """A greyscale picture of 32-bit numbers gives a greyscale result as well."""
    Image.fromarray(drawing()).convert("L").convert(mode).save(tmp_path / "g.tif")
    assert upscale(tmp_path / "g.tif") == 0
    with Image.open(tmp_path / "g.sr.png") as result:
        assert result.mode == "L"


def test_what_is_lost_is_said_once_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frames, bits and transparency left behind are a note each, on standard error and in the JSON."""
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 120, 240)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "b.png")
    assert upscale(tmp_path / "a.gif", tmp_path / "b.png", "--json", tmp_path / "r.json") == 0
    err = capsys.readouterr().err
    assert err.count("note: a.gif: only the first of 3 frames is taken\n") == 1
    assert err.count("note: b.png: 16 bits a channel became 8\n") == 1
    noted = [frame["notes"] for frame in json.loads((tmp_path / "r.json").read_text())["frames"]]
    assert noted == [["only the first of 3 frames is taken"], ["16 bits a channel became 8"]]


def test_what_the_result_cannot_hold_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A transparent picture into .jpg loses its transparency with a note that says why."""
    Image.fromarray(np.dstack([drawing(24, 24), disc()])).save(tmp_path / "p.png")
    assert upscale(tmp_path / "p.png", "-o", tmp_path / "r.jpg") == 0
    assert "without transparency, which .jpg files cannot hold" in capsys.readouterr().err


def test_a_result_larger_than_its_format_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """WebP ends at 16383 pixels: more is an error of one line, exit 1, and nothing is left."""
    write_image(tmp_path / "p.png", drawing(1, 8))
    assert upscale(tmp_path / "p.png", "-o", tmp_path / "r.webp", "--out-size", "20000x1") == 1
    err = capsys.readouterr().err
    assert "cannot write picture" in err
    assert "16383" in err
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_a_result_larger_than_the_memory_is_one_line(tmp_path: Path) -> None:
    """A result of 30 GB where 8 can be had is an error of one line that says what to give instead."""
    write_image(tmp_path / "p.png", drawing(1, 8))
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
    code += "import sys; from idrn_trt.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["upscale", str(tmp_path / "p.png"), "--out-size", "99999x99999", *BICUBIC]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout.count(b"\n")) == (1, 2), done.stderr
    assert b"--out-size" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_in_and_out() -> None:
    """Standard input goes to standard output as PNG and nothing else does; tables go to standard error."""
    png = encode_picture(Picture(drawing(24, 24), disc()))
    done = piped(["-"], png)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as result:
        assert (result.format, result.mode, result.size) == ("PNG", "RGBA", (96, 96))
    assert done.stdout.endswith(b"IEND\xaeB`\x82")
    assert b"1 of 1 pictures" in done.stderr


def test_a_file_to_standard_output_with_json_in_a_file(tmp_path: Path) -> None:
    """`-o -` writes a named picture to standard output; --json FILE stays possible."""
    write_image(tmp_path / "p.jpg", drawing())
    done = piped([str(tmp_path / "p.jpg"), "-o", "-", "--json", str(tmp_path / "r.json")])
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (128, 96)
    assert json.loads((tmp_path / "r.json").read_text())["frames"][0]["output"] == "-"


def test_standard_input_into_a_file_or_folder(tmp_path: Path) -> None:
    """With -o, standard input's result goes to that file, or is called stdin.png in that folder."""
    png = encode_picture(Picture(drawing()))
    assert piped(["-", "-o", str(tmp_path / "r.webp")], png).returncode == 0
    done = piped(["-", "-o", str(tmp_path / "out")], png)
    assert read_image(tmp_path / "r.webp").shape == (96, 128, 3)
    assert read_image(tmp_path / "out" / "stdin.png").shape == (96, 128, 3)
    assert b"1 of 1 pictures" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "-"], "stands alone"),
        (["-", "p.png"], "stands alone"),
        (["-", "--json", "-"], "cannot both"),
        (["p.png", "q.png", "-o", "-"], "one result, not 2 inputs"),
        (["clip.mkv", "-o", "-", "--thumbnail"], "give -o FILE"),
        ([""], "empty text"),
        (["p.png", "-o", ""], "empty text"),
    ],
    ids=" ".join,
)
def test_what_a_pipe_cannot_do_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """What does not fit one standard stream is one line and exit 2, before anything is read."""
    assert upscale(*arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_terminal_gets_no_picture_unasked() -> None:
    """`-` without -o and with a terminal as standard output is a usage error, exit 2."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*UPSCALE, "-", *BICUBIC], input=b"x", stdout=theirs, stderr=subprocess.PIPE,
            check=False, timeout=300,
        )  # fmt: skip
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2
    assert b"-o FILE" in done.stderr


@pytest.mark.parametrize("data", [b"", b"no picture"], ids=["empty", "text"])
def test_bad_bytes_on_standard_input(data: bytes) -> None:
    """What is no picture on standard input is one line and exit 1, and nothing comes out."""
    done = piped(["-"], data)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cannot read picture standard input" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """A pipe whose other end closes ends the program without a word about it."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    write_image(tmp_path / "p.png", noise)
    process = subprocess.Popen(
        [*UPSCALE, str(tmp_path / "p.png"), "-o", "-", *BICUBIC],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(8) == b"\x89PNG\r\n\x1a\n"
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(300) == 1
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("output", [["-o", "-"], []], ids=["picture", "tables"])
def test_a_full_disk_below_standard_output(tmp_path: Path, output: list[str]) -> None:
    """Where standard output takes nothing more, that is one line and exit 1."""
    write_image(tmp_path / "p.png", drawing())
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*UPSCALE, str(tmp_path / "p.png"), *output, *BICUBIC], stdout=full,
            stderr=subprocess.PIPE, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"no space left" in done.stderr.lower()
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


NAMES = (
    b"two\nlines.png", b"not \xff\xfe utf8.png", b"-dash.png", b"--json.png", b"\x1b[31mred.png",
    "日本 é.png".encode(), b"a b*[c]?.png", b" .png", b"x" * 248 + b".png", b"'quoted\".png",
)  # fmt: skip


@pytest.fixture
def oddly_named(tmp_path: Path) -> Path:
    """A folder of pictures with those names, each again in a subfolder of that name."""
    folder = tmp_path / "in"
    for name in NAMES:
        for below in (b"", name[:-4] + b"/"):
            write_image(folder / os.fsdecode(below + name), drawing(6, 8))
    return folder


def test_names_of_any_kind_survive(tmp_path: Path, oddly_named: Path) -> None:
    """A folder of odd names is mirrored name by name; the table has a line each, the JSON every name."""
    out, report = tmp_path / "out", tmp_path / "r.json"
    done = piped([str(oddly_named), "-o", str(out), "--json", str(report)])
    assert done.returncode == 0, done.stderr
    wanted = {os.fsdecode(b + n) for n in NAMES for b in (b"", n[:-4] + b"/")}
    made = {str(p.relative_to(out)) for p in out.rglob("*.png")}
    assert made == wanted
    frames = json.loads(report.read_text())["frames"]
    assert {str(Path(f["output"]).relative_to(out)) for f in frames} == wanted
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2 + len(wanted) + 2, lines
    assert b"\x1b" not in done.stdout
    assert b"two\\nlines.png" in done.stdout
    assert rb"not \udcff\udcfe utf8.png" in done.stdout


def test_names_of_any_kind_as_arguments_and_in_any_encoding(oddly_named: Path) -> None:
    """Odd names given one by one, with an ASCII terminal and JSON on it, work as well."""
    names = [oddly_named / os.fsdecode(name) for name in NAMES]
    done = subprocess.run(
        [*UPSCALE, "--json", "-", "-o", "out", *BICUBIC, "--", *(p.name for p in names)],
        capture_output=True, check=False, timeout=300, cwd=oddly_named,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = json.loads(done.stdout)["frames"]
    assert [f["input"] for f in frames] == [p.name for p in names]
    assert all((oddly_named / f["output"]).exists() for f in frames)


@pytest.mark.parametrize("output", [None, "in/out"], ids=["beside", "below"])
def test_results_are_not_upscaled_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output: str | None,
) -> None:
    """The same command again on a folder makes the same files, although the first ones lie in it."""
    monkeypatch.chdir(tmp_path)
    write_image(Path("in/a.jpg"), drawing())
    write_image(Path("in/sub/b.sr.png"), drawing())
    options = [] if output is None else ["-o", output]
    assert upscale("in", *options) == 0
    assert "passed over" not in capsys.readouterr().err
    made = {str(path) for path in Path("in").rglob("*.*")}
    assert upscale("in", *options) == 0
    assert "note: 2 results of an earlier run are passed over" in capsys.readouterr().err
    assert {str(path) for path in Path("in").rglob("*.*")} == made


def test_a_result_that_is_named_is_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named alone it is upscaled again; beside what would be written over it, it is a usage error."""
    write_image(tmp_path / "a.jpg", drawing())
    write_image(tmp_path / "a.sr.png", drawing())
    before = (tmp_path / "a.sr.png").read_bytes()
    assert upscale(tmp_path / "a.sr.png") == 0
    assert (tmp_path / "a.sr.sr.png").exists()
    assert upscale(tmp_path / "a.jpg", tmp_path / "a.sr.png") == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert (tmp_path / "a.sr.png").read_bytes() == before


def test_originals_below_the_output_are_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passed over is what a run would write, by its name, and nothing else that lies there."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "old/x.jpg", "old/y.png", "old/a.png"):
        write_image(Path(name), drawing())
    assert upscale(".", "-o", "../" + tmp_path.name + "/old") == 0
    assert "note: 1 results of an earlier run are passed over" in capsys.readouterr().err
    assert {str(path) for path in Path("old/old").iterdir()} == {"old/old/x.png", "old/old/y.png"}


def test_a_thumbnail_is_a_result(tmp_path: Path) -> None:
    """Beside a clip and its result it is not upscaled in the next run."""
    names = ("c.mkv", "c.sr.mp4", "c.sr.thumb.jpg", "d.sr.thumb.jpg")
    found = [Input(Source(tmp_path / name, Path(name)), video=False) for name in names]
    kept = without_results(found, [str(tmp_path)], None)
    assert [item.source.path.name for item in kept] == ["c.mkv", "d.sr.thumb.jpg"]


def test_names_that_no_system_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name too long for the system, in or out, is one line each and exit 1."""
    write_image(tmp_path / "p.png", drawing())
    long = "n" * 300
    assert upscale(tmp_path / f"{long}.png") == 1
    assert upscale(tmp_path / "p.png", "-o", tmp_path / f"{long}.png") == 1
    err = capsys.readouterr().err
    assert err.count("file name too long") == 2
    assert "Traceback" not in err


@pytest.mark.parametrize("options", [["-o", "a\0b.png"], ["--json="]], ids=["zero", "empty"])
def test_names_of_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """A name with a zero in it, or an empty one, to be written to is one line and exit 1."""
    write_image(tmp_path / "p.png", drawing())
    assert upscale(tmp_path / "p.png", *options) == 1
    err = capsys.readouterr().err
    assert "expected the name of a file" in err
    assert "Traceback" not in err


def test_of_a_name_as_long_as_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of 255 bytes is read; its default result's would be longer, and that is said."""
    path = tmp_path / ("n" * 251 + ".png")
    write_image(path, drawing())
    assert upscale(path) == 1
    assert "file name too long" in capsys.readouterr().err
    assert upscale(path, "-o", tmp_path / "out") == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == [path.name]
