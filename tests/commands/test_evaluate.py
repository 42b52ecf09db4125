"""`idrn-trt evaluate`: tables, JSON and pictures of models, checkpoints and data sets."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawings import draw
from nets import Trap
from PIL import Image

from idrn_trt.cli import main
from idrn_trt.toolchain.checkpoint import Checkpoint, save_checkpoint
from idrn_trt.toolchain.detector.network import DetectorConfig
from idrn_trt.toolchain.networks import AnyConfig, build, parse_network


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Six crops of two groups."""
    root = tmp_path / "crops"
    root.mkdir()
    for k in range(6):
        Image.fromarray(draw(k, 80, 90)).save(root / f"{'ab'[k % 2]}_{k}.png")
    return root


def scores(out: Path, *words: str) -> dict[str, Any]:
    """The JSON of an evaluation that must succeed."""
    assert main(["evaluate", *words, "--lr-px", "16", "--json", str(out)]) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def test_every_figure_is_printed_and_written(
    tiny_model: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has a line a group with PSNR and SSIM; JSON has every crop's; the picture three."""
    picture = tmp_path / "best.png"
    document = scores(
        tmp_path / "s.json", str(tiny_model), "--data", f"folder:{crops}", "--engine", "bicubic",
        "--picture", str(picture),
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert "SSIM-Y" in lines[0]
    assert [line.split()[2] for line in lines[2:]] == ["all", "a", "b"]
    assert len(document["crops"]) == 6
    assert {"psnr_y_db", "ssim_y", "ssim_y_paper"} <= document["crops"][0]["ours"].keys()
    assert document["groups"]["all"]["count"] == 6
    with Image.open(picture) as image:
        assert image.size == (4 * 68 + 4, 16 + 3 * 84)


def test_all_engines_and_precisions_are_in_one_table(
    tiny_model: Path, crops: Path, tmp_path: Path
) -> None:
    """--all measures every engine and precision that opens here, each on the same crops."""
    document = scores(tmp_path / "s.json", str(tiny_model), "--data", f"folder:{crops}", "--all")
    runs = {(r["engine"], r["precision"]): r for r in document["runs"]}
    assert {("openvino", "fp32"), ("openvino", "int8")} <= runs.keys()
    assert not any(engine == "bicubic" for engine, _ in runs)
    floors = {r["groups"]["all"]["bicubic_psnr_y_db"] for r in document["runs"]}
    assert len(floors) == 1


def test_a_checkpoint_is_evaluated_as_it_is(
    crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A baseline's checkpoint, which has no model file, is measured through torch and nothing else."""
    torch.manual_seed(0)
    config = parse_network("vdsr-x2")
    net = build(config)
    with torch.no_grad():  # makes VDSR the enlargement itself
        for parameter in net.get_submodule("layers.19").parameters():
            parameter.zero_()
    path = tmp_path / "vdsr" / "weights.safetensors"
    save_checkpoint(Checkpoint(config, dict(net.state_dict()), {}, {}, {}), path)
    words = (str(path), "--data", f"folder:{crops}")
    document = scores(tmp_path / "s.json", *words, "--threads", "1")
    assert torch.get_num_threads() == 1
    assert (document["model"], document["scale"]) == ("vdsr", 2)
    assert document["groups"]["all"]["gain_db"] == pytest.approx(0, abs=0.1)
    assert main(["evaluate", *words, "--precision", "int8"]) == 2
    assert "leave --engine and --precision out" in capsys.readouterr().err


def test_a_test_split_and_degraded_pictures(tiny_model: Path, crops: Path, tmp_path: Path) -> None:
    """--test-count measures the drawn pictures only; --degraded always makes the same LR."""
    words = (str(tiny_model), "--data", f"folder:{crops}", "--engine", "bicubic")
    out = tmp_path / "s.json"
    drawn = [scores(out, *words, "--test-count", "3", "--seed", seed)["crops"] for seed in "001"]
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1] != drawn[2]
    clean, one, two = (scores(out, *words, *more)["crops"]
                       for more in ((), ("--degraded",), ("--degraded",)))  # fmt: skip
    assert one == two
    assert np.mean([c["bicubic"]["psnr_y_db"] for c in one]) < np.mean(
        [c["bicubic"]["psnr_y_db"] for c in clean]
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--data", "zip:x"], 2),
        (["--data", "folder:missing"], 2),
        (["--data", "folder:.", "--picture", "x.doc"], 2),
        (["--data", "folder:.", "--crop-px", "-1"], 2),
        (["--data", "folder:."], 1),
    ],
    ids=str,
)
def test_bad_input_is_one_line(
    words: list[str], code: int, tiny_model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Unknown data, names and borders, and a folder without pictures end in one line and a code."""
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(tiny_model), "--engine", "bicubic", *words]) == code
    errors = capsys.readouterr().err
    assert errors.startswith("idrn-trt: ")
    assert errors.count("\n") == 1


def saved(path: Path, config: AnyConfig, weights_of: AnyConfig) -> bytes:
    """A checkpoint that says it is of one network and holds the weights of another; its bytes."""
    weights = dict(build(weights_of).state_dict())
    save_checkpoint(Checkpoint(config, weights, {}, {}, {}), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no checkpoint at"),
        ("truncated", "not a checkpoint"),
        ("malicious", "not a checkpoint"),
        ("of another network", "do not fit"),
        ("a detector's", "holds a face detector"),
    ],
)
def test_a_bad_checkpoint_is_one_line(
    kind: str, says: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no checkpoint of a network that enlarges is said in one line, and never unpickled."""
    path, sprung = tmp_path / "x.safetensors", tmp_path / "sprung"
    small, other = parse_network("d1-w8-x2"), parse_network("d2-w8-x2")
    if kind == "truncated":
        path.write_bytes(saved(path, small, small)[:-100])
    elif kind == "malicious":
        path.write_bytes(pickle.dumps(Trap(sprung)))
    elif kind == "of another network":
        saved(path, small, other)
    elif kind == "a detector's":
        saved(path, DetectorConfig(), DetectorConfig())
    assert main(["evaluate", str(path), "--data", f"folder:{crops}"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("idrn-trt: ")
    assert says in errors
    assert errors.count("\n") == 1
    assert not sprung.exists()
