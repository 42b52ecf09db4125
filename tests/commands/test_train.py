"""`idrn-trt train`: recipes, and options that change single settings of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from idrn_trt.cli import build_parser
from idrn_trt.commands.train import model_folder, options_of
from idrn_trt.errors import OptionError
from idrn_trt.options import RECIPES, TrainOptions


def parsed(*words: str) -> TrainOptions:
    """The options that a command line stands for."""
    args: argparse.Namespace = build_parser().parse_args(
        ["train", "--data", "folder:x", "--out", "runs/x", *words]
    )
    return options_of(args)


def test_without_options_the_recipe_is_release() -> None:
    """What is not said is as the dataclass has it."""
    assert parsed() == TrainOptions(data="folder:x", out=Path("runs/x"))


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_recipes_set_their_options(recipe: str) -> None:
    """--recipe sets what it names and nothing else."""
    expected = TrainOptions(data="folder:x", out=Path("runs/x"), **RECIPES[recipe])
    assert parsed("--recipe", recipe) == expected


def test_the_paper_recipe_is_section_3_1() -> None:
    """LR 32, batch 16, 120 epochs, Adam from 1e-4 with 0.9, x0.9 every 30, MSE, 500 to test on."""
    run = parsed("--recipe", "paper")
    got: dict[str, Any] = {
        name: getattr(run, name)
        for name in ("lr_px", "batch", "epochs", "optimiser", "peak_learning_rate", "momentum",
                     "decay", "decay_epochs", "loss", "reduction", "test_count", "warmup_steps",
                     "clip_norm", "augment", "degrade", "ema", "bf16")
    }  # fmt: skip
    assert got == {
        "lr_px": 32, "batch": 16, "epochs": 120, "optimiser": "adam", "peak_learning_rate": 1e-4,
        "momentum": 0.9, "decay": 0.9, "decay_epochs": 30, "loss": "mse", "reduction": "mean",
        "test_count": 500, "warmup_steps": 0, "clip_norm": 0.0, "augment": False, "degrade": False,
        "ema": 0.0, "bf16": False,
    }  # fmt: skip


def test_options_change_a_recipe() -> None:
    """An option given replaces the recipe's; a number of steps replaces its epochs."""
    run = parsed("--recipe", "paper", "--reduction", "sum", "--steps", "100", "--batch", "8")
    assert (run.reduction, run.steps, run.epochs, run.batch) == ("sum", 100, 0, 8)
    assert run.loss == "mse"
    assert parsed("--recipe", "paper", "--epochs", "3").epochs == 3
    assert parsed("--lr-sizes", "24,32,64").lr_sizes == (24, 32, 64)
    assert not parsed("--float32").bf16
    run = parsed("--device", "cuda", "--devices", "4", "--nodes", "2")
    assert (run.device, run.devices, run.nodes) == ("cuda", 4, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "l2"}, {"reduction": "max"}, {"optimiser": "lion"}, {"schedule": "linear"},
        {"momentum": 1.0}, {"ema": -0.1}, {"ema": float("nan")}, {"epochs": -1},
        {"clip_norm": float("nan")}, {"lr_sizes": (4,)}, {"lr_sizes": (32.0,)}, {"decay": 0.0},
        {"lr_sizes": (32,), "epochs": 3}, {"lr_sizes": (32,), "augment": False},
        {"val_data": "test"}, {"test_count": -5}, {"devices": 0}, {"nodes": -1},
    ],
    ids=str,
)  # fmt: skip
def test_values_outside_what_is_documented_are_refused(changes: dict[str, Any]) -> None:
    """Each is an OptionError that names the option."""
    with pytest.raises(OptionError, match=next(iter(changes))):
        TrainOptions(data="folder:x", out=Path("x"), **changes)


@pytest.mark.parametrize("words", [("--recipe", "mine"), ("--lr-sizes", "a,b"), ("--loss", "l2")])
def test_other_words_are_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """What argparse can refuse, it does, naming the option."""
    with pytest.raises(SystemExit) as caught:
        parsed(*words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_the_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Every number that a run of the release recipe has by itself is in the help."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    run = TrainOptions(data="folder:x", out=Path("runs/x"))
    for text in (
        f"optimiser steps (default: {run.steps})", f"pairs a step (default: {run.batch})",
        f"LR crop side (default: {run.lr_px})", f"see below (default: {run.network})",
        f"peak, after warm-up (default: {run.peak_learning_rate})",
        f"until the peak rate (default: {run.warmup_steps})",
    ):  # fmt: skip
        assert text in words


def test_a_run_is_exported_to_a_folder_of_its_own_name() -> None:
    """The next command that a run proposes overwrites none of the models in a source tree."""
    assert model_folder(Path("runs/mine")) == "models/mine"
    assert model_folder(Path("runs/mine/")) == "models/mine"
