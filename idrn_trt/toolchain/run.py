"""What every training does alike: its folder, its loop, how it stops and how it goes on."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from idrn_trt.errors import ModelError, OptionError, TrainingError
from idrn_trt.options import DetectorOptions, TrainOptions
from idrn_trt.toolchain.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    optimiser_state,
    restore_optimiser,
    save_checkpoint,
)
from idrn_trt.toolchain.distribute import Ranks, interrupt_held_back, leave_interrupts
from idrn_trt.toolchain.journal import Journal
from idrn_trt.toolchain.networks import AnyConfig
from idrn_trt.toolchain.schedule import Schedule, make_optimiser

Losses = dict[str, float]


class Validated(NamedTuple):
    """What is told of a validation: figures for the log, a picture, and words for the screen."""

    figures: dict[str, float]
    picture: npt.NDArray[np.uint8]
    words: str


class Run(abc.ABC):
    """One run: owns the network, the optimiser and the folder it writes to.

    `checkpoint.safetensors` is the newest state, `weights.safetensors` the final one without
    optimiser; log.jsonl, pictures/ and tensorboard/ are the journal's. Of several ranks only the first
    writes, and all of them do the rest alike, each on its share of every batch.
    """

    config: AnyConfig
    schedule: Schedule
    net: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedModel | None

    def __init__(self, options: TrainOptions | DetectorOptions, ranks: Ranks) -> None:
        self.options = options
        self.ranks = ranks
        self.device = ranks.device
        self.journal = Journal(options.out)
        self.step = 0
        self.seconds = 0.0
        if options.threads:
            torch.set_num_threads(options.threads)

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest state is kept."""
        return self.options.out / "checkpoint.safetensors"

    @property
    def final_path(self) -> Path:
        """Where the weights are kept when all steps are done."""
        return self.options.out / "weights.safetensors"

    @abc.abstractmethod
    def recipe(self) -> dict[str, Any]:
        """All that decides the weights, as JSON values."""

    @abc.abstractmethod
    def _batches(self) -> Iterator[Sequence[Tensor]]:
        """The batches from this step on; of several ranks, this one's share."""

    @abc.abstractmethod
    def _losses(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """The parts of the loss, scalars; of several ranks, this one's share."""

    @abc.abstractmethod
    def _validate(self) -> Validated:
        """Measure the result so far."""

    def _own(self, net: nn.Module) -> None:
        """Take the network, and make what the schedule's options say of optimiser and average."""
        self.net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
        self.optimiser = make_optimiser(self.net.parameters(), self.schedule.options)
        self.average = None
        if self.options.ema:
            rule = get_ema_multi_avg_fn(self.options.ema)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.average = AveragedModel(self.net, multi_avg_fn=rule, use_buffers=True)

    def _result(self) -> nn.Module:
        """The network that the run would end with now."""
        return self.net if self.average is None else self.average.module

    def _saved(self) -> Checkpoint | None:
        """The state to go on from. Raises OptionError where there is one and nobody asked to."""
        path = self.checkpoint_path
        if not path.exists():
            return None
        if not self.options.resume:
            raise OptionError(
                f"{str(path)!r} holds a run already: go on with it by --resume, "
                "or name another folder with --out"
            )
        return load_checkpoint(path)

    def _go_on(self, saved: Checkpoint, recipe: dict[str, Any]) -> None:
        """Go on from a state made by `recipe`. Raises ModelError when it is not this run's."""
        differing = [k for k, v in self.recipe().items() if recipe.get(k) != v]
        if differing or saved.config != self.config:
            raise ModelError(
                f"{str(self.checkpoint_path)!r} was made by another recipe (it differs in "
                f"{', '.join(differing) or 'the network'}): resume with the same options, "
                "or name another folder with --out"
            )
        load_weights(self.net, saved.weights)
        self.step = int(saved.progress["step"])
        self.seconds = float(saved.progress["seconds"])
        if self.step:  # before its first step an optimiser has no state
            restore_optimiser(self.net, self.optimiser, saved.optimiser)
        if self.average is not None:
            load_weights(self.average.module, saved.average)
            self.average.n_averaged.fill_(self.step)

    def run(self) -> Path:
        """Train to the end and return the path of the final weights.

        A checkpoint is written before the first step, so that a folder that cannot be written to
        is known at once (SinkError). Raises TrainingError when a loss or the gradient stops being
        finite; the newest checkpoint is then the last good state. KeyboardInterrupt saves a
        checkpoint and goes on to the caller.
        """
        with contextlib.closing(self.journal), self.ranks.interrupt_shared():
            if self.step == 0:
                self.ranks.on_first(self.save)
            self._train()
            self.ranks.on_first(self._save_final)
        return self.final_path

    def _train(self) -> None:
        self.net.train()
        start = time.perf_counter() - self.seconds
        with tqdm(
            total=self.schedule.steps, initial=self.step, unit="step", smoothing=0.05,
            disable=not self.ranks.first,
        ) as bar:  # fmt: skip
            try:
                for batch in self._batches():
                    losses = self._step(batch)
                    self.seconds = time.perf_counter() - start
                    with interrupt_held_back():
                        bar.set_postfix({k: f"{v:.4g}" for k, v in losses.items()}, refresh=False)
                        bar.update()
                    if self.step % self.options.val_every == 0 or self.step == self.schedule.steps:
                        self.ranks.on_first(functools.partial(self._validate_and_save, losses))
            except KeyboardInterrupt:
                self.ranks.on_first(self.save)
                self._say(f"stopped at step {self.step}; go on with --resume")
                raise

    def _loader(self, data: Dataset[Any], batches: Iterable[Sequence[int]]) -> DataLoader[Any]:
        """Loads the samples of each batch, by as many processes as the options say."""
        return DataLoader(
            data,
            batch_sampler=batches,  # type: ignore[arg-type]  # a range is as good as a list
            num_workers=self.options.workers,
            worker_init_fn=leave_interrupts,
            pin_memory=self.device.type == "cuda",
        )

    def _to_device(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> float32 in [0, 1], where the network is."""
        images = images.to(self.device, torch.float32, non_blocking=True) / 255
        return images.contiguous(memory_format=torch.channels_last)

    def _step(self, batch: Sequence[Tensor]) -> Losses:
        """Train on this rank's share of a batch and return the losses of the whole batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        losses = self._losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.ranks.backward(torch.stack([*losses.values()]).sum())
        largest = self.options.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), largest)
        whole, interrupted = self.ranks.total({k: v.item() for k, v in losses.items()})
        self._demand_finite({**whole, "gradient": norm.item()})
        with interrupt_held_back():  # a step is taken and counted, or neither
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.net)
            self.step += 1
        if interrupted:
            raise KeyboardInterrupt
        return whole

    def _demand_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"the {name} became {value} at step {self.step}; the last good state is in "
                    f"{str(self.checkpoint_path)!r}. Start again in another folder with a lower "
                    "--learning-rate"
                )

    def _validate_and_save(self, losses: Losses) -> None:
        figures, picture, words = self._validate()
        self.save()
        progress = {"step": self.step, "seconds": round(self.seconds, 1)}
        self.journal.write({**progress, **losses, **figures}, picture)
        told = (f"{name} {value:.4g}" for name, value in losses.items())
        self._say(f"step {self.step}: {', '.join((words, *told))}")

    def _say(self, line: str) -> None:
        if self.ranks.first:
            with interrupt_held_back():  # which would leave tqdm's lock taken
                tqdm.write(line)

    def _state(self, *, optimiser: bool) -> Checkpoint:
        return Checkpoint(
            config=self.config,
            weights=dict(self.net.state_dict()),
            optimiser=optimiser_state(self.net, self.optimiser) if optimiser else {},
            recipe=self.recipe(),
            progress={"step": self.step, "seconds": self.seconds},
            average={} if self.average is None else dict(self.average.module.state_dict()),
        )

    def save(self) -> None:
        """Write the newest checkpoint."""
        save_checkpoint(self._state(optimiser=True), self.checkpoint_path)

    def _final(self) -> Checkpoint:
        state = self._state(optimiser=False)
        return dataclasses.replace(state, weights=state.average or state.weights, average={})

    def _save_final(self) -> None:
        save_checkpoint(self._final(), self.final_path)
