"""Training the detector: composed scenes, one process, resumable to the bit."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
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
from idrn_trt.toolchain.detector.data import SceneDataset
from idrn_trt.toolchain.detector.losses import detection_loss
from idrn_trt.toolchain.detector.mine import hard_negatives
from idrn_trt.toolchain.detector.network import DetectorConfig, FaceDetector
from idrn_trt.toolchain.detector.pictures import read_pictures
from idrn_trt.toolchain.detector.scenes import Composer
from idrn_trt.toolchain.detector.validate import by_torch, measure, sheet
from idrn_trt.toolchain.distribute import interrupt_held_back, leave_interrupts
from idrn_trt.toolchain.journal import Journal
from idrn_trt.toolchain.schedule import Schedule, make_optimiser

# What may differ between two parts of one run without changing its weights.
_FREE = frozenset({"out", "resume", "workers", "data", "val_every", "init", "mine"})
_VALIDATION_SCENES = 150
_VALIDATION_SEED = 20190626


class DetectorTrainer:
    """One run: owns the network, the optimiser and the folder it writes to.

    `checkpoint.safetensors` is the newest state, `weights.safetensors` the final one without optimiser;
    log.jsonl and pictures/ are the journal's.
    """

    def __init__(self, options: DetectorOptions) -> None:
        self.options = options
        if options.threads:
            torch.set_num_threads(options.threads)
        self.pictures, held = read_pictures(options.data)
        composer = Composer(held, options.side_px, _VALIDATION_SEED)
        self.scenes = [composer(index) for index in range(_VALIDATION_SCENES)]
        torch.manual_seed(options.seed)
        self.net = FaceDetector(DetectorConfig())
        self.init_digest, self.hard = self._start_from_weights()
        self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
        # The same rules as for super-resolution, by the options that they read.
        rules = TrainOptions(
            data="", out=options.out, warmup_steps=options.warmup_steps,
            peak_learning_rate=options.peak_learning_rate,
        )  # fmt: skip
        self.schedule = Schedule(rules, options.steps, 1)
        self.optimiser = make_optimiser(self.net.parameters(), rules)
        rule = get_ema_multi_avg_fn(options.ema)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.average = AveragedModel(self.net, multi_avg_fn=rule, use_buffers=True)
        self.journal = Journal(options.out)
        self.step, self.seconds = 0, 0.0
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

    def recipe(self) -> dict[str, Any]:
        """All that decides the weights, as JSON values."""
        options = dataclasses.asdict(self.options)
        return {
            **{name: value for name, value in options.items() if name not in _FREE},
            "init_sha256": self.init_digest,
            "hard": self.hard,
            "data_sha256": self.pictures.digest(),
        }

    def _start_from_weights(self) -> tuple[str, list[str]]:
        """Load --init, if any: its file's sha256, and the hard negatives by these weights if wanted."""
        init = self.options.init
        if init is None:
            return "", []
        state = load_checkpoint(init)
        load_weights(self.net, state.average or state.weights)
        digest = hashlib.sha256(init.read_bytes()).hexdigest()
        if not self.options.mine or self.checkpoint_path.exists():
            return digest, []
        hard = hard_negatives(self.net, self.pictures.backgrounds)
        tqdm.write(
            f"{len(hard)} of {len(self.pictures.backgrounds)} backgrounds are hard negatives"
        )
        return digest, hard

    def _resume(self) -> None:
        path = self.checkpoint_path
        if not self.options.resume:
            raise OptionError(
                f"{str(path)!r} holds a run already: go on with it by --resume, "
                "or name another folder with --out"
            )
        saved = load_checkpoint(path)
        self.hard = list(saved.recipe.get("hard", []))
        differing = [k for k, v in self.recipe().items() if saved.recipe.get(k) != v]
        if differing or saved.config != self.net.config:
            raise ModelError(
                f"{str(path)!r} was made by another recipe (it differs in "
                f"{', '.join(differing) or 'the network'}): resume with the same options, "
                "or name another folder with --out"
            )
        load_weights(self.net, saved.weights)
        load_weights(self.average.module, saved.average)
        self.step = int(saved.progress["step"])
        self.seconds = float(saved.progress["seconds"])
        self.average.n_averaged.fill_(self.step)
        if self.step:
            restore_optimiser(self.net, self.optimiser, saved.optimiser)

    def _batches(self) -> Iterator[list[Tensor]]:
        options = self.options
        hard = [p.pixels for p in self.pictures.backgrounds if p.name in set(self.hard)]
        scenes = SceneDataset(Composer(self.pictures, options.side_px, options.seed, hard))
        size = options.batch
        planned = (
            range(step * size, (step + 1) * size) for step in range(self.step, options.steps)
        )
        yield from DataLoader(
            scenes,
            batch_sampler=planned,  # type: ignore[arg-type]  # a range is as good as a list
            num_workers=options.workers,
            worker_init_fn=leave_interrupts,
        )

    def run(self) -> Path:
        """Train to the end and return the path of the final weights.

        Raises TrainingError when the loss stops being finite; the newest checkpoint is then the last good
        state. KeyboardInterrupt saves a checkpoint and goes on to the caller.
        """
        with contextlib.closing(self.journal):
            if self.step == 0:
                self.save()
            self._train()
            final = self._state(optimiser=False)
            save_checkpoint(
                dataclasses.replace(final, weights=final.average, average={}), self.final_path
            )
        return self.final_path

    def _train(self) -> None:
        start = time.perf_counter() - self.seconds
        options = self.options
        with tqdm(total=options.steps, initial=self.step, unit="step", smoothing=0.05) as bar:
            try:
                for pixels, *wanted in self._batches():
                    score, box = self._step(pixels, wanted)
                    self.seconds = time.perf_counter() - start
                    with interrupt_held_back():
                        bar.set_postfix(score=f"{score:.4g}", box=f"{box:.4g}", refresh=False)
                        bar.update()
                    if self.step % options.val_every == 0 or self.step == options.steps:
                        self._validate_and_save(score, box)
            except KeyboardInterrupt:
                self.save()
                tqdm.write(f"stopped at step {self.step}; go on with --resume")
                raise

    def _step(self, pixels: Tensor, wanted: list[Tensor]) -> tuple[float, float]:
        self.net.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        x = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            answer = self.net(x)
        score, box = detection_loss(answer, *wanted)
        self.optimiser.zero_grad(set_to_none=True)
        (score + box).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip_norm)
        losses = score.item(), box.item()
        if not all(map(math.isfinite, losses)):
            raise TrainingError(
                f"the losses became {losses} at step {self.step}; the last good state is in "
                f"{str(self.checkpoint_path)!r}. Start again in another folder with a lower --learning-rate"
            )
        with interrupt_held_back():  # a step is taken and counted, or neither
            self.optimiser.step()
            self.average.update_parameters(self.net)
            self.step += 1
        return losses

    def _validate_and_save(self, score: float, box: float) -> None:
        answer = by_torch(self.average.module)
        figures = measure(answer, self.scenes)
        self.save()
        line = {
            "step": self.step, "seconds": round(self.seconds, 1),
            "score_loss": score, "box_loss": box, **figures,
        }  # fmt: skip
        self.journal.write(line, sheet(answer, self.scenes))
        text = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        tqdm.write(f"step {self.step}: {text}")

    def _state(self, *, optimiser: bool) -> Checkpoint:
        return Checkpoint(
            config=self.net.config,
            weights=dict(self.net.state_dict()),
            optimiser=optimiser_state(self.net, self.optimiser) if optimiser else {},
            recipe=self.recipe(),
            progress={"step": self.step, "seconds": self.seconds},
            average=dict(self.average.module.state_dict()),
        )

    def save(self) -> None:
        """Write the newest checkpoint."""
        save_checkpoint(self._state(optimiser=True), self.checkpoint_path)
