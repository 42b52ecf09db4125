"""Two reports against each other, on samples whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from idrn_trt.bench.compare import compare, ratio
from idrn_trt.bench.measure import Samples

Make = Callable[..., dict[str, Any]]


def times(median_ms: float, seed: int, blocks: int = 20, share: float = 0.02) -> list[list[float]]:
    """Blocks of ten calls around a median; `share` is how far apart."""
    rng = np.random.default_rng(seed)
    found: list[list[float]] = (median_ms * rng.normal(1, share, (blocks, 10))).tolist()
    return found


def verdict(make: Make, a: list[list[float]], b: list[list[float]]) -> str:
    """The verdict on the one row."""
    return compare(make(a), make(b), 1.10).lines[0].verdict


def test_the_same_samples_are_no_difference(make_report: Make) -> None:
    """A report against itself: ratio 1, nothing claimed, nothing failed, nothing differing."""
    report = make_report(times(5, 0))
    found = compare(report, report, 1.10)
    assert found.lines[0].ratio is not None
    assert found.lines[0].ratio.value == 1
    assert (found.lines[0].verdict, found.failed, found.differing) == ("no difference", [], [])


@pytest.mark.parametrize("seed", range(20))
def test_the_same_build_measured_twice_is_no_difference(make_report: Make, seed: int) -> None:
    """Two draws from one distribution are never called slower or faster."""
    assert verdict(make_report, times(5, seed), times(5, 1000 + seed)) == "no difference"


@pytest.mark.parametrize("seed", range(20))
def test_a_build_slowed_by_15_per_cent_is_caught(make_report: Make, seed: int) -> None:
    """The slower build is named, its whole interval is above the limit of 1.10."""
    found = compare(make_report(times(5, seed)), make_report(times(5.75, 1000 + seed)), 1.10)
    line = found.lines[0]
    assert line.verdict == "slower"
    assert found.failed == ["m openvino int8"]
    assert line.ratio is not None
    assert line.ratio.low > 1.10


def test_a_faster_build_is_said_to_be_and_does_not_fail(make_report: Make) -> None:
    """The other way round the verdict is faster."""
    found = compare(make_report(times(5.75, 0)), make_report(times(5, 1)), 1.10)
    assert (found.lines[0].verdict, found.failed) == ("faster", [])


def test_slower_within_the_limit_does_not_fail(make_report: Make) -> None:
    """6 % slower is slower, and below 1.10."""
    found = compare(make_report(times(5, 0)), make_report(times(5.3, 1)), 1.10)
    assert (found.lines[0].verdict, found.failed) == ("slower", [])


def test_a_machine_that_moved_covers_as_much(make_report: Make) -> None:
    """8 % is no difference where the control itself moved by 9 %."""
    a = make_report(times(5, 0), control={"blocks_ms": times(8, 2)})
    b = make_report(times(5.4, 1), control={"blocks_ms": times(8.72, 3)})
    assert compare(a, b, 1.10).lines[0].verdict == "no difference"


def test_a_wide_spread_is_unclear(make_report: Make) -> None:
    """Blocks that scatter by half say neither equal nor slower."""
    wide = [[m] * 10 for m in (3.0, 4.0, 5.0, 6.0, 8.0)]
    assert verdict(make_report, wide, [[1.06 * v for v in block] for block in wide]) == "unclear"


def test_a_run_disturbed_half_the_time_claims_nothing(make_report: Make) -> None:
    """Half of A's blocks took twice as long: B, half as long as A's median, is not called faster."""
    disturbed = times(5, 0, blocks=11) + times(10, 1, blocks=13)
    assert verdict(make_report, disturbed, times(5, 2)) == "unclear"


def test_two_blocks_are_too_few(make_report: Make) -> None:
    """However far apart, two blocks claim nothing."""
    assert verdict(make_report, times(5, 0, blocks=2), times(9, 1, blocks=2)) == "unclear"


def test_a_row_that_works_no_more_fails(make_report: Make) -> None:
    """A row with times in A and a reason in B is a failure that quotes the reason."""
    found = compare(make_report(times(5, 0)), make_report([], reason="no module"), 1.10)
    assert (found.lines[0].verdict, found.lines[0].reason) == ("failed", "no module")
    assert found.failed == ["m openvino int8"]


def test_a_row_without_times_in_either_report_is_left_out(make_report: Make) -> None:
    """What neither machine could run is nothing to compare."""
    a, b = make_report([], reason="no module"), make_report([], reason="no module")
    found = compare(a, b, 1.10)
    assert (found.lines, found.failed) == ([], [])


def test_rows_of_one_report_only_are_listed(make_report: Make) -> None:
    """A row that the other report lacks is said to be there, and is no failure."""
    a, b = make_report(times(5, 0)), make_report(times(5, 1))
    b["rows"][0]["engine"] = "onnxruntime"
    found = compare(a, b, 1.10)
    assert [line.verdict for line in found.lines] == ["only in A", "only in B"]
    assert found.failed == []


def test_other_conditions_are_told(make_report: Make) -> None:
    """Threads, machine, versions and model files that differ are all named."""
    a = make_report(times(5, 0), versions={"openvino": "1"})
    b = make_report(times(5, 0), versions={"openvino": "2"}, machine={"model": "another"})
    b["conditions"] = {**b["conditions"], "threads": 1}
    b["rows"][0]["sha256"] = "b" * 64
    assert compare(a, b, 1.10).differing == [
        "threads: 2, 1", "machine: a processor, another", "openvino: 1, 2",
        f"file of m openvino int8: {'a' * 12}, {'b' * 12}",
    ]  # fmt: skip


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Over 200 pairs with the true ratio 1.2 the 95 % interval holds it in 90 % of them or more."""
    held = 0
    for seed in range(200):
        a, b = Samples.of(times(5, seed, 15)), Samples.of(times(6, 10_000 + seed, 15))
        found = ratio(a, b)
        held += found.low <= 1.2 <= found.high
    assert held >= 180
