"""The learning rate of each step, the loss, and the optimisers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from idrn_trt.options import RECIPES, TrainOptions
from idrn_trt.toolchain.schedule import Schedule, loss_of, make_optimiser


def options(**changes: Any) -> TrainOptions:
    """Options that nobody reads data or writes files by."""
    return TrainOptions(data="folder:x", out=Path("x"), **changes)


def test_learning_rate_warms_up_and_decays() -> None:
    """The rate rises linearly to the peak, then falls along half a cosine to 1 % of it."""
    schedule = Schedule(options(warmup_steps=10, peak_learning_rate=1.0), 110, 7)
    rates = [schedule.rate(step) for step in range(111)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx((1 + 0.01) / 2)
    assert rates[110] == pytest.approx(0.01)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(("steps", "warmup_steps"), [(1, 0), (3, 3), (3, 200)])
def test_learning_rate_of_short_runs(steps: int, warmup_steps: int) -> None:
    """A run shorter than its warm-up, or of one step, has a rate above 0 and up to the peak."""
    run = options(warmup_steps=warmup_steps)
    schedule = Schedule(run, steps, 1)
    assert all(0 < schedule.rate(step) <= run.peak_learning_rate for step in range(steps))


@pytest.mark.parametrize(
    ("recipe", "epochs", "rates"),
    [
        ("paper", (0, 29, 30, 60, 119), (1e-4, 1e-4, 0.9e-4, 0.81e-4, 0.729e-4)),
        ("paper-sgd", (0, 50, 119), (1e-4, 1e-4, 1e-4)),
        ("paper-sgd-step", (0, 19, 20, 40, 119), (1e-4, 1e-4, 1e-5, 1e-6, 1e-9)),
    ],
)
def test_the_papers_rates(recipe: str, epochs: tuple[int, ...], rates: tuple[float, ...]) -> None:
    """x0.9 every 30 epochs; fixed; x0.1 every 20 epochs: from the first to the last step of an epoch."""
    schedule = Schedule(options(**RECIPES[recipe]), 172_560, 1438)
    for epoch, rate in zip(epochs, rates, strict=True):
        assert schedule.rate(epoch * 1438) == pytest.approx(rate)
        assert schedule.rate(epoch * 1438 + 1437) == pytest.approx(rate)


def test_losses_are_as_written() -> None:
    """Each loss against the formula: a mean over everything, or a sum a picture, mean over the batch."""
    torch.manual_seed(0)
    sr, hr = torch.rand(5, 3, 4, 6), torch.rand(5, 3, 4, 6)
    error = sr - hr
    expected = {
        ("l1", "mean"): error.abs().mean(),
        ("mse", "mean"): error.square().mean(),
        ("l1", "sum"): error.abs().sum() / 5,
        ("mse", "sum"): error.square().sum() / 5,
    }
    for (loss, reduction), value in expected.items():
        got = loss_of(sr, hr, options(loss=loss, reduction=reduction))
        assert torch.allclose(got, value, rtol=1e-5)


def test_optimisers_have_the_momentum_asked_for() -> None:
    """Momentum is Adam's first moment's decay and SGD's momentum; one step of each is by its formula."""
    for name in ("adam", "sgd"):
        weight = nn.Parameter(torch.tensor([1.0]))
        optimiser = make_optimiser([weight], options(optimiser=name, peak_learning_rate=0.1))
        for gradient in (2.0, -1.0):
            weight.grad = torch.tensor([gradient])
            optimiser.step()
        if name == "sgd":  # v = 2, then 0.9 * 2 - 1
            assert weight.item() == pytest.approx(1 - 0.1 * 2 - 0.1 * 0.8)
        else:  # the first step of Adam is the rate; the second m / (1 - 0.81) over sqrt(v / (1 - 0.998001))
            m, v = 0.9 * 0.2 - 0.1, 0.999 * 0.004 + 0.001
            second = 0.1 * (m / 0.19) / (v / (1 - 0.999**2)) ** 0.5
            assert weight.item() == pytest.approx(0.9 - second, rel=1e-5)
