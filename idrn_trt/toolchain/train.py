"""Training, in its simplest honest form: resumable to the bit, on one device or several.

The recipe is in the options: options.RECIPES names the paper's and ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.checkpoint import load_weights
from idrn_trt.toolchain.crops import Crops, open_crops
from idrn_trt.toolchain.data import PairDataset, PairRecipe
from idrn_trt.toolchain.distribute import Ranks
from idrn_trt.toolchain.net import IDRN
from idrn_trt.toolchain.networks import Config, build, parse_network
from idrn_trt.toolchain.plan import Plan, by_epochs, by_steps
from idrn_trt.toolchain.qat import deployed, read_grid
from idrn_trt.toolchain.run import Run, Validated
from idrn_trt.toolchain.schedule import Schedule, loss_of
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


class Trainer(Run):
    """The run that trains a network to enlarge."""

    options: TrainOptions
    config: Config

    def __init__(self, options: TrainOptions, ranks: Ranks | None = None) -> None:
        self.config = parse_network(options.network)
        super().__init__(options, ranks or Ranks(options))
        self.ranks.in_turn(self._read_data)
        with self.ranks.together():
            self._start()
        self.ranks.demand_equal({**self.recipe(), "step": self.step})
        self.model = self.ranks.wrap(deployed(self.net, self.grid))

    def _start(self) -> None:
        torch.manual_seed(self.options.seed)
        net = build(self.config)
        self.init_digest = self._start_from_weights(net)
        self._own(net)
        self.grid = read_grid(self.options, self.net)
        saved = self._saved()
        if saved is not None:
            # An option that is younger than the run was what its default is.
            before = _recipe_fields(TrainOptions(data="", out=self.options.out))
            before |= {"init_sha256": "", "qat_sha256": "", "processes": 1}
            self._go_on(saved, {**before, "pictures": len(self.images), **saved.recipe})

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

    def _start_from_weights(self, net: nn.Module) -> str:
        """Load --init, if any, and return the sha256 of its file."""
        if self.options.init is None:
            return ""
        config, weights = read_weights(self.options.init)
        if config != self.config and isinstance(net, IDRN):
            weights = transferred(config, weights, net)
        load_weights(net, weights)
        return hashlib.sha256(weights_file(self.options.init).read_bytes()).hexdigest()

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

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        options = self.options
        recipe = PairRecipe(
            scale=self.config.scale, seed=options.seed,
            augment=options.augment, degrade=options.degrade,
        )  # fmt: skip
        planned = map(self.plan.batch, range(self.step, self.plan.steps))
        # A rank without a share computes one pair all the same, for all take part in a gradient.
        shares = [self.ranks.share(batch) or batch[:1] for batch in planned]
        for lr, hr in self._loader(PairDataset(self.images, self.plan, recipe), shares):
            yield self._to_device(lr), self._to_device(hr)

    def _losses(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        lr, hr = batch
        whole = self.plan.batch(self.step)
        share = len(self.ranks.share(whole)) / len(whole)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            sr = self.model(lr)
        return {"loss": loss_of(sr.float(), hr, self.options) * share}

    def _validate(self) -> Validated:
        net = deployed(self._result(), self.grid)
        ours, floor = self.validation.measure(net)
        figures = {
            "learning_rate": self.schedule.rate(self.step - 1),
            "psnr_y_db": ours,
            "bicubic_psnr_y_db": floor,
        }
        words = f"PSNR-Y {ours:.2f} dB, bicubic {floor:.2f} dB ({ours - floor:+.2f} dB)"
        return Validated(figures, self.validation.picture(net), words)

    def _save_final(self) -> None:
        super()._save_final()
        if self.grid is not None:
            table = self.grid.table_of(self._final().network())
            write_table(table, self.options.out / "calib.json")


def _recipe_fields(options: TrainOptions) -> dict[str, Any]:
    fields = {k: v for k, v in dataclasses.asdict(options).items() if k not in _FREE}
    return {**fields, "lr_sizes": list(options.lr_sizes)}
