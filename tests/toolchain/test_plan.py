"""Plans: which samples a step has, at which size."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.toolchain.plan import Plan, by_epochs, by_steps


def check_numbering(plan: Plan) -> None:
    """Every sample is in one step, and counted on among those of its size."""
    samples = [sample for step in range(plan.steps) for sample in plan.batch(step)]
    assert samples == list(range(plan.samples))
    seen: dict[int, int] = {}
    for step in range(plan.steps):
        for sample in plan.batch(step):
            lr_px, ordinal = plan.locate(sample)
            assert lr_px == plan.lr_px[step]
            assert ordinal == seen.get(lr_px, 0)
            seen[lr_px] = ordinal + 1


def test_steps_of_one_size() -> None:
    """Without sizes each step has the batch at the run's size, and a sample's place is its number."""
    plan = by_steps(10, 16, 32)
    check_numbering(plan)
    assert plan.samples == 160
    assert plan.batch(3) == range(48, 64)
    assert plan.locate(63) == (32, 63)


def test_sizes_are_drawn_and_batches_fit_them() -> None:
    """Every size comes up about as often, with batches of about equal pixels, none of them empty."""
    plan = by_steps(400, 16, 32, sizes=(24, 32, 64, 128), seed=1)
    check_numbering(plan)
    counts = {size: {len(plan.batch(k)) for k in np.flatnonzero(plan.lr_px == size)}
              for size in (24, 32, 64, 128)}  # fmt: skip
    assert counts == {24: {28}, 32: {16}, 64: {4}, 128: {1}}
    assert all(70 < (plan.lr_px == size).sum() < 130 for size in counts)


def test_sizes_follow_the_seed() -> None:
    """One seed gives one plan."""
    plans = [by_steps(50, 4, 32, sizes=(24, 48), seed=seed).lr_px.tolist() for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize(("pictures", "steps"), [(23_000, 1438), (32, 2), (33, 3), (5, 1)])
def test_an_epoch_is_every_picture_once(pictures: int, steps: int) -> None:
    """An epoch has ceil(pictures / 16) batches, 1,438 of the paper's 23,000, the last one of the rest."""
    plan = by_epochs(2, 16, 32, pictures)
    assert plan.steps == 2 * steps
    assert plan.samples == 2 * pictures
    assert plan.batch(steps).start == pictures
    if pictures < 100:
        check_numbering(plan)


def test_the_papers_run_has_its_number_of_batches() -> None:
    """120 epochs over 23,000 pictures are the 172,560 batches of section 3.1."""
    assert by_epochs(120, 16, 32, 23_000).steps == 172_560
