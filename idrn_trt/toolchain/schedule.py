"""What a recipe does at each step: the learning rate, the loss, the optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from idrn_trt.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate of a run of `steps` steps in all, `epoch_steps` of which are an epoch."""

    options: TrainOptions
    steps: int
    epoch_steps: int

    def rate(self, step: int) -> float:
        """The rate of optimiser step `step`, from 0.

        After a linear warm-up "cosine" is half a cosine down to 1 %, and "step" is multiplied by `decay`
        every `decay_epochs` epochs.
        """
        options = self.options
        if step < options.warmup_steps:
            return options.peak_learning_rate * (step + 1) / options.warmup_steps
        if options.schedule == "step":
            times = step // self.epoch_steps // options.decay_epochs
            return float(options.peak_learning_rate * options.decay**times)
        share = (step - options.warmup_steps) / max(1, self.steps - options.warmup_steps)
        return options.peak_learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def make_optimiser(
    parameters: Iterable[nn.Parameter], options: TrainOptions
) -> torch.optim.Optimizer:
    """Adam, its first moment decaying by `momentum` and its second by 0.999; or SGD with momentum."""
    rate = options.peak_learning_rate
    if options.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=options.momentum)
    return torch.optim.Adam(parameters, lr=rate, betas=(options.momentum, 0.999))


def loss_of(sr: Tensor, hr: Tensor, options: TrainOptions) -> Tensor:
    """Absolute or squared error of two batches (N, 3, H, W), a scalar.

    "mean" is over everything; "sum", the paper's Eq. (2) as written, over pixels and channels, with a
    mean over the batch only.
    """
    error = nn.functional.l1_loss if options.loss == "l1" else nn.functional.mse_loss
    mean = error(sr, hr)
    return mean if options.reduction == "mean" else mean * hr[0].numel()
