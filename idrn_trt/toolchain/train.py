"""Training, in its simplest honest form: resumable to the bit, on one device or several.

The recipe is in the options: options.RECIPES names the paper's and ours.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from idrn_trt.errors import ModelError, OptionError, TrainingError
from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    optimiser_state,
    restore_optimiser,
    save_checkpoint,
)
from idrn_trt.toolchain.crops import Crops, open_crops
from idrn_trt.toolchain.data import PairDataset, PairRecipe
from idrn_trt.toolchain.distribute import Ranks, interrupt_held_back, leave_interrupts
from idrn_trt.toolchain.journal import Journal
from idrn_trt.toolchain.net import IDRN
from idrn_trt.toolchain.networks import build, parse_network
from idrn_trt.toolchain.plan import Plan, by_epochs, by_steps
from idrn_trt.toolchain.qat import deployed, read_grid
from idrn_trt.toolchain.schedule import Schedule, loss_of, make_optimiser
from idrn_trt.toolchain.split import hold_out, split_test, without_duplicates
from idrn_trt.toolchain.table import write_table
from idrn_trt.toolchain.transfer import transferred
from idrn_trt.toolchain.validate import Validation
from idrn_trt.toolchain.weights import read_weights, weights_file

# What may differ between two parts of one run without changing its weights.
_FREE = frozenset({
    "out", "resume", "workers", "data", "val_data", "val_every", "cache", "init", "qat", "devices",
    "nodes",
})  # fmt: skip


class Trainer:
    """One run: owns the network, the optimiser and the folder it writes to.

    `checkpoint.safetensors` is the newest state, `weights.safetensors` the final one without
    optimiser; log.jsonl, pictures/ and tensorboard/ are the journal's. Of several ranks only the first
    writes, and all of them do the rest alike, each on its share of every batch.
    """

    def __init__(self, options: TrainOptions, ranks: Ranks | None = None) -> None:
        self.options = options
        self.config = parse_network(options.network)
        self.ranks = ranks or Ranks(options)
        self.device = self.ranks.device
        if options.threads:
            torch.set_num_threads(options.threads)
        self.ranks.in_turn(self._read_data)
        with self.ranks.together():
            self._start()
        self.ranks.demand_equal({**self.recipe(), "step": self.step})
        self.model = self.ranks.wrap(deployed(self.net, self.grid))

    def _start(self) -> None:
        options = self.options
        torch.manual_seed(options.seed)
        self.net = build(self.config)
        self.init_digest = self._start_from_weights()
        self.net = self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
        self.grid = read_grid(options, self.net)
        self.optimiser = make_optimiser(self.net.parameters(), options)
        self.average = self._averaged()
        self.journal = Journal(options.out)
        self.step = 0
        self.seconds = 0.0
        if self.checkpoint_path.exists():
            self._resume()

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest state is kept."""
        return self.options.out / "checkpoint.safetensors"

    @property
    def final_path(self) -> Path:
        """Where the weights are kept when all steps are done."""
        return self.options.out / "weights.safetensors"

    def _read_data(self) -> None:
        options = self.options
        smallest = options.lr_px * self.config.scale
        crops = open_crops(options.data, smallest, options.cache)
        self.data_digest = crops.digest
        for problem in crops.problems.lines():
            self._say(f"left out: {problem}")
        train, held, dropped = self._split(crops, smallest)
        self.images = train
        self.validation = Validation(held, self.config.scale, options.lr_px, options.degrade)
        self.plan = self._plan(len(train))
        self.schedule = Schedule(options, self.plan.steps, math.ceil(len(train) / options.batch))
        self._say(
            f"{len(train)} pictures to train on, {len(held)} to validate on, "
            f"{crops.problems.counts.total()} left out, {dropped} too like one to test or validate on"
        )

    def _say(self, line: str) -> None:
        if self.ranks.first:
            with interrupt_held_back():  # which would leave tqdm's lock taken
                tqdm.write(line)

    def _split(self, crops: Crops, smallest: int) -> tuple[Crops, Crops, int]:
        """(training, validation, how many were dropped as near-duplicates)."""
        options, dropped = self.options, 0
        if options.test_count:
            split = split_test(crops, options.test_count, options.seed)
            crops, dropped = split.train, split.dropped
            if options.val_data == "test":
                return crops, split.test, dropped
        if options.val_data is None:
            train, held = hold_out(len(crops), options.val_share, options.seed)
            return crops.subset(train), crops.subset(held), dropped
        validation = open_crops(options.val_data, smallest, options.cache)
        left = without_duplicates(crops, validation)
        return left, validation, dropped + len(crops) - len(left)

    def _plan(self, pictures: int) -> Plan:
        options = self.options
        if options.epochs:
            return by_epochs(options.epochs, options.batch, options.lr_px, pictures)
        return by_steps(
            options.steps, options.batch, options.lr_px, sizes=options.lr_sizes, seed=options.seed
        )

    def _start_from_weights(self) -> str:
        """Load --init, if any, and return the sha256 of its file."""
        if self.options.init is None:
            return ""
        config, weights = read_weights(self.options.init)
        if config != self.config and isinstance(self.net, IDRN):
            weights = transferred(config, weights, self.net)
        load_weights(self.net, weights)
        return hashlib.sha256(weights_file(self.options.init).read_bytes()).hexdigest()

    def _averaged(self) -> AveragedModel | None:
        if not self.options.ema:
            return None
        rule = get_ema_multi_avg_fn(self.options.ema)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return AveragedModel(self.net, multi_avg_fn=rule, use_buffers=True)

    def recipe(self) -> dict[str, Any]:
        """All that decides the weights, as JSON values."""
        return {
            **_recipe_fields(self.options),
            "device": self.device.type,
            "processes": self.ranks.size,
            "init_sha256": self.init_digest,
            "qat_sha256": "" if self.grid is None else self.grid.digest,
            "data_sha256": self.data_digest,
            "pictures": len(self.images),
        }

    def _resume(self) -> None:
        path = self.checkpoint_path
        if not self.options.resume:
            raise OptionError(
                f"{str(path)!r} holds a run already: go on with it by --resume, "
                "or name another folder with --out"
            )
        saved = load_checkpoint(path)
        # An option that is younger than the run was what its default is.
        before = _recipe_fields(TrainOptions(data="", out=path))
        before |= {"init_sha256": "", "qat_sha256": "", "processes": 1}
        before |= {"pictures": len(self.images), **saved.recipe}
        differing = [k for k, v in self.recipe().items() if before.get(k) != v]
        if differing or saved.config != self.config:
            raise ModelError(
                f"{str(path)!r} was made by another recipe (it differs in "
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

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        options = self.options
        recipe = PairRecipe(
            scale=self.config.scale, seed=options.seed,
            augment=options.augment, degrade=options.degrade,
        )  # fmt: skip
        pairs = PairDataset(self.images, self.plan, recipe)
        planned = map(self.plan.batch, range(self.step, self.plan.steps))
        loader = DataLoader(
            pairs,
            # A rank without a share computes one pair all the same, for all take part in a gradient.
            batch_sampler=[self.ranks.share(batch) or batch[:1] for batch in planned],  # type: ignore[misc]  # a range is as good as a list
            num_workers=options.workers,
            worker_init_fn=leave_interrupts,
            pin_memory=self.device.type == "cuda",
        )
        for lr, hr in loader:
            yield self._to_device(lr), self._to_device(hr)

    def _to_device(self, images: Tensor) -> Tensor:
        images = images.to(self.device, torch.float32, non_blocking=True) / 255
        return images.contiguous(memory_format=torch.channels_last)

    def run(self) -> Path:
        """Train to the end and return the path of the final weights.

        A checkpoint is written before the first step, so that a folder that cannot be written to
        is known at once (SinkError). Raises TrainingError when the loss or its gradient stops being
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
            total=self.plan.steps, initial=self.step, unit="step", smoothing=0.05,
            disable=not self.ranks.first,
        ) as bar:  # fmt: skip
            try:
                for lr, hr in self._batches():
                    loss = self._step(lr, hr)
                    self.seconds = time.perf_counter() - start
                    with interrupt_held_back():
                        bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
                        bar.update()
                    if self.step % self.options.val_every == 0 or self.step == self.plan.steps:
                        self.ranks.on_first(functools.partial(self._validate_and_save, loss))
            except KeyboardInterrupt:
                self.ranks.on_first(self.save)
                self._say(f"stopped at step {self.step}; go on with --resume")
                raise

    def _step(self, lr: Tensor, hr: Tensor) -> float:
        """Train on this rank's share of a batch and return the loss of the whole batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        batch = self.plan.batch(self.step)
        share = len(self.ranks.share(batch)) / len(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            sr = self.model(lr)
        loss = loss_of(sr.float(), hr, self.options) * share
        self.optimiser.zero_grad(set_to_none=True)
        self.ranks.backward(loss)
        largest = self.options.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), largest)
        whole_loss, interrupted = self.ranks.total(loss.item())
        self._demand_finite(loss=whole_loss, gradient=norm.item())
        with interrupt_held_back():  # a step is taken and counted, or neither
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.net)
            self.step += 1
        if interrupted:
            raise KeyboardInterrupt
        return whole_loss

    def _demand_finite(self, **values: float) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"the {name} became {value} at step {self.step}; the last good state is in "
                    f"{str(self.checkpoint_path)!r}. Start again in another folder with a lower "
                    "--learning-rate"
                )

    def _validate_and_save(self, loss: float) -> None:
        net = deployed(self.net if self.average is None else self.average.module, self.grid)
        ours, floor = self.validation.measure(net)
        self.save()
        line = {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "loss": loss,
            "learning_rate": self.schedule.rate(self.step - 1),
            "psnr_y_db": ours,
            "bicubic_psnr_y_db": floor,
        }
        self.journal.write(line, self.validation.picture(net))
        self._say(
            f"step {self.step}: PSNR-Y {ours:.2f} dB, bicubic {floor:.2f} dB "
            f"({ours - floor:+.2f} dB), loss {loss:.4g}"
        )

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

    def _save_final(self) -> None:
        state = self._state(optimiser=False)
        final = dataclasses.replace(state, weights=state.average or state.weights, average={})
        save_checkpoint(final, self.final_path)
        if self.grid is not None:
            write_table(self.grid.table_of(final.network()), self.options.out / "calib.json")


def _recipe_fields(options: TrainOptions) -> dict[str, Any]:
    fields = {k: v for k, v in dataclasses.asdict(options).items() if k not in _FREE}
    return {**fields, "lr_sizes": list(options.lr_sizes)}
