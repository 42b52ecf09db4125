"""Fine-tuning for int8: it wins back what rounding costs, and resumes to the bit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from idrn_trt.cli import main
from idrn_trt.engines import open_engine
from idrn_trt.errors import ModelError, OptionError
from idrn_trt.options import QuantiseOptions, TrainOptions
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.toolchain.calibrate import calibrate, crop_files, model_sha256, read_crops
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import write_model
from idrn_trt.toolchain.net import IDRN
from idrn_trt.toolchain.quantise import quantise
from idrn_trt.toolchain.run import Losses
from idrn_trt.toolchain.table import Plan, read_table, write_table
from idrn_trt.toolchain.train import Trainer

LR_PX = 16


def options(faces: Path, out: Path, **changes: Any) -> TrainOptions:
    """A run of seconds of the smallest network; it is validated on 12 of the 40 pictures."""
    small: dict[str, Any] = {
        "network": "d1-w8-x2", "steps": 60, "batch": 4, "lr_px": LR_PX, "warmup_steps": 5,
        "peak_learning_rate": 1e-3, "val_every": 20, "val_share": 0.3, "workers": 0, "threads": 1,
        "device": "cpu", "bf16": False,
    }  # fmt: skip
    return TrainOptions(data=f"folder:{faces}", out=out, **{**small, **changes})


def harm(net: IDRN) -> None:
    """Make hidden channels 1/32 to 32 times as loud, and their readers the reverse: the same network."""
    with torch.no_grad():
        for unit in net.units:
            loud = 2.0 ** torch.linspace(-5, 5, len(unit.conv1.bias))
            unit.conv1.weight *= loud[:, None, None, None]
            unit.conv1.bias *= loud
            unit.conv2.weight[:, len(loud) :] /= loud[:, None, None]


def calibrated(net: IDRN, folder: Path, faces: Path) -> Path:
    """A folder with the network's file and int8 files by a table that evens no channels out."""
    model = export_onnx(net)
    write_model(model, folder / "model.onnx")
    table = calibrate(model, read_crops(crop_files(faces), (LR_PX,)))
    table.plans.update({"int8-cpu": Plan(), "int8-trt": Plan()})
    write_table(table, folder / "calib.json")
    quantise(QuantiseOptions(model=folder, calib=folder / "calib.json"))
    return folder


def result(run: Path) -> IDRN:
    """The network that a run ended with."""
    return load_checkpoint(run / "weights.safetensors").network()


