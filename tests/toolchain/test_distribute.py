"""Several processes train what one trains, and stop as one: for real, on this CPU."""

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

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import idrn_trt
from idrn_trt.errors import ModelError, OptionError, TrainingError
from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.data import PairDataset, PairRecipe
from idrn_trt.toolchain.distribute import Ranks, interrupt_held_back
from idrn_trt.toolchain.networks import build, parse_network
from idrn_trt.toolchain.plan import by_steps
from idrn_trt.toolchain.schedule import Schedule, loss_of, make_optimiser
from idrn_trt.toolchain.train import Trainer

ROOT = Path(idrn_trt.__file__).parents[1]
# Warnings are errors in the processes that the tests start too, but for the one on a loader that forks.
WARNINGS = "error,ignore:This process:DeprecationWarning"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": WARNINGS}

SMALL: dict[str, Any] = {
    "network": "d2-w8-x2", "steps": 3, "batch": 5, "lr_px": 16, "warmup_steps": 0, "bf16": False,
    "val_every": 3, "workers": 0, "threads": 1, "device": "cpu",
}  # fmt: skip

# Each is trained by two processes and by one. By turns a batch of "sizes" has 5 samples and 1, of which
# the second process has none.
SAME: dict[str, dict[str, Any]] = {
    "uneven": {},
    "sizes": {"lr_sizes": (16, 32), "batch": 5},
    "sum, mse, ema": {"loss": "mse", "reduction": "sum", "ema": 0.9, "batch": 4},
    "paper": {
        "epochs": 1, "augment": False, "loss": "mse", "schedule": "step", "clip_norm": 0.0,
        "peak_learning_rate": 1e-4, "batch": 7,
    },
    "baseline": {"network": "srcnn-x2", "optimiser": "sgd", "peak_learning_rate": 1e-3},
}  # fmt: skip


