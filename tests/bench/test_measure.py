"""Statistics on samples that are known, and the structure of taking turns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from idrn_trt.bench import measure
from idrn_trt.bench.measure import (
    CONTROL,
    Interrupted,
    OwnClock,
    Samples,
    block_size,
    interleave,
)

pytestmark = pytest.mark.usefixtures("hurried")


def test_figures_of_known_times() -> None:
    """Percentiles, extremes, mean and number of calls are those of the numbers 1 to 100."""
    samples = Samples.of(np.arange(1.0, 101).reshape(10, 10))
    assert samples.to_dict((50, 90)) == {
        "p50_ms": 50.5, "p90_ms": 90.1, "min_ms": 1.0, "mean_ms": 50.5, "max_ms": 100.0,
        "outliers": 0, "spread": 1.4257, "calls": 100,
    }  # fmt: skip
    assert samples.blocks.tolist() == [10 * k + 5.5 for k in range(10)]


def test_the_spread_is_between_blocks_not_within_them() -> None:
    """Calls that scatter alike in every block leave the spread at zero; blocks that drift raise it."""
    scattered = Samples.of([[1.0, 2.0, 3.0]] * 5)
    drifting = Samples.of([[float(k)] * 3 for k in range(10, 21)])
    assert scattered.spread == 0
    assert drifting.spread == pytest.approx((19 - 11) / 15)


def test_outliers_are_counted() -> None:
    """A call of more than twice the median counts, one of twice does not."""
    assert Samples.of([[1.0, 1.0, 1.0, 2.0, 2.1, 30.0, 1.0]]).outliers == 2


def test_a_report_gives_the_samples_back() -> None:
    """blocks_ms keeps every call by block, to a tenth of a microsecond."""
    samples = Samples.of([[1.23456, 2.0], [3.0, 4.0]])
    assert samples.blocks_ms() == [[1.2346, 2.0], [3.0, 4.0]]
    assert Samples.of(samples.blocks_ms()).blocks.tolist() == [1.6173, 3.5]


def test_a_spent_budget_still_takes_the_least_rounds() -> None:
    """With no time at all every case has LEAST_ROUNDS blocks: enough to say how far they lie apart."""
    taken = interleave({"a": lambda: None}, rounds=50, block=4, warm=0, budget_s=0)
    assert {name: len(s.blocks) for name, s in taken.items()} == dict.fromkeys(
        ("a", CONTROL), measure.LEAST_ROUNDS
    )


def test_rounds_bound_a_budget_that_never_ends() -> None:
    """An endless budget stops at the number of rounds, with whole blocks of the size asked for."""
    taken = interleave({"a": lambda: None}, rounds=5, block=4, warm=2, budget_s=1e9)
    assert taken["a"].ms.reshape(5, -1).shape == (5, 4)


@pytest.mark.parametrize(
    ("done", "spent_s", "more"), [(2, 1e9, True), (3, 3.0, True), (3, 3.1, False), (9, 3.6, True)]
)
def test_a_round_is_begun_only_if_it_ends_in_time(done: int, spent_s: float, *, more: bool) -> None:
    """One more round as long as those before must fit into 4 s, except for the least number."""
    assert measure._another(done, spent_s, 4.0) is more


@pytest.mark.parametrize(
    ("call_s", "calls"), [(1e-6, 10), (0.025, 10), (0.1, 2), (0.3, 1), (0, 10)]
)
def test_slow_cases_get_short_blocks(call_s: float, calls: int) -> None:
    """A block lasts at most BLOCK_S, has at least one call and at most those asked for."""
    assert block_size(call_s, 10) == calls


def test_no_case_always_follows_the_same_other() -> None:
    """The order of a round is the one before, turned by one."""
    order: list[str] = []
    cases: dict[str, Callable[[], object]] = {
        name: lambda name=name: order.append(name) for name in "abc"
    }
    interleave(cases, rounds=4, block=1, warm=0)
    assert "".join(order[9:]) == "abc" + "bca" + "cab" + "abc"


def test_a_clock_of_its_own_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples are that clock's times, not this process's, after calls that keep its device awake."""
    monkeypatch.setattr(measure, "WAKE_S", 1e-3)
    calls: list[int] = []
    clock = OwnClock(lambda: calls.append(1), lambda count: [1234.5] * count)
    taken = interleave({"gpu": clock, "cpu": lambda: None}, rounds=2, block=3, warm=0)
    assert taken["gpu"].blocks_ms() == [[1234.5] * 3] * 2
    assert taken["cpu"].p50 < 1234.5
    assert len(calls) > 3


def test_ctrl_c_hands_over_the_whole_blocks() -> None:
    """A Ctrl-C in the middle of a block is raised with the blocks before it, and only those."""
    calls = 0

    def case() -> None:
        nonlocal calls
        calls += 1
        if (
            calls == 3 + 2 * 5 + 3
        ):  # three to compile and settle, two blocks, three calls of the third
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        interleave({"a": case}, rounds=9, block=5, warm=0)
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert stopped.value.samples["a"].ms.shape == (10,)


def test_ctrl_c_before_the_first_block_hands_over_nothing() -> None:
    """A case that was not reached is left out instead of having no numbers."""

    def case() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        interleave({"a": case}, rounds=9)
    assert stopped.value.samples == {}
