"""Networks trained and measured for the experiments; what is done already is not done again.

A run's folder is named after its network, recipe, length and seed, so experiments that need the same run
share it. Training, checkpoints, and the check that a folder holds the run that is wanted, are the Trainer's.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from idrn_trt.bench.paper import LR_PX
from idrn_trt.errors import OptionError, TrainingError
from idrn_trt.files import write_text
from idrn_trt.options import RECIPES, TrainOptions
from idrn_trt.quality.evaluate import by_group, evaluate_pictures
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.crops import Crops, open_crops
from idrn_trt.toolchain.networks import parse_network
from idrn_trt.toolchain.train import Trainer
from idrn_trt.toolchain.validate import TorchEngine, Validation

Result = dict[str, Any]

# So often a run is validated and saved, and on so many of the test pictures. Nothing is chosen by it.
POINTS, WATCHED = 12, 24
# Steps of the throwaway network that a time budget is turned into steps by; the first are not counted.
TIMED_STEPS, UNTIMED_STEPS = 10, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How long each network is trained: one of the three, or none for the recipe's own length."""

    epochs: int | None = None
    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        if len(given) > 1 or not all(v > 0 for v in given.values()):
            raise OptionError(
                f"training budget {given!r}: expected one of epochs, steps and minutes, above 0"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What all runs of an experiment have in common; fields as in TrainOptions."""

    data: str
    out: Path
    val_data: str | None = None
    test_count: int = 0
    cache: Path | None = None
    budget: Budget = Budget()
    seeds: tuple[int, ...] = (0, 1, 2)
    device: str = "auto"
    threads: int = 0
    workers: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One line of an experiment: a network under a recipe. changes: options that replace the recipe's."""

    label: str
    network: str
    recipe: str
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def scale(self) -> int:
        """Magnification."""
        return parse_network(self.network).scale

    def options(self, settings: Settings, out: Path, seed: int, **more: Any) -> TrainOptions:
        """The run's options; `more` comes last."""
        test = {"val_data": settings.val_data or "test", "test_count": settings.test_count}
        common = {
            name: getattr(settings, name)
            for name in ("data", "cache", "device", "threads", "workers")
        }
        return TrainOptions(
            **{
                **RECIPES[self.recipe], **dict(self.changes), **common, **test,
                "network": self.network, "out": out, "seed": seed, "resume": True, **more,
            }
        )  # fmt: skip


class Runs:
    """The runs of one experiment.

    equal_steps: a budget in minutes gives all networks as many steps as the slowest of them makes, so that
    they differ in nothing but what is compared; otherwise each makes what it can.
    """

    def __init__(self, settings: Settings, arms: list[Arm], *, equal_steps: bool) -> None:
        self.settings = settings
        self.arms = arms
        self._steps: dict[Arm, int] = {}
        self._pictures: dict[tuple[int, int, int], int] = {}
        if settings.budget.minutes is not None:
            self._steps = {arm: self._fitting_steps(arm, settings.budget.minutes) for arm in arms}
            if equal_steps:
                self._steps = dict.fromkeys(arms, min(self._steps.values()))

    def folder(self, arm: Arm, seed: int) -> Path:
        """Where a run is kept."""
        changes = (f"{name}-{value}" for name, value in arm.changes)
        names = re.sub(r"[^-\w.]+", "-", ".".join((arm.network, arm.recipe, *changes)))
        return self.settings.out / f"{names}.{self._length(arm)}" / f"seed-{seed}"

    def complete(self, arm: Arm, seed: int) -> Result:
        """Train, go on with, or only read the run, and return its result; see `_measure`."""
        folder = self.folder(arm, seed)
        tqdm.write(f"{arm.label} ({arm.network}), seed {seed}")
        trainer = self._trainer(arm, seed, folder)
        test = self._test_pictures(trainer)
        found = _read(folder / "result.json")
        if found.get("test") == _identity(test) and found.get("recipe") == trainer.recipe():
            return found
        watched = test.subset(_spread_out(len(test), WATCHED))
        trainer.validation = Validation(watched, arm.scale, LR_PX)
        result = self._train(trainer)
        if not result["diverged"]:
            result |= _measure(folder, test)
        result |= {"test": _identity(test), "recipe": trainer.recipe()}
        write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
        return result

    def network_file(self, arm: Arm, seed: int) -> Path:
        """The weights of a completed run."""
        return self.folder(arm, seed) / "weights.safetensors"

    def test_pictures(self, arm: Arm, seed: int) -> Crops:
        """The pictures that a run is tested on."""
        return self._test_pictures(self._trainer(arm, seed, self.folder(arm, seed)))

    def _test_pictures(self, trainer: Trainer) -> Crops:
        """The same for runs that train on other sizes, where they are named and not drawn."""
        settings = self.settings
        if settings.val_data:
            return open_crops(settings.val_data, LR_PX * trainer.config.scale, settings.cache)
        images = trainer.validation.images
        if not isinstance(images, Crops):
            raise TypeError(f"the test pictures are {type(images).__name__}, expected Crops")
        return images

    def _train(self, trainer: Trainer) -> Result:
        folder, diverged = trainer.options.out, ""
        whole = trainer.step == trainer.plan.steps and (folder / "weights.safetensors").is_file()
        if not whole:
            try:
                trainer.run()
            except TrainingError:
                diverged = f"diverged at step {trainer.step}"
                tqdm.write(diverged)
        epoch_steps = trainer.schedule.epoch_steps
        return {
            "diverged": diverged,
            "parameters": sum(p.numel() for p in trainer.net.parameters()),
            "trained_on": len(trainer.images),
            "data_sha256": trainer.data_digest,
            "steps": trainer.step,
            "epochs": trainer.step / epoch_steps,
            "seconds": round(trainer.seconds, 1),
            "curve": _curve(folder / "log.jsonl", epoch_steps),
        }

    def _trainer(self, arm: Arm, seed: int, folder: Path) -> Trainer:
        probe = arm.options(self.settings, folder, seed)
        return Trainer(dataclasses.replace(probe, **self._fitted(arm, probe)))

    def _trained_on(self, arm: Arm, lr_px: int, seed: int) -> int:
        """How many pictures this scale, size and seed leave to train on."""
        key = arm.scale, lr_px, seed
        if key not in self._pictures:
            with tempfile.TemporaryDirectory() as folder:
                network = f"d1-w1-x{arm.scale}"
                options = arm.options(self.settings, Path(folder), seed, network=network)
                self._pictures[key] = len(Trainer(options).images)
        return self._pictures[key]

    def _fitted(self, arm: Arm, options: TrainOptions) -> dict[str, Any]:
        """The options that make the recipe's schedule as long as the budget."""
        epoch_steps = math.ceil(self._trained_on(arm, options.lr_px, options.seed) / options.batch)
        budget = self.settings.budget
        steps = self._steps.get(arm, budget.steps)
        length: dict[str, Any] = {}
        if steps is not None:
            length = {"steps": steps, "epochs": 0}
        elif budget.epochs is not None:
            length = {"epochs": budget.epochs}
        fitted = dataclasses.replace(options, **length)
        total = fitted.epochs * epoch_steps or fitted.steps
        if length:
            length["warmup_steps"] = min(options.warmup_steps, total // 10)
        if length and options.schedule == "step" and options.epochs:
            share = total / (options.epochs * epoch_steps)
            length["decay_epochs"] = max(1, round(options.decay_epochs * share))
        return {**length, "val_every": max(1, total // POINTS)}

    def _length(self, arm: Arm) -> str:
        budget = self.settings.budget
        steps = self._steps.get(arm, budget.steps)
        if steps is not None:
            return f"{steps}-steps"
        return f"{budget.epochs}-epochs" if budget.epochs else "whole"

    def _fitting_steps(self, arm: Arm, minutes: float) -> int:
        """How many steps fit the minutes, timed once on this machine and kept in the folder."""
        options = arm.options(self.settings, self.settings.out, 0)
        kind = "bf16" if options.bf16 else "fp32"
        kept = self.settings.out / "timed" / f"{arm.network}.{kind}.{minutes:g}-minutes.json"
        found = _read(kept)
        if not found:
            seconds = self._seconds_a_step(arm)
            found = {"steps": max(1, int(60 * minutes / seconds)), "seconds_a_step": seconds}
            write_text(kept, json.dumps(found) + "\n")
        tqdm.write(f"{arm.network}: {found['seconds_a_step']:.3f} s a step, {found['steps']} steps")
        return int(found["steps"])

    def _seconds_a_step(self, arm: Arm) -> float:
        stamps: list[float] = []
        steps = UNTIMED_STEPS + TIMED_STEPS
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                arm.options(
                    self.settings, Path(folder), self.settings.seeds[0],
                    steps=steps, epochs=0, val_every=steps,
                )
            )  # fmt: skip
            trainer.validation = Validation(
                trainer.validation.images[:1], arm.scale, trainer.options.lr_px
            )
            trainer.optimiser.register_step_post_hook(lambda *_: stamps.append(time.perf_counter()))
            trainer.run()
        return (stamps[-1] - stamps[UNTIMED_STEPS - 1]) / TIMED_STEPS


def _measure(folder: Path, test: Crops) -> Result:
    """Means over the test pictures and over their groups, bicubic's beside; see quality.evaluate."""
    saved = load_checkpoint(folder / "weights.safetensors")
    engine = TorchEngine(saved.module(), folder.parent.name, saved.config.scale)
    return {"groups": by_group(evaluate_pictures(engine, test.named(), LR_PX))}


def _curve(log: Path, epoch_steps: int) -> list[dict[str, float]]:
    """The log's points by step: epoch, the loss of one batch, PSNR-Y on the watched pictures."""
    if not log.is_file():
        return []
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    points = {line["step"]: line for line in lines}
    return [
        {
            "step": step,
            "epoch": round(step / epoch_steps, 4),
            "loss": points[step]["loss"],
            "psnr_y_db": round(points[step]["psnr_y_db"], 4),
        }
        for step in sorted(points)
    ]


def _identity(test: Crops) -> dict[str, Any]:
    return {"sha256": test.digest, "pictures": len(test)}


def _spread_out(count: int, most: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most))})


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except (FileNotFoundError, ValueError):
        return {}