def options(faces: Path, out: Path, **changes: Any) -> TrainOptions:
    """A run of three steps."""
    return TrainOptions(data=f"folder:{faces}", out=out, **{**SMALL, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """A run's final weights."""
    return load_checkpoint(folder / "weights.safetensors").weights


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The largest difference of any weight."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


class Pair:
    """What two processes left of the cases below: `outcomes` of each, a folder a case."""

    def __init__(self, folder: Path, faces: Path) -> None:
        self.folder = folder
        (folder / "small").mkdir(parents=True)
        Image.new("RGB", (10, 10)).save(folder / "small" / "tiny.png")
        cases = self._cases(faces)
        (folder / "cases.json").write_text(json.dumps(cases))
        program = Path(__file__).with_name("two_processes.py")
        done = subprocess.run(
            [sys.executable, program, folder], env=ENVIRONMENT, check=False,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.printed = done.stdout + done.stderr
        self.outcomes = [
            json.loads((folder / f"outcomes-{rank}.json").read_text()) for rank in range(2)
        ]

    def _cases(self, faces: Path) -> dict[str, dict[str, Any]]:
        def case(out: str, *, data: Path = faces, **changes: Any) -> dict[str, Any]:
            fields = {**SMALL, "data": f"folder:{data}", "out": str(self.folder / out), **changes}
            return {"options": {**fields, "devices": 2}}

        six: dict[str, Any] = {"steps": 6, "bf16": True, "val_every": 100}
        return {
            "whole": case("whole", **six),
            "pressed": {**case("part", **six), "press_after": 2},
            "full disk": {
                **case("part", resume=True, **{**six, "val_every": 1}), "full_disk": True,
            },
            "resumed": case("part", resume=True, **six),
            "diverged": case("diverged", peak_learning_rate=1e30),
            "normalised": case("normalised", network="d1-w8-x2-bn"),
            "no face": case("no face", data=self.folder / "small"),
            "one fails": {
                **case("one fails"), "second": {"init": str(self.folder / "none.safetensors")},
            },
            "one differs": {**case("one differs"), "second": {"seed": 1}},
            **{name: case(name, **changes) for name, changes in SAME.items()},
        }  # fmt: skip


@pytest.fixture(scope="module")
def pair(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """All cases, run once by two processes."""
    return Pair(tmp_path_factory.mktemp("pair"), faces)


@pytest.mark.parametrize("name", SAME)
def test_two_processes_train_what_one_trains(
    pair: Pair, faces: Path, tmp_path: Path, name: str
) -> None:
    """Whatever the shares, the weights are those of a single process up to rounding."""
    assert [outcomes[name] for outcomes in pair.outcomes] == ["done", "done"]
    trainer = Trainer(options(faces, tmp_path, **SAME[name]))
    start = {key: value.clone() for key, value in trainer.net.state_dict().items()}
    trainer.run()
    one, two = weights(tmp_path), weights(pair.folder / name)
    assert distance(one, two) < 1e-5
    assert distance(one, start) > 1e-4, "the bound is far below what three steps change"


def test_the_logged_loss_is_the_whole_batch_s(pair: Pair, faces: Path, tmp_path: Path) -> None:
    """The loss that the first process logs is that of both shares."""
    Trainer(options(faces, tmp_path)).run()
    one, two = (
        json.loads((folder / "log.jsonl").read_text())
        for folder in (tmp_path, pair.folder / "uneven")
    )
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)


def test_two_processes_resume_to_the_bit(pair: Pair) -> None:
    """Ctrl-C in the second process stops both after the step; resumed, nothing is different."""
    assert pair.outcomes[0]["pressed"].startswith("KeyboardInterrupt")
    assert pair.outcomes[1]["pressed"] == "SystemExit: 0"
    assert pair.outcomes[0]["resumed"] == pair.outcomes[1]["resumed"] == "done"
    assert same(weights(pair.folder / "part"), weights(pair.folder / "whole"))
    assert "stopped at step 3; go on with --resume" in pair.printed


def test_a_full_disk_stops_both_and_keeps_the_checkpoint(pair: Pair) -> None:
    """When the first process cannot save, both end; the checkpoint before resumed to the bit above."""
    assert pair.outcomes[0]["full disk"].startswith("SinkError: cannot write checkpoint")
    assert pair.outcomes[1]["full disk"] == "SystemExit: 0"
    assert pair.outcomes[0]["resumed"] == "done"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("diverged", "TrainingError: the loss became"),
        ("normalised", "OptionError: a network with batch normalisation trains in one process"),
        ("no face", "TrainingError: no usable picture"),
        ("one fails", "ModelError: process 1: "),
        ("one differs", "TrainingError: process 1 differs from process 0 in seed"),
    ],
)
def test_an_error_stops_both_and_is_told_once(pair: Pair, name: str, message: str) -> None:
    """Wherever it arises, the first process raises it and the other ends quietly."""
    assert pair.outcomes[0][name].startswith(message)
    assert pair.outcomes[1][name] == "SystemExit: 0"
    assert not (pair.folder / name / "weights.safetensors").exists()


def test_divergence_leaves_the_last_good_state(pair: Pair) -> None:
    """After a loss that is not finite, the checkpoint is the one before the first step."""
    kept = load_checkpoint(pair.folder / "diverged" / "checkpoint.safetensors")
    assert kept.progress["step"] == 0
    assert all(torch.isfinite(tensor).all() for tensor in kept.weights.values())


def test_only_the_first_process_talks(pair: Pair) -> None:
    """Each run that finds faces says once what it trains on, and nobody shows a traceback."""
    assert pair.printed.count("pictures to train on") == len(pair.outcomes[0].keys() - {"no face"})
    assert "Traceback" not in pair.printed


def test_another_number_of_processes_is_refused(pair: Pair, faces: Path) -> None:
    """One process does not go on with a run of two: rounding would differ."""
    with pytest.raises(ModelError, match="differs in processes"):
        Trainer(options(faces, pair.folder / "uneven", resume=True))


def test_shares_are_the_batch(faces: Path, tmp_path: Path) -> None:
    """The ranks' shares of a batch of any size are disjoint, its whole, and as even as can be."""
    ranks = Ranks(options(faces, tmp_path))
    assert ranks.share(range(3, 10)) == range(3, 10)
    ranks.size = 4
    for count in range(1, 12):
        shares = []
        for ranks.rank in range(4):
            shares.append(list(ranks.share(range(7, 7 + count))))
        assert sorted(itertools.chain(*shares)) == list(range(7, 7 + count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("changes", [{}, {"bf16": True, "clip_norm": 0.0, "loss": "mse"}], ids=str)
def test_one_process_is_a_plain_loop(faces: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Fabric adds nothing to one process: a loop in plain torch gives the same weights to the bit."""
    run = options(faces, tmp_path, **changes)
    trainer = Trainer(run)
    plan = by_steps(run.steps, run.batch, run.lr_px, seed=run.seed)
    pairs = PairDataset(trainer.images, plan, PairRecipe(scale=2, seed=run.seed))
    trainer.run()

    torch.manual_seed(run.seed)
    net = build(parse_network(run.network)).to(memory_format=torch.channels_last)
    optimiser = make_optimiser(net.parameters(), run)
    schedule = Schedule(run, run.steps, 1)
    for step, (lr, hr) in enumerate(DataLoader(pairs, batch_size=run.batch)):
        x, y = (t.float().div(255).contiguous(memory_format=torch.channels_last) for t in (lr, hr))
        optimiser.param_groups[0]["lr"] = schedule.rate(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=run.bf16):
            sr = net(x)
        optimiser.zero_grad()
        loss_of(sr.float(), y, run).backward()
        if run.clip_norm:
            torch.nn.utils.clip_grad_norm_(net.parameters(), run.clip_norm)
        optimiser.step()
    assert same(weights(tmp_path), dict(net.state_dict()))


def words(faces: Path, out: Path, *more: str) -> list[str]:
    """The command line of a small run."""
    return [
        "idrn_trt", "train", "--data", f"folder:{faces}", "--out", str(out), "--network", "d2-w8-x2",
        "--batch", "5", "--lr-px", "16", "--warmup-steps", "0", "--float32", "--threads", "1",
        "--device", "cpu", *more,
    ]  # fmt: skip


def test_ctrl_c_on_the_command_line_stops_both(faces: Path, tmp_path: Path) -> None:
    """SIGINT to both processes, as a terminal sends it: one line, code 130, and a checkpoint."""
    command = words(faces, tmp_path, "--steps", "100000", "--val-every", "5", "--devices", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = threading.Timer(600, process.kill)
    deadline.start()
    while not (tmp_path / "log.jsonl").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate()
    deadline.cancel()
    assert process.returncode == 130, errors
    assert errors.count("idrn-trt: interrupted") == 1
    assert "Traceback" not in errors
    step = load_checkpoint(tmp_path / "checkpoint.safetensors").progress["step"]
    assert f"stopped at step {step}; go on with --resume" in printed
    assert step >= 5


def test_no_thread_of_the_group_outlives_it(pair: Pair) -> None:
    """A thread of gloo that frees a tensor while the interpreter ends aborts it: close() joins them."""
    for rank in range(2):
        before, after = json.loads((pair.folder / f"threads-{rank}.json").read_text())
        assert "pt_gloo_runloop" in before
        assert "pt_gloo_runloop" not in after


def test_torchrun_trains_what_one_process_trains(faces: Path, tmp_path: Path) -> None:
    """Under torchrun its processes share the batch, with no option of ours."""
    command = words(faces, tmp_path / "two", "--steps", "3", "--workers", "0")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", *command],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights: ") == 1
    Trainer(options(faces, tmp_path / "one")).run()
    assert distance(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-5


@pytest.mark.parametrize(
    "changes",
    [{"device": "abacus"}, {"device": "cuda:99"}, {"device": "cpu:0", "devices": 2}],
    ids=str,
)
def test_an_unusable_device_is_an_option_error(
    faces: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """A device that is not there, or several of one that is named by number, is an OptionError."""
    with pytest.raises(OptionError, match=repr(changes["device"])):
        Ranks(options(faces, tmp_path, **changes))


def test_an_interrupt_waits_for_the_end_of_a_step() -> None:
    """SIGINT inside the held-back block arrives after it, and at once again afterwards."""
    done = []

    def step() -> None:
        with interrupt_held_back() as pressed:
            signal.raise_signal(signal.SIGINT)
            done.append(len(pressed))

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done == [1]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_error_in_the_block_is_not_hidden_by_an_interrupt() -> None:
    """An exception raised while an interrupt is held back goes on as it is."""

    def step() -> None:
        with interrupt_held_back():
            signal.raise_signal(signal.SIGINT)
            raise TrainingError("the loss became nan")

    with pytest.raises(TrainingError):
        step()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_held_back_twice_reaches_the_outer_block() -> None:
    """Blocks may be nested: the inner one hands on to the outer one what it held back."""
    held = []

    def steps() -> None:
        with interrupt_held_back() as outer:
            with interrupt_held_back():
                signal.raise_signal(signal.SIGINT)
            held.append(len(outer))

    with pytest.raises(KeyboardInterrupt):
        steps()
    assert held == [1]


def test_lightning_is_loaded_to_train_only() -> None:
    """Neither the command line nor exporting and quantising load Lightning."""
    code = (
        "import sys, idrn_trt.cli, idrn_trt.toolchain.export, idrn_trt.toolchain.quantise\n"
        "print([name for name in sys.modules if name.startswith('lightning')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
