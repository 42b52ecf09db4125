"""Runs resume where they stopped, fit their budget, and are measured again only where they must be."""

from __future__ import annotations

import dataclasses
import math
import signal
from pathlib import Path
from typing import Any

import _runs
import pytest
import torch
from _runs import Arm, Budget, Runs, Settings

from idrn_trt.errors import OptionError
from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.train import Trainer

ARM = Arm(label="small", network="d1-w8-x2", recipe="release")


@pytest.fixture(name="settings")
def _settings(pictures: Path, tmp_path: Path) -> Settings:
    """Runs of four steps in an empty folder."""
    return Settings(
        data=f"folder:{pictures / 'train'}", val_data=f"folder:{pictures / 'test'}",
        out=tmp_path / "runs", budget=Budget(steps=4), seeds=(0,), device="cpu", threads=1, workers=0,
    )  # fmt: skip


def runs(settings: Settings, *arms: Arm, equal_steps: bool = False) -> Runs:
    """The runs of these arms."""
    return Runs(settings, list(arms or (ARM,)), equal_steps=equal_steps)


class Interrupted(Trainer):
    """A trainer whose user presses Ctrl-C at its second step."""

    def run(self) -> Path:
        self.optimiser.register_step_post_hook(self._press)
        return super().run()

    def _press(self, *_: Any) -> None:
        if self.step == 1:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_run_is_gone_on_with(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the same command trains the missing steps and has the weights of an unbroken run."""
    with monkeypatch.context() as patch:
        patch.setattr(_runs, "Trainer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            runs(settings).complete(ARM, 0)
    assert not runs(settings).network_file(ARM, 0).exists()
    resumed = runs(settings)
    result = resumed.complete(ARM, 0)
    assert result["steps"] == 4
    whole = runs(dataclasses.replace(settings, out=tmp_path / "whole"))
    assert whole.complete(ARM, 0)["groups"] == result["groups"]
    a, b = (load_checkpoint(r.network_file(ARM, 0)).weights for r in (resumed, whole))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_other_test_pictures_are_measured_without_training(
    settings: Settings, pictures: Path, tmp_path: Path
) -> None:
    """The figures of a finished run follow the test set; its weights stay."""
    first = runs(settings)
    before = first.complete(ARM, 0)
    written = first.network_file(ARM, 0).stat().st_mtime_ns
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted((pictures / "test").iterdir())[:2]:
        (fewer / path.name).write_bytes(path.read_bytes())
    after = runs(dataclasses.replace(settings, val_data=f"folder:{fewer}")).complete(ARM, 0)
    assert (before["groups"]["all"]["count"], after["groups"]["all"]["count"]) == (4, 2)
    assert first.network_file(ARM, 0).stat().st_mtime_ns == written


def test_a_run_on_other_sizes_is_measured_alike(settings: Settings) -> None:
    """Training on larger crops changes neither the test pictures nor the size they are reduced to."""
    larger = dataclasses.replace(ARM, changes=(("lr_px", 48), ("batch", 7)))
    done = runs(settings, ARM, larger)
    one, other = done.complete(ARM, 0), done.complete(larger, 0)
    assert other["test"] == one["test"]
    floors = [r["groups"]["all"]["bicubic_psnr_y_db"] for r in (one, other)]
    assert floors[0] == floors[1]


def test_test_pictures_can_be_drawn(settings: Settings) -> None:
    """Without test pictures of their own, as many as asked for are drawn and not trained on."""
    drawn = dataclasses.replace(settings, val_data=None, test_count=3)
    result = runs(drawn).complete(ARM, 0)
    assert result["groups"]["all"]["count"] == 3
    assert result["trained_on"] <= 9


def test_a_run_that_diverges_is_a_result(settings: Settings) -> None:
    """A loss that is no longer finite ends the run; it is told, and not tried again."""
    wild = dataclasses.replace(
        ARM, recipe="paper-sgd", changes=(("peak_learning_rate", 1e30), ("bf16", False))
    )
    result = runs(settings, wild).complete(wild, 0)
    assert result["diverged"].startswith("diverged at step")
    assert "groups" not in result
    checkpoint = runs(settings, wild).folder(wild, 0) / "checkpoint.safetensors"
    written = checkpoint.stat().st_mtime_ns
    assert runs(settings, wild).complete(wild, 0) == result
    assert checkpoint.stat().st_mtime_ns == written


def test_minutes_become_steps_once(settings: Settings) -> None:
    """A time budget is turned into steps by timing, kept for every later run of that network."""
    timed = dataclasses.replace(settings, budget=Budget(minutes=0.01))
    arms = [ARM, dataclasses.replace(ARM, network="d2-w8-x2")]
    first = runs(timed, *arms)
    kept = {p: p.stat().st_mtime_ns for p in (settings.out / "timed").iterdir()}
    assert len(kept) == 2
    again = runs(timed, *arms)
    assert {p: p.stat().st_mtime_ns for p in (settings.out / "timed").iterdir()} == kept
    assert [first.folder(arm, 0) for arm in arms] == [again.folder(arm, 0) for arm in arms]


def test_an_ablation_has_as_many_steps_in_every_arm(settings: Settings) -> None:
    """With equal steps the slowest network's number is everybody's."""
    timed = dataclasses.replace(settings, budget=Budget(minutes=0.01))
    arms = [ARM, dataclasses.replace(ARM, network="d4-w16-x2")]
    alone = {runs(timed, arm)._steps[arm] for arm in arms}
    assert set(runs(timed, *arms, equal_steps=True)._steps.values()) == {min(alone)}


def fitted(settings: Settings, recipe: str, budget: Budget) -> TrainOptions:
    """The options of a run under that budget."""
    arm = dataclasses.replace(ARM, recipe=recipe)
    trainer = runs(dataclasses.replace(settings, budget=budget), arm)._trainer(
        arm, 0, settings.out / "unused"
    )
    return trainer.options


def test_a_schedule_fits_its_budget(settings: Settings) -> None:
    """A stepped rate has as many steps in a short run, and a warm-up takes at most a tenth of it."""
    whole = fitted(settings, "paper", Budget())
    assert (whole.epochs, whole.decay_epochs) == (120, 30)
    short = fitted(settings, "paper", Budget(epochs=12))
    assert (short.epochs, short.decay_epochs, short.warmup_steps) == (12, 3, 0)
    # One batch is an epoch here.
    stepped = fitted(settings, "paper-sgd-step", Budget(steps=60))
    assert (stepped.epochs, stepped.steps, stepped.decay_epochs) == (0, 60, 10)
    ours = fitted(settings, "release", Budget(steps=50))
    assert (ours.steps, ours.warmup_steps) == (50, 5)
    assert fitted(settings, "release", Budget()).warmup_steps == 200


@pytest.mark.parametrize(
    "given", [{"epochs": 0}, {"minutes": math.nan}, {"steps": 1, "minutes": 1.0}]
)
def test_a_budget_is_one_number_above_zero(given: dict[str, float]) -> None:
    """Anything else is refused."""
    with pytest.raises(OptionError, match="expected one of epochs, steps and minutes"):
        Budget(**given)  # type: ignore[arg-type]
