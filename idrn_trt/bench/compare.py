"""Two reports against each other: by how much B is slower than A, and how sure that is.

Calls of one block share their moment of the machine, so blocks and not calls are what is independent:
the interval is a bootstrap over block medians. What two processes differ in besides the build (memory
layout, neighbours, clock) is in no interval of one run; the control, which is the same work in both,
shows how far the machine itself moved, and no difference is claimed below that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from idrn_trt.bench.document import measured, row_name
from idrn_trt.bench.measure import Samples

Verdict = Literal[
    "slower", "faster", "no difference", "unclear", "failed", "only in A", "only in B"
]

RESAMPLES = 4000
LEVEL = 0.95
# Two runs of one build on a quiet machine came out this far apart; less is never called a difference.
LEAST_DIFFERENCE = 0.02
# With fewer blocks an interval says nothing.
FEWEST_BLOCKS = 3
_SEED = 0


@dataclass(frozen=True, slots=True)
class Ratio:
    """Times of B over A: the ratio of medians, and its LEVEL interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the comparison; ratio is None where there are not two times."""

    name: str
    verdict: Verdict
    ratio: Ratio | None = None
    a_ms: float | None = None
    b_ms: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """lines: every row of A, then those only in B. control: how far the machine itself moved.

    differing: conditions that are not the same, as "threads: 1, 2". failed: names of the rows that are
    past the limit or no longer work.
    """

    lines: list[Line]
    control: Ratio | None
    differing: list[str]
    failed: list[str]


def compare(a: Mapping[str, Any], b: Mapping[str, Any], fail_over: float) -> Comparison:
    """Every row, by name, that either report has times of.

    A row fails when it is slower by more than `fail_over`.
    """
    control = _control(a, b)
    floor = max(LEAST_DIFFERENCE, abs(control.value - 1) if control else 0.0)
    before, after = _by_name(a), _by_name(b)
    lines = [
        _line(name, row, after.get(name), floor, fail_over)
        for name, row in before.items()
        if _ok(row) or _ok(after.get(name, row))
    ]
    lines += [
        Line(name, "only in B") for name, row in after.items() if name not in before and _ok(row)
    ]
    failed = [line.name for line in lines if _is_failure(line, fail_over)]
    return Comparison(lines, control, _differing(a, b), failed)


def ratio(a: Samples, b: Samples) -> Ratio:
    """B's median over A's, by block medians, with a percentile bootstrap interval; seeded."""
    rng = np.random.default_rng(_SEED)
    drawn = _resampled(b.blocks, rng) / _resampled(a.blocks, rng)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Ratio(float(np.median(b.blocks) / np.median(a.blocks)), float(low), float(high))


def _resampled(
    blocks: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """RESAMPLES medians of as many blocks drawn with replacement."""
    chosen = rng.integers(0, len(blocks), (RESAMPLES, len(blocks)))
    return np.asarray(np.median(blocks[chosen], axis=1))


def _by_name(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {row_name(row): row for row in report["rows"]}


def _ok(row: Mapping[str, Any]) -> bool:
    return bool(row["blocks_ms"])


def _line(
    name: str,
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None,
    floor: float,
    fail_over: float,
) -> Line:
    if b is None:
        return Line(name, "only in A")
    if not _ok(a):
        return Line(name, "only in B", reason=a["reason"])
    if not _ok(b):
        return Line(name, "failed", reason=b["reason"])
    first, second = Samples.of(a["blocks_ms"]), Samples.of(b["blocks_ms"])
    found = ratio(first, second)
    verdict = _verdict(found, first, second, floor, fail_over)
    if min(len(first.blocks), len(second.blocks)) < FEWEST_BLOCKS:
        verdict = "unclear"
    return Line(
        name, verdict, found, float(np.median(first.blocks)), float(np.median(second.blocks))
    )


def _verdict(found: Ratio, a: Samples, b: Samples, floor: float, fail_over: float) -> Verdict:
    """A difference lies outside the interval and the floor, and the runs' blocks lie apart.

    What disturbed some blocks of one run may have disturbed all of the other, and no interval knows of
    it: where the middle 80 % of block medians overlap, nothing is claimed. Nor is it where the interval
    reaches past the limit.
    """
    slower = found.low > 1 and found.value > 1 + floor
    faster = found.high < 1 and found.value < 1 / (1 + floor)
    if slower or faster:
        low, high = (b, a) if faster else (a, b)
        apart = np.percentile(low.blocks, 90) < np.percentile(high.blocks, 10)
        if not apart:
            return "unclear"
        return "slower" if slower else "faster"
    return "unclear" if found.high > fail_over or found.low < 1 / fail_over else "no difference"


def _is_failure(line: Line, fail_over: float) -> bool:
    past = line.verdict == "slower" and line.ratio is not None and line.ratio.value > fail_over
    return past or line.verdict == "failed"


def _control(a: Mapping[str, Any], b: Mapping[str, Any]) -> Ratio | None:
    blocks = [(report.get("control") or {}).get("blocks_ms") for report in (a, b)]
    if blocks[0] is None or blocks[1] is None:
        return None
    return ratio(Samples.of(blocks[0]), Samples.of(blocks[1]))


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Conditions and machines that are not the same, so that nobody takes them for one."""
    told = ("scenario", "window_px", "batch", "threads")
    pairs = [(key, a["conditions"].get(key), b["conditions"].get(key)) for key in told]
    pairs.append(("machine", a["machine"].get("model"), b["machine"].get("model")))
    versions = [report.get("versions", {}) for report in (a, b)]
    pairs += [
        (k, versions[0].get(k), versions[1].get(k)) for k in sorted({*versions[0], *versions[1]})
    ]
    before, after = _by_name(a), _by_name(b)
    pairs += [
        (f"file of {name}", row.get("sha256", "")[:12], after[name].get("sha256", "")[:12])
        for name, row in before.items()
        if name in after and _ok(row) and _ok(after[name])
    ]
    return [f"{key}: {first}, {second}" for key, first, second in pairs if first != second]


def nothing_in_common(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether no row has times in both reports."""
    return not {row_name(r) for r in measured(a)} & {row_name(r) for r in measured(b)}
