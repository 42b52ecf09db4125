"""Training, in its simplest honest form: one process, one device, resumable to the bit.

Recipe: L1 loss, Adam, warm-up then cosine decay, gradients clipped, bfloat16 autocast,
channels-last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from idrn_trt.errors import ModelError, OptionError, SinkError, TrainingError
from idrn_trt.options import TrainOptions
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair
from idrn_trt.toolchain import data
from idrn_trt.toolchain.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    optimiser_state,
    restore_optimiser,
    save_checkpoint,
)
from idrn_trt.toolchain.net import IDRN, NetConfig

# What may differ between two parts of one run without changing its weights.
_FREE = frozenset({"out", "resume", "workers", "data", "val_data", "val_every"})


def learning_rate(step: int, options: TrainOptions) -> float:
    """The rate of optimiser step `step` (from 0): linear warm-up, then half a cosine to 1 %."""
    if step < options.warmup_steps:
        return options.peak_learning_rate * (step + 1) / options.warmup_steps
    share = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
    return options.peak_learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


@torch.no_grad()
def upscale(net: IDRN, lr: data.UInt8) -> data.UInt8:
    """One picture through the network in float32: uint8 RGB (h, w, 3) -> (s*h, s*w, 3)."""
    # A copy, because torch wants memory it may write to and Pillow's is read-only.
    x = torch.from_numpy(np.array(lr, order="C")).to(next(net.parameters())).permute(2, 0, 1)[None]
    y = (net(x / 255)[0].permute(1, 2, 0) * 255).round_().clamp_(0, 255)
    sr: data.UInt8 = y.to(torch.uint8).cpu().numpy()
    return sr


def validate(net: IDRN, images: list[data.UInt8], lr_px: int) -> tuple[float, float]:
    """(ours, bicubic): mean PSNR-Y in dB over whole face crops, LR lr_px by Pillow's bicubic."""
    net.eval()
    ours, floor = [], []
    for pixels in images:
        lr, hr = evaluation_pair(pixels, net.config.scale, lr_px)
        ours.append(psnr_y(upscale(net, lr), hr))
        floor.append(psnr_y(bicubic_up(lr, net.config.scale), hr))
    net.train()
    return float(np.mean(ours)), float(np.mean(floor))


class Trainer:
    """One run: owns the network, the optimiser and the folder it writes to.

    `checkpoint.safetensors` is the newest state, `weights.safetensors` the final one without
    optimiser, `log.jsonl` one line a validation.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.config = NetConfig.parse(options.network)
        self.device = _device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self._read_data()
        torch.manual_seed(options.seed)
        self.net = IDRN(self.config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=options.peak_learning_rate)
        self.step = 0
        self.seconds = 0.0
        if self.checkpoint_path.exists():
            self._resume()

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest state is kept."""
        return self.options.out / "checkpoint.safetensors"

    def _read_data(self) -> None:
        options = self.options
        smallest = options.lr_px * self.config.scale
        pictures = data.read_folder(data.parse_spec(options.data), smallest)
        if options.val_data is None:
            train, held = data.hold_out(len(pictures.images), options.val_share, options.seed)
            self.images = [pictures.images[i] for i in train]
            self.val_images = [pictures.images[i] for i in held]
        else:
            self.images = pictures.images
            self.val_images = data.read_folder(data.parse_spec(options.val_data), smallest).images
        self.data_digest = pictures.digest
        tqdm.write(
            f"{len(self.images)} pictures to train on, {len(self.val_images)} to validate on, "
            f"{len(pictures.left_out)} left out"
        )
        for name, reason in pictures.left_out.items():
            tqdm.write(f"left out: {name}: {reason}")

    def recipe(self) -> dict[str, Any]:
        """All that decides the weights, as JSON values."""
        fields = dataclasses.asdict(self.options)
        kept = {k: v for k, v in fields.items() if k not in _FREE}
        return {**kept, "device": self.device.type, "data_sha256": self.data_digest}

    def _resume(self) -> None:
        path = self.checkpoint_path
        if not self.options.resume:
            raise OptionError(
                f"{str(path)!r} holds a run already: go on with it by --resume, "
                "or name another folder with --out"
            )
        saved = load_checkpoint(path)
        differing = [k for k, v in self.recipe().items() if saved.recipe.get(k) != v]
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

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        options = self.options
        samples = options.steps * options.batch
        pairs = data.PairDataset(
            self.images, self.config.scale, options.lr_px, samples, options.seed
        )
        rest = Subset(pairs, range(self.step * options.batch, samples))
        for lr, hr in DataLoader(rest, batch_size=options.batch, num_workers=options.workers):
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
        options = self.options
        if self.step == 0:
            self.save()
        self.net.train()
        start = time.perf_counter() - self.seconds
        with tqdm(total=options.steps, initial=self.step, unit="step", smoothing=0.05) as bar:
            try:
                for lr, hr in self._batches():
                    loss = self._step(lr, hr)
                    self.seconds = time.perf_counter() - start
                    bar.update()
                    bar.set_postfix(loss=f"{loss:.4f}")
                    if self.step % options.val_every == 0 or self.step == options.steps:
                        bar.write(self._validate_and_save(loss))
            except KeyboardInterrupt:
                self.save()
                bar.write(f"stopped at step {self.step}; go on with --resume")
                raise
        final = options.out / "weights.safetensors"
        save_checkpoint(self._state(optimiser=False), final)
        return final

    def _step(self, lr: Tensor, hr: Tensor) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.options)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16):
            sr = self.net(lr)
        loss = torch.nn.functional.l1_loss(sr.float(), hr)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip_norm)
        self._demand_finite(loss=loss.item(), gradient=norm.item())
        with _interrupt_held_back():  # a step is taken and counted, or neither
            self.optimiser.step()
            self.step += 1
        return loss.item()

    def _demand_finite(self, **values: float) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"the {name} became {value} at step {self.step}; the last good state is in "
                    f"{str(self.checkpoint_path)!r}. Start again in another folder with a lower "
                    "--learning-rate"
                )

    def _validate_and_save(self, loss: float) -> str:
        ours, floor = validate(self.net, self.val_images, self.options.lr_px)
        self.save()
        line = {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "loss": loss,
            "psnr_y_db": ours,
            "bicubic_psnr_y_db": floor,
        }
        path = self.options.out / "log.jsonl"
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise SinkError(f"cannot write training log {str(path)!r}: {error}") from error
        return (
            f"step {self.step}: PSNR-Y {ours:.2f} dB, bicubic {floor:.2f} dB "
            f"({ours - floor:+.2f} dB), loss {loss:.4f}"
        )

    def _state(self, *, optimiser: bool) -> Checkpoint:
        return Checkpoint(
            config=self.config,
            weights=dict(self.net.state_dict()),
            optimiser=optimiser_state(self.net, self.optimiser) if optimiser else {},
            recipe=self.recipe(),
            progress={"step": self.step, "seconds": self.seconds},
        )

    def save(self) -> None:
        """Write the newest checkpoint."""
        save_checkpoint(self._state(optimiser=True), self.checkpoint_path)


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Ctrl-C during the block is raised at its end. Outside the main thread none can arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        raise KeyboardInterrupt


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"training device {name!r} is not usable here: {error}") from error
    return device
