"""Training for real, on small pictures: it learns, resumes to the bit, and stops cleanly."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import Trap, same
from PIL import Image

import idrn_trt
from idrn_trt.errors import ModelError, OptionError, SinkError, TrainingError
from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.checkpoint import load_checkpoint, save_checkpoint
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import write_model
from idrn_trt.toolchain.run import Losses
from idrn_trt.toolchain.train import Trainer


def options(faces: Path, out: Path, **changes: Any) -> TrainOptions:
    """A run of seconds: the smallest network, 16 px crops, everything else as by default."""
    small: dict[str, Any] = {
        "network": "d1-w8-x2", "steps": 30, "batch": 4, "lr_px": 16, "warmup_steps": 5,
        "peak_learning_rate": 4e-3, "val_every": 10, "workers": 0, "threads": 1, "device": "cpu",
    }  # fmt: skip
    return TrainOptions(data=f"folder:{faces}", out=out, **{**small, **changes})


def log(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def weights(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's weights."""
    return load_checkpoint(path).weights


@pytest.fixture(scope="module")
def finished(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run of 30 steps."""
    out = tmp_path_factory.mktemp("runs") / "uninterrupted"
    final = Trainer(options(faces, out)).run()
    assert final == out / "weights.safetensors"
    return out


def test_training_improves_loss_and_psnr(finished: Path, faces: Path, tmp_path: Path) -> None:
    """30 steps lower the loss, and validation PSNR-Y rises from the untrained network's on."""
    fresh = Trainer(options(faces, tmp_path))
    before, _ = fresh.validation.measure(fresh.net)
    lines = log(finished)
    assert [line["step"] for line in lines] == [10, 20, 30]
    assert lines[-1]["loss"] < lines[0]["loss"]
    scores = [before, *(line["psnr_y_db"] for line in lines)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 1


def test_what_a_run_leaves(finished: Path) -> None:
    """A finished run is a checkpoint, final weights without optimiser, a log, and pictures."""
    names = {"checkpoint.safetensors", "weights.safetensors", "log.jsonl", "pictures"}
    # TensorBoard's files are there too where it is installed.
    assert {path.name for path in finished.iterdir()} - {"tensorboard"} == names
    pictures = sorted(path.name for path in (finished / "pictures").iterdir())
    assert pictures == ["step-0000010.png", "step-0000020.png", "step-0000030.png"]
    newest = load_checkpoint(finished / "checkpoint.safetensors")
    final = load_checkpoint(finished / "weights.safetensors")
    assert same(newest.weights, final.weights)
    assert newest.optimiser
    assert not final.optimiser
    assert final.progress["step"] == 30
    assert len(final.recipe["data_sha256"]) == 64


def test_a_killed_run_resumes_to_the_bit(finished: Path, faces: Path, tmp_path: Path) -> None:
    """A run killed without warning and resumed ends with the weights of an uninterrupted one."""
    program = (
        "import sys, torch; from pathlib import Path\n"
        "from idrn_trt.options import TrainOptions\n"
        "from idrn_trt.toolchain.train import Trainer\n"
        "Trainer(eval(sys.argv[1], {'TrainOptions': TrainOptions, 'PosixPath': Path})).run()"
    )
    root = Path(idrn_trt.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", program, repr(options(faces, tmp_path))],
        env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "log.jsonl").exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    killed_at = load_checkpoint(tmp_path / "checkpoint.safetensors").progress["step"]
    assert killed_at in (10, 20)
    Trainer(options(faces, tmp_path, resume=True)).run()
    assert same(
        weights(tmp_path / "weights.safetensors"), weights(finished / "weights.safetensors")
    )
    assert [line["step"] for line in log(tmp_path)][-1] == 30


def test_ctrl_c_saves_and_resumes_to_the_bit(finished: Path, faces: Path, tmp_path: Path) -> None:
    """SIGINT in mid-run saves the step it stopped at, and going on from there changes nothing."""
    trainer = Trainer(options(faces, tmp_path, val_every=1000))

    def press() -> None:
        while trainer.step < 7:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    finger.join()
    stopped_at = load_checkpoint(tmp_path / "checkpoint.safetensors").progress["step"]
    assert 7 <= stopped_at == trainer.step < 30
    Trainer(options(faces, tmp_path, resume=True)).run()
    assert same(
        weights(tmp_path / "weights.safetensors"), weights(finished / "weights.safetensors")
    )


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_do_not_change_the_weights(finished: Path, faces: Path, tmp_path: Path) -> None:
    """Pairs prepared by two processes arrive in the same order as by none."""
    Trainer(options(faces, tmp_path, workers=2)).run()
    assert same(
        weights(tmp_path / "weights.safetensors"), weights(finished / "weights.safetensors")
    )


def test_another_seed_gives_other_weights(finished: Path, faces: Path, tmp_path: Path) -> None:
    """The seed decides the weights: the equalities above are not trivial."""
    Trainer(options(faces, tmp_path, seed=1, steps=2)).run()
    other, first = (
        weights(tmp_path / "weights.safetensors"),
        weights(finished / "weights.safetensors"),
    )
    assert not torch.equal(other["head.weight"], first["head.weight"])


def test_a_finished_run_resumes_to_itself(finished: Path, faces: Path) -> None:
    """Resuming a run that is done trains nothing and gives the same weights."""
    before = weights(finished / "weights.safetensors")
    trainer = Trainer(options(faces, finished, resume=True))
    assert trainer.step == 30
    assert same(weights(trainer.run()), before)


@pytest.mark.parametrize(
    "changes",
    [{"steps": 40}, {"peak_learning_rate": 1e-3}, {"batch": 5}, {"seed": 1}, {"bf16": False}],
    ids=str,
)
def test_another_recipe_is_refused(finished: Path, faces: Path, changes: dict[str, Any]) -> None:
    """Going on with an option that decides the weights changed is a ModelError that names it."""
    with pytest.raises(ModelError, match=f"differs in {next(iter(changes))}"):
        Trainer(options(faces, finished, resume=True, **changes))


def test_another_network_is_refused(finished: Path, faces: Path) -> None:
    """Going on with another network is a ModelError."""
    with pytest.raises(ModelError, match="differs in network"):
        Trainer(options(faces, finished, resume=True, network="d2-w8-x2"))


def test_other_pictures_are_refused(finished: Path, faces: Path, tmp_path: Path) -> None:
    """Going on with changed pictures is a ModelError; the same ones may lie elsewhere."""
    for file in faces.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert Trainer(options(tmp_path, finished, resume=True)).step == 30
    (tmp_path / "000.png").unlink()
    with pytest.raises(ModelError, match="differs in data_sha256"):
        Trainer(options(tmp_path, finished, resume=True))


def test_a_run_is_not_overwritten_unasked(finished: Path, faces: Path) -> None:
    """A folder that holds a run is refused without --resume, and stays as it was."""
    before = (finished / "checkpoint.safetensors").read_bytes()
    with pytest.raises(OptionError, match="--resume"):
        Trainer(options(faces, finished))
    assert (finished / "checkpoint.safetensors").read_bytes() == before


def test_final_weights_are_no_checkpoint(finished: Path, faces: Path, tmp_path: Path) -> None:
    """Final weights in a checkpoint's place are refused, for they lack the optimiser's state."""
    final = (finished / "weights.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(final)
    with pytest.raises(ModelError, match="optimiser"):
        Trainer(options(faces, tmp_path, resume=True))


@pytest.mark.parametrize("damage", ["cut", "pickle"])
def test_a_damaged_checkpoint_is_not_resumed(
    finished: Path, faces: Path, tmp_path: Path, damage: str
) -> None:
    """Neither --resume nor --init takes a cut file or a pickle, none of which runs; the file stays."""
    path, sprung = tmp_path / "checkpoint.safetensors", tmp_path / "sprung"
    whole = (finished / "checkpoint.safetensors").read_bytes()
    path.write_bytes(whole[:-100] if damage == "cut" else pickle.dumps(Trap(sprung)))
    before = path.read_bytes()
    for changes in ({"resume": True}, {"init": path, "out": tmp_path / "new"}):
        with pytest.raises(ModelError, match="not a checkpoint"):
            Trainer(dataclasses.replace(options(faces, tmp_path), **changes))
    assert path.read_bytes() == before
    assert not sprung.exists()


def test_a_full_disk_keeps_the_last_checkpoint(finished: Path, faces: Path, tmp_path: Path) -> None:
    """When a checkpoint cannot be written whole the run ends, and goes on from the one before."""
    trainer = Trainer(options(faces, tmp_path))
    step = trainer._step
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def stepping(batch: Sequence[torch.Tensor]) -> Losses:
        if trainer.step == 15:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        return step(batch)

    trainer._step = stepping  # type: ignore[method-assign]
    try:
        with pytest.raises(SinkError, match="cannot write checkpoint"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").progress["step"] == 10
    Trainer(options(faces, tmp_path, resume=True)).run()
    assert same(
        weights(tmp_path / "weights.safetensors"), weights(finished / "weights.safetensors")
    )


def test_a_loss_that_is_not_finite_stops_the_run(faces: Path, tmp_path: Path) -> None:
    """A learning rate far too high ends in a TrainingError; the last good checkpoint is kept."""
    trainer = Trainer(options(faces, tmp_path, peak_learning_rate=1e30, warmup_steps=0))
    start = {name: tensor.clone() for name, tensor in trainer.net.state_dict().items()}
    with pytest.raises(TrainingError, match=r"loss became (nan|inf) at step 1") as caught:
        trainer.run()
    kept = tmp_path / "checkpoint.safetensors"
    assert repr(str(kept)) in str(caught.value)
    assert same(weights(kept), start)


def test_a_gradient_that_is_not_finite_touches_no_weight(tmp_path: Path) -> None:
    """A gradient that overflows behind a finite loss stops the run before the optimiser's step."""
    for k in range(3):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{k}.png")
    trainer = Trainer(options(tmp_path, tmp_path / "out", bf16=False))
    net = trainer.net
    with torch.no_grad():  # black pictures: activations of 1e-30, weights of 1e20
        net.head.bias.fill_(1e-30)
        for layer in (net.get_submodule("stages.0.conv"), net.tail):
            layer.get_parameter("weight").fill_(1e20)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(TrainingError, match=r"gradient became (nan|inf) at step 0"):
        trainer.run()
    assert same(dict(net.state_dict()), before)


def test_an_unusable_folder_is_known_before_the_first_step(faces: Path, tmp_path: Path) -> None:
    """A run that could not save is a SinkError at once, not after minutes of training."""
    (tmp_path / "file").write_text("in the way")
    trainer = Trainer(options(faces, tmp_path / "file" / "run"))
    with pytest.raises(SinkError, match="cannot write checkpoint"):
        trainer.run()
    assert trainer.step == 0


def test_training_works_outside_the_main_thread(
    finished: Path, faces: Path, tmp_path: Path
) -> None:
    """A run in another thread, where no signal handler may be set, gives the same weights."""
    thread = threading.Thread(target=lambda: Trainer(options(faces, tmp_path)).run())
    thread.start()
    thread.join()
    assert same(
        weights(tmp_path / "weights.safetensors"), weights(finished / "weights.safetensors")
    )


def test_validation_pictures_may_be_given(faces: Path, tmp_path: Path) -> None:
    """With --val-data no picture is held out, but those like a validation picture are dropped."""
    Image.open(faces / "000.png").save(tmp_path / "only.jpg", quality=80)
    trainer = Trainer(options(faces, tmp_path / "out", val_data=f"folder:{tmp_path}"))
    assert (len(trainer.images), len(trainer.validation.images)) == (39, 1)
    assert "000.png" not in {entry.name for entry in trainer.images.entries}


def test_pictures_left_out_are_named(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run says which pictures it does not use, and why."""
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes((faces / f"00{k}.png").read_bytes())
    Image.new("RGB", (10, 10)).save(tmp_path / "tiny.png")
    Trainer(options(tmp_path, tmp_path / "out"))
    out = capsys.readouterr().out
    assert "2 pictures to train on, 1 to validate on, 1 left out" in out
    assert "left out: 1 faces under 32 px: tiny.png" in out


def test_an_unusable_device_is_an_option_error(faces: Path, tmp_path: Path) -> None:
    """A device that does not exist here is an OptionError that shows its name."""
    with pytest.raises(OptionError, match="'abacus'"):
        Trainer(options(faces, tmp_path, device="abacus"))


def test_pictures_to_test_on_are_never_trained_on(faces: Path, tmp_path: Path) -> None:
    """--test-count draws pictures that are neither trained nor validated on; "test" validates on them."""
    blind = Trainer(options(faces, tmp_path / "a", test_count=8))
    seen = Trainer(options(faces, tmp_path / "b", test_count=8, val_data="test"))
    tested = {entry.name for entry in seen.validation.images.entries}
    assert len(tested) == 8
    assert len(seen.images) == 32
    used = {e.name for e in (*blind.images.entries, *blind.validation.images.entries)}
    assert len(used) == 32
    assert not used & tested


PAPER: dict[str, Any] = {
    "epochs": 2, "augment": False, "loss": "mse", "schedule": "step", "decay": 0.5,
    "decay_epochs": 1, "clip_norm": 0.0, "warmup_steps": 0, "bf16": False, "batch": 7,
}  # fmt: skip
VARIANTS: list[dict[str, Any]] = [
    {"ema": 0.9},
    {"lr_sizes": (8, 16, 24)},
    {"degrade": True},
    {"optimiser": "sgd", "reduction": "sum", "peak_learning_rate": 1e-5},
    {"network": "d1-w8-x2-bn", "ema": 0.5},
    {"network": "srcnn-x2", "peak_learning_rate": 1e-3},
    PAPER,
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_kind_of_run_resumes_to_the_bit(
    faces: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Stopped in the middle and resumed, a run of each kind ends as the uninterrupted one does."""
    small = {"steps": 6, "val_every": 100, **changes}
    Trainer(options(faces, tmp_path / "whole", **small)).run()
    part = Trainer(options(faces, tmp_path / "part", **small))
    half = part.plan.steps // 2
    batches = itertools.islice(part._batches(), half)
    part.net.train()
    for batch in batches:
        part._step(batch)
    part.save()
    rest = Trainer(options(faces, tmp_path / "part", resume=True, **small))
    assert rest.step == half
    rest.run()
    one, two = (weights(tmp_path / name / "weights.safetensors") for name in ("whole", "part"))
    assert same(one, two)
    assert rest.step == rest.plan.steps


def test_a_run_by_epochs_shows_every_picture(faces: Path, tmp_path: Path) -> None:
    """Two epochs of 24 pictures by 7 are eight steps, the fourth and eighth of three pictures."""
    trainer = Trainer(options(faces, tmp_path, **PAPER))
    assert len(trainer.images) == 24
    assert [len(lr) for lr, _ in trainer._batches()] == [7, 7, 7, 3] * 2
    rates = [trainer.schedule.rate(step) for step in range(8)]
    assert rates == [4e-3] * 4 + [2e-3] * 4


def test_the_average_is_what_comes_out(faces: Path, tmp_path: Path) -> None:
    """With an average, final weights and an exported checkpoint are the average, not the last step."""
    trainer = Trainer(options(faces, tmp_path, steps=5, ema=0.5))
    mean: dict[str, torch.Tensor] = {}
    step = trainer._step

    def stepping(batch: Sequence[torch.Tensor]) -> Losses:
        losses = step(batch)
        for name, value in trainer.net.state_dict().items():
            mean[name] = mean[name] * 0.5 + value * 0.5 if name in mean else value.clone()
        return losses

    trainer._step = stepping  # type: ignore[method-assign]
    final = weights(trainer.run())
    assert all(torch.allclose(final[name], mean[name], atol=1e-6) for name in mean)
    newest = load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert not same(newest.weights, final)
    assert same(dict(newest.network().state_dict()), final)


@pytest.mark.parametrize("kind", ["checkpoint", "weights", "onnx"])
def test_a_run_may_start_from_weights(
    finished: Path, faces: Path, tmp_path: Path, kind: str
) -> None:
    """--init starts from a checkpoint's or a model file's weights, with a fresh optimiser."""
    file = finished / f"{kind}.safetensors"
    if kind == "onnx":
        file = tmp_path / "model.onnx"
        net = load_checkpoint(finished / "weights.safetensors").network()
        write_model(export_onnx(net), file)
    trainer = Trainer(options(faces, tmp_path / "run", init=file, steps=2))
    assert same(dict(trainer.net.state_dict()), weights(finished / "weights.safetensors"))
    assert not trainer.optimiser.state
    trainer.run()
    resumed = Trainer(options(faces, tmp_path / "run", init=file, steps=2, resume=True))
    assert resumed.step == 2
    with pytest.raises(ModelError, match="differs in init_sha256"):
        Trainer(options(faces, tmp_path / "run", steps=2, resume=True))


def test_weights_of_another_network_are_refused(
    finished: Path, faces: Path, tmp_path: Path
) -> None:
    """--init with the weights of another network is a ModelError that says which was expected."""
    file = finished / "weights.safetensors"
    for network, says in (("d1-w9-x2", "cannot start"), ("srcnn-x2", "do not fit")):
        with pytest.raises(ModelError, match=says):
            Trainer(options(faces, tmp_path, init=file, network=network))


def test_a_run_older_than_an_option_resumes(finished: Path, faces: Path, tmp_path: Path) -> None:
    """A checkpoint whose recipe knows nothing of younger options resumes as their defaults have it."""
    young = {
        "test_count", "epochs", "lr_sizes", "augment", "degrade", "loss", "reduction", "optimiser",
        "momentum", "schedule", "decay", "decay_epochs", "ema", "init_sha256", "pictures",
    }  # fmt: skip
    saved = load_checkpoint(finished / "checkpoint.safetensors")
    assert young <= saved.recipe.keys()
    saved.recipe = {k: v for k, v in saved.recipe.items() if k not in young}
    save_checkpoint(saved, tmp_path / "checkpoint.safetensors")
    assert Trainer(options(faces, tmp_path, resume=True)).step == 30
    with pytest.raises(ModelError, match="differs in loss"):
        Trainer(options(faces, tmp_path, resume=True, loss="mse"))
