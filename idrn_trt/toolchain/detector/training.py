"""Training the detector: composed scenes, one process, resumable to the bit."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from idrn_trt.options import DetectorOptions, TrainOptions
from idrn_trt.toolchain.checkpoint import load_checkpoint, load_weights
from idrn_trt.toolchain.detector.data import SceneDataset
from idrn_trt.toolchain.detector.losses import detection_loss
from idrn_trt.toolchain.detector.mine import hard_negatives
from idrn_trt.toolchain.detector.network import DetectorConfig, FaceDetector
from idrn_trt.toolchain.detector.pictures import read_pictures
from idrn_trt.toolchain.detector.scenes import Composer
from idrn_trt.toolchain.detector.validate import by_torch, measure, sheet
from idrn_trt.toolchain.distribute import Ranks
from idrn_trt.toolchain.run import Run, Validated
from idrn_trt.toolchain.schedule import Schedule

# What may differ between two parts of one run without changing its weights.
_FREE = frozenset({"out", "resume", "workers", "data", "val_every", "init", "mine"})
_VALIDATION_SCENES = 150
_VALIDATION_SEED = 20190626


class DetectorTrainer(Run):
    """The run that trains the face detector, in one process on the CPU."""

    options: DetectorOptions

    def __init__(self, options: DetectorOptions) -> None:
        # The same rules as for super-resolution, by the options that they read.
        rules = TrainOptions(
            data="", out=options.out, warmup_steps=options.warmup_steps,
            peak_learning_rate=options.peak_learning_rate, device="cpu",
        )  # fmt: skip
        super().__init__(options, Ranks(rules))
        self.schedule = Schedule(rules, options.steps, 1)
        self.pictures, held = read_pictures(options.data)
        composer = Composer(held, options.side_px, _VALIDATION_SEED)
        self.scenes = [composer(index) for index in range(_VALIDATION_SCENES)]
        torch.manual_seed(options.seed)
        self.config = DetectorConfig()
        net = FaceDetector(self.config)
        self.init_digest = self._start_from_weights(net)
        saved = self._saved()
        self.hard = self._mined(net) if saved is None else list(saved.recipe.get("hard", []))
        self._own(net)
        if saved is not None:
            self._go_on(saved, saved.recipe)

    def recipe(self) -> dict[str, Any]:
        """All that decides the weights, as JSON values."""
        options = dataclasses.asdict(self.options)
        return {
            **{name: value for name, value in options.items() if name not in _FREE},
            "init_sha256": self.init_digest,
            "hard": self.hard,
            "data_sha256": self.pictures.digest(),
        }

    def _start_from_weights(self, net: nn.Module) -> str:
        """Load --init, if any, and return the sha256 of its file."""
        init = self.options.init
        if init is None:
            return ""
        state = load_checkpoint(init)
        load_weights(net, state.average or state.weights)
        return hashlib.sha256(init.read_bytes()).hexdigest()

    def _mined(self, net: nn.Module) -> list[str]:
        """The hard negatives by the weights of --init, where they are wanted."""
        if not self.options.mine:
            return []
        hard = hard_negatives(net, self.pictures.backgrounds)
        self._say(f"{len(hard)} of {len(self.pictures.backgrounds)} backgrounds are hard negatives")
        return hard

    def _batches(self) -> Iterator[Sequence[Tensor]]:
        options = self.options
        hard = [p.pixels for p in self.pictures.backgrounds if p.name in set(self.hard)]
        scenes = SceneDataset(Composer(self.pictures, options.side_px, options.seed, hard))
        size = options.batch
        planned = (
            range(step * size, (step + 1) * size) for step in range(self.step, options.steps)
        )
        yield from self._loader(scenes, planned)

    def _losses(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        pixels, *wanted = batch
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            answer = self.net(self._to_device(pixels))
        score, box = detection_loss(answer, *wanted)
        return {"score_loss": score, "box_loss": box}

    def _validate(self) -> Validated:
        answer = by_torch(self._result())
        figures = measure(answer, self.scenes)
        words = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        return Validated(figures, sheet(answer, self.scenes), words)
