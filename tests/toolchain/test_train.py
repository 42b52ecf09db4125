"""Training for real, on small pictures: it learns, resumes to the bit, and stops cleanly."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from idrn_trt.errors import ModelError, OptionError, SinkError, TrainingError
from idrn_trt.options import TrainOptions
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair
from idrn_trt.toolchain import train
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.data import read_folder
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.train import Trainer, learning_rate, upscale, validate


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


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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
    before, _ = validate(fresh.net, fresh.val_images, 16)
    lines = log(finished)
    assert [line["step"] for line in lines] == [10, 20, 30]
    assert lines[-1]["loss"] < lines[0]["loss"]
    scores = [before, *(line["psnr_y_db"] for line in lines)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 1


def test_a_run_leaves_three_files(finished: Path) -> None:
    """A finished run is a checkpoint, final weights without optimiser, and a log."""
    names = {"checkpoint.safetensors", "weights.safetensors", "log.jsonl"}
    assert {path.name for path in finished.iterdir()} == names
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
    root = Path(train.__file__).parents[2]
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


def test_an_interrupt_waits_for_the_end_of_a_step() -> None:
    """SIGINT inside the held-back block arrives after it, and at once again afterwards."""
    done = []

    def step() -> None:
        with train._interrupt_held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("rest of the block")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_error_in_the_block_is_not_hidden_by_an_interrupt() -> None:
    """An exception raised while an interrupt is held back goes on as it is."""

    def step() -> None:
        with train._interrupt_held_back():
            signal.raise_signal(signal.SIGINT)
            raise TrainingError("the loss became nan")

    with pytest.raises(TrainingError):
        step()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


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


def test_learning_rate_warms_up_and_decays(tmp_path: Path) -> None:
    """The rate rises linearly to the peak, then falls along half a cosine to 1 % of it."""
    run = options(tmp_path, tmp_path, steps=110, warmup_steps=10, peak_learning_rate=1.0)
    rates = [learning_rate(step, run) for step in range(111)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx((1 + 0.01) / 2)
    assert rates[110] == pytest.approx(0.01)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(("steps", "warmup_steps"), [(1, 0), (3, 3), (3, 200)])
def test_learning_rate_of_short_runs(tmp_path: Path, steps: int, warmup_steps: int) -> None:
    """A run shorter than its warm-up, or of one step, has a rate above 0 and up to the peak."""
    run = options(tmp_path, tmp_path, steps=steps, warmup_steps=warmup_steps)
    for step in range(steps):
        assert 0 < learning_rate(step, run) <= run.peak_learning_rate


@pytest.fixture
def net() -> IDRN:
    """A small untrained x3 network."""
    torch.manual_seed(0)
    return IDRN(NetConfig.parse("d1-w4-x3")).eval()


def test_upscale_rounds_and_clips(net: IDRN) -> None:
    """`upscale` is the network on [0, 1], times 255, rounded and clipped, from read-only memory."""
    with torch.no_grad():
        net.tail.weight.mul_(20)  # so that values leave [0, 1] on both sides
    lr = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    lr.setflags(write=False)
    with torch.no_grad():
        raw = net(torch.tensor(lr.tolist()).permute(2, 0, 1)[None] / 255)[0].numpy()
    assert raw.min() < 0
    assert raw.max() > 1
    expected = np.round(raw.transpose(1, 2, 0).clip(0, 1) * 255)
    sr = upscale(net, lr)
    assert (sr.shape, sr.dtype) == ((27, 36, 3), np.uint8)
    # A value within float error of .5 may round either way.
    assert np.abs(sr.astype(int) - expected).max() <= 1
    assert (sr == expected).mean() > 0.999


def test_upscale_takes_views(net: IDRN) -> None:
    """A mirrored view, whose strides are negative, is upscaled like its copy."""
    lr = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(upscale(net, lr[:, ::-1]), upscale(net, lr[:, ::-1].copy()))


def test_validation_is_the_mean_over_whole_crops(net: IDRN, faces: Path) -> None:
    """`validate` gives the mean PSNR-Y of the network and of bicubic over the evaluation pairs."""
    images = read_folder(faces, 48).images[:3]
    pairs = [evaluation_pair(pixels, 3, 16) for pixels in images]
    ours, floor = validate(net, images, 16)
    assert ours == pytest.approx(np.mean([psnr_y(upscale(net, lr), hr) for lr, hr in pairs]))
    assert floor == pytest.approx(np.mean([psnr_y(bicubic_up(lr, 3), hr) for lr, hr in pairs]))


def test_validation_pictures_may_be_given(faces: Path, tmp_path: Path) -> None:
    """With --val-data every picture is trained on and none is held out."""
    Image.open(faces / "000.png").save(tmp_path / "only.png")
    trainer = Trainer(options(faces, tmp_path / "out", val_data=f"folder:{tmp_path}"))
    assert (len(trainer.images), len(trainer.val_images)) == (40, 1)


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
    assert "left out: tiny.png: shorter side under 32 px" in out


def test_an_unusable_device_is_an_option_error(faces: Path, tmp_path: Path) -> None:
    """A device that does not exist here is an OptionError that shows its name."""
    with pytest.raises(OptionError, match="'abacus'"):
        Trainer(options(faces, tmp_path, device="abacus"))
