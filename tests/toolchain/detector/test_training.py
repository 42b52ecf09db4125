"""Training the detector: it learns, goes on after an interruption, and becomes a model folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import network

from idrn_trt.cli import main
from idrn_trt.errors import ModelError, OptionError, TrainingError
from idrn_trt.faces.cnn import CnnDetector
from idrn_trt.options import DetectorOptions
from idrn_trt.toolchain.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from idrn_trt.toolchain.detector import training
from idrn_trt.toolchain.detector.training import DetectorTrainer
from idrn_trt.toolchain.run import Losses


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation on a handful of scenes."""
    monkeypatch.setattr(training, "_VALIDATION_SCENES", 8)


def options(scenes: Path, out: Path, **changes: Any) -> DetectorOptions:
    """A run of seconds."""
    small: dict[str, Any] = {
        "steps": 8, "batch": 4, "side_px": 64, "warmup_steps": 2, "val_every": 4, "workers": 0,
        "threads": 1, "ema": 0.5,
    }  # fmt: skip
    return DetectorOptions(data=scenes, out=out, **{**small, **changes})


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file."""
    return load_checkpoint(path).weights


def test_it_learns(scenes: Path, tmp_path: Path) -> None:
    """The losses of the last steps are clearly below the first ones', and the log has every validation."""
    trainer = DetectorTrainer(options(scenes, tmp_path, steps=60, val_every=30))
    losses = []
    step = trainer._step

    def noted(batch: Sequence[torch.Tensor]) -> Losses:
        losses.append(step(batch))
        return losses[-1]

    trainer._step = noted  # type: ignore[method-assign]  # to look at what it returns
    trainer.run()
    sums = np.array([sum(parts.values()) for parts in losses])
    assert sums[-10:].mean() < 0.8 * sums[:10].mean()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [30, 60]
    assert {"recall", "false_per_100", "median_iou"} <= set(log[0])
    assert (tmp_path / "pictures" / "step-0000060.png").exists()


def test_a_run_in_two_parts_is_one_run(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted and resumed, a run ends with the very weights of one that was not."""
    whole = DetectorTrainer(options(scenes, tmp_path / "whole")).run()
    first = DetectorTrainer(options(scenes, tmp_path / "parts"))
    step = first._step

    def pressed(batch: Sequence[torch.Tensor]) -> Losses:
        if first.step == 5:
            raise KeyboardInterrupt
        return step(batch)

    monkeypatch.setattr(first, "_step", pressed)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    again = DetectorTrainer(options(scenes, tmp_path / "parts", resume=True)).run()
    expected = weights(whole)
    assert all(torch.equal(expected[name], value) for name, value in weights(again).items())


def test_what_does_not_fit_is_refused(scenes: Path, tmp_path: Path) -> None:
    """A folder in use, and a resumed run with another recipe, are errors that say what to do."""
    DetectorTrainer(options(scenes, tmp_path)).save()
    with pytest.raises(OptionError, match="--resume"):
        DetectorTrainer(options(scenes, tmp_path))
    with pytest.raises(ModelError, match="batch"):
        DetectorTrainer(options(scenes, tmp_path, batch=5, resume=True))


def test_another_network_is_refused(scenes: Path, tmp_path: Path) -> None:
    """A network that enlarges is neither gone on with nor started from."""
    net = network("d1-w8-x2")
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(Checkpoint(net.config, dict(net.state_dict()), {}, {}, {}), path)
    with pytest.raises(ModelError, match="made by another recipe"):
        DetectorTrainer(options(scenes, tmp_path, resume=True))
    with pytest.raises(ModelError, match="do not fit"):
        DetectorTrainer(options(scenes, tmp_path / "new", init=path))


def test_a_loss_that_is_not_finite_ends_the_run(scenes: Path, tmp_path: Path) -> None:
    """Weights that became NaN are a TrainingError, and the last good state is kept."""
    trainer = DetectorTrainer(options(scenes, tmp_path))
    with torch.no_grad():
        trainer.net.stem[0].conv.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]  # a Layer
    with pytest.raises(TrainingError, match="last good state"):
        trainer._train()


def test_hard_negatives_are_mined_once(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found with the weights of --init when a run begins, and kept when it goes on."""
    init = DetectorTrainer(options(scenes, tmp_path / "first", steps=2)).run()
    monkeypatch.setattr(training, "hard_negatives", lambda *_: ["000.png"])
    mined = options(scenes, tmp_path / "mined", init=init, mine=True)
    trainer = DetectorTrainer(mined)
    trainer.save()
    assert trainer.recipe()["hard"] == ["000.png"]
    monkeypatch.setattr(training, "hard_negatives", lambda *_: pytest.fail("mined again"))
    resumed = DetectorTrainer(
        options(scenes, tmp_path / "mined", init=init, mine=True, resume=True)
    )
    assert resumed.hard == ["000.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"side_px": 100}, "multiple of 32"),
        ({"ema": 1.0}, "ema"),
        ({"workers": -1}, "workers"),
        ({"mine": True}, "mine needs init"),
    ],
)
def test_options_that_are_none(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """A value outside its range is an OptionError that names it."""
    with pytest.raises(OptionError, match=message):
        options(tmp_path, tmp_path, **changes)


def test_from_pictures_to_a_model_folder(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two commands make a detector that opens, with every file named in its manifest."""
    small = ["--steps", "4", "--batch", "4", "--side-px", "64", "--workers", "0", "--threads", "1"]
    run, model = tmp_path / "run", tmp_path / "mine"
    assert main(["train-detector", "--data", str(scenes), "--out", str(run), *small]) == 0
    checkpoint = str(run / "weights.safetensors")
    assert checkpoint in capsys.readouterr().out
    assert main(["export", checkpoint, "-o", str(model), "--scenes", str(scenes)]) == 0
    manifest = json.loads((model / "manifest.json").read_bytes())
    assert manifest["task"] == "face-detection"
    assert set(manifest["files"]) == {"fp32", "int8-cpu", "int8-trt", "fp16"}
    assert set(manifest["quality"]) == {"fp32", "int8-cpu"}
    CnnDetector(model, threads=1).detect(np.zeros((64, 64, 3), np.uint8))
    assert main(["export", checkpoint, "-o", str(tmp_path / "idrn")]) == 1
    assert "--scenes" in capsys.readouterr().err