@pytest.fixture(scope="module", name="model")
def _model(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose network is trained, then harmed."""
    folder = tmp_path_factory.mktemp("harmed")
    Trainer(options(faces, folder / "run", steps=150, peak_learning_rate=4e-3)).run()
    net = result(folder / "run")
    harm(net)
    return calibrated(net, folder, faces)


def tuning(faces: Path, out: Path, model: Path, **changes: Any) -> TrainOptions:
    """The options of a fine-tuning for int8-cpu, whose result is a running average."""
    return options(faces, out, **{"init": model, "qat": model, "ema": 0.9, **changes})


@pytest.fixture(scope="module", name="tuned")
def _tuned(model: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("runs") / "tuned"
    Trainer(tuning(faces, out, model)).run()
    return out


def psnr_y_db(file: Path, faces: Path, unused: Path) -> float:
    """Mean PSNR-Y of a file in OpenVINO on the pictures that no run here is trained on."""
    validation = Trainer(options(faces, unused)).validation
    engine = open_engine(file, engine="openvino")
    try:
        pairs = [validation.pair(k) for k in range(len(validation.images))]
        return float(np.mean([psnr_y(engine.run(lr[None])[0], hr) for lr, hr in pairs]))
    finally:
        engine.close()


def test_fine_tuning_wins_back_what_int8_cost(
    model: Path, tuned: Path, faces: Path, tmp_path: Path
) -> None:
    """On pictures not trained on, what int8 loses against the float network is at least halved.

    As many steps in float leave more of it. The run's log has the figure of the exported file.
    """
    write_model(export_onnx(result(tuned)), tmp_path / "model.onnx")
    quantise(QuantiseOptions(model=tmp_path, calib=tuned / "calib.json"))
    Trainer(tuning(faces, tmp_path / "float", model, qat=None)).run()
    plain = calibrated(result(tmp_path / "float"), tmp_path / "plain", faces)
    wanted = psnr_y_db(model / "model.onnx", faces, tmp_path / "unused")
    before, after, control = (
        psnr_y_db(folder / "model.int8-cpu.onnx", faces, tmp_path / "unused")
        for folder in (model, tmp_path, plain)
    )
    assert wanted - before > 0.3
    assert wanted - after < (wanted - before) / 2
    assert after > control + 0.1
    assert json.loads((tuned / "log.jsonl").read_text().splitlines()[-1])[
        "psnr_y_db"
    ] == pytest.approx(after, abs=0.01)


def test_the_result_is_float_weights_and_a_table(tuned: Path, model: Path) -> None:
    """Weights are not rounded; the table has the start's ranges and the new file's sha256."""
    net, table = result(tuned), read_table(tuned / "calib.json")
    before = read_table(model / "calib.json")
    assert table.model_sha256 == model_sha256(export_onnx(net))
    assert table.model_sha256 != before.model_sha256
    assert table.tensors == before.tensors
    steps = net.head.weight / (net.head.weight.abs().amax((1, 2, 3), keepdim=True) / 127)
    assert (steps - steps.round()).abs().max() > 0.1


def test_an_interrupted_run_resumes_to_the_bit(
    model: Path, tuned: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two validations, then --resume: the weights and the table of the whole run."""
    trainer = Trainer(tuning(faces, tmp_path, model))
    step = trainer._step

    def interrupted(batch: Sequence[torch.Tensor]) -> Losses:
        if trainer.step == 25:
            raise KeyboardInterrupt
        return step(batch)

    monkeypatch.setattr(trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").progress["step"] == 25
    Trainer(tuning(faces, tmp_path, model, resume=True)).run()
    whole, parts = result(tuned).state_dict(), result(tmp_path).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "calib.json").read_bytes() == (tuned / "calib.json").read_bytes()


def test_another_table_is_not_resumed_with(model: Path, tuned: Path, faces: Path,
                                           tmp_path: Path) -> None:  # fmt: skip
    """A run goes on with the table that it began with."""
    table = read_table(model / "calib.json")
    other = dict.fromkeys(table.plans, Plan(clip="p99.9"))
    write_table(dataclasses.replace(table, plans=other), tmp_path / "other.json")
    with pytest.raises(ModelError, match=r"differs in qat_sha256\)"):
        Trainer(tuning(faces, tuned, model, qat=tmp_path / "other.json", resume=True))


def test_a_table_of_other_weights_is_refused(model: Path, tuned: Path, faces: Path,
                                             tmp_path: Path) -> None:  # fmt: skip
    """The table must have been made for the weights that the run starts from."""
    with pytest.raises(ModelError, match="made for another model"):
        Trainer(tuning(faces, tmp_path, model, qat=tuned / "calib.json"))
    with pytest.raises(ModelError, match="export and quantise it first"):
        Trainer(tuning(faces, tmp_path, model, init=tuned / "weights.safetensors"))
    with pytest.raises(ModelError, match=r"depth=1.*expected.*depth=2"):
        Trainer(tuning(faces, tmp_path, model, network="d2-w8-x2"))
    with pytest.raises(ModelError, match=r"cannot read calibration table .*calib\.json"):
        Trainer(tuning(faces, tmp_path, model, qat=tmp_path))


def test_options_for_int8(faces: Path, tmp_path: Path) -> None:
    """A table needs the model it is of, and the file is one of the two kinds."""
    with pytest.raises(OptionError, match="qat needs init"):
        options(faces, tmp_path, qat=tmp_path)
    with pytest.raises(OptionError, match="qat_target must be one of int8-cpu, int8-trt"):
        options(faces, tmp_path, qat_target="int4")


def test_the_command_line_trains_for_the_tensorrt_file(
    model: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verb's two options reach the run, and it says how its files are made."""
    code = main([
        "train", "--data", f"folder:{faces}", "--out", str(tmp_path), "--network", "d1-w8-x2",
        "--init", str(model), "--qat", str(model / "calib.json"), "--qat-target", "int8-trt",
        "--steps", "2", "--batch", "2", "--lr-px", "16", "--workers", "0", "--device", "cpu",
    ])  # fmt: skip
    assert code == 0
    recipe = load_checkpoint(tmp_path / "weights.safetensors").recipe
    assert recipe["qat_target"] == "int8-trt"
    assert len(recipe["qat_sha256"]) == 64
    assert f"--calib {tmp_path / 'calib.json'}" in capsys.readouterr().out
