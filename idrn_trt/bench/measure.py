"""Timing several things fairly in one process: interleaved in blocks, with a control beside them.

Libraries keep their threads spinning for a while after a call and would steal the cores from whatever is
timed next, so cases take turns in blocks: a pause lets the other's threads sleep, untimed calls warm the
caches, then every call of the block is timed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONTROL = "control"
# Longer than the spinning of the thread pools measured here (ONNX Runtime's is the longest).
SETTLE_S = 0.1
# Some 8 ms a call: short enough to repeat, too long to hide in the slice that a scheduler gives to whoever
# just woke up, so that other processes do show.
_CONTROL_BYTES = bytes(8 << 20)
# Under a time budget: rounds that are always taken, and how long one block may last.
LEAST_ROUNDS = 3
BLOCK_S = 0.25
# A call that took this many times the median was interrupted by something else.
OUTLIER = 2.0
# Untimed calls in front of a block by a clock of its own: a GPU lowers its clock rate in a pause.
WAKE_S = 0.05

Case = Callable[[], object]


@dataclass(frozen=True, slots=True)
class OwnClock:
    """A case that something else than this process's clock times, such as a GPU.

    call: the work, until it is done. times_ms: how long each of so many calls took, by that clock.
    """

    call: Case
    times_ms: Callable[[int], list[float]]

    def __call__(self) -> object:
        """One call, until it is done."""
        return self.call()

    def block_ns(self, calls: int) -> list[int]:
        """Times of `calls` calls in ns, after as many untimed ones as WAKE_S holds."""
        end = time.perf_counter() + WAKE_S
        while time.perf_counter() < end:
            self.call()
        return [round(ms * 1e6) for ms in self.times_ms(calls)]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring. samples: the whole blocks taken until then; cases without one are left out."""

    def __init__(self, samples: dict[str, Samples]) -> None:
        super().__init__("interrupted while measuring")
        self.samples = samples


@dataclass(frozen=True, slots=True)
class Samples:
    """Times of single calls, in milliseconds, in the order taken; blocks: each block's median."""

    ms: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.float64]

    @classmethod
    def of(cls, blocks_ms: npt.ArrayLike) -> Samples:
        """The samples of blocks of equally many calls each, in ms."""
        ms = np.array(blocks_ms, np.float64)
        return cls(ms=ms.ravel(), blocks=np.median(ms, axis=1))

    def blocks_ms(self) -> list[list[float]]:
        """Every call by block, in ms to 0.1 us: what a report keeps; `of` takes it back."""
        rows: list[list[float]] = self.ms.reshape(len(self.blocks), -1).round(4).tolist()
        return rows

    def percentile(self, share: float) -> float:
        """The time under which `share` per cent of the calls stayed, in ms."""
        return float(np.percentile(self.ms, share))

    @property
    def p50(self) -> float:
        """The median, in ms."""
        return self.percentile(50)

    @property
    def spread(self) -> float:
        """How far block medians lie apart: (p90 - p10) / p50 of them. 0.05 is a quiet machine."""
        low, mid, high = np.percentile(self.blocks, (10, 50, 90))
        return float((high - low) / mid)

    @property
    def outliers(self) -> int:
        """How many calls took more than OUTLIER times the median."""
        return int((self.ms > OUTLIER * self.p50).sum())

    def to_dict(self, percentiles: Sequence[float] = (50, 90, 99)) -> dict[str, float]:
        """The figures a report quotes, in ms, the spread as a share."""
        return {
            **{f"p{share:g}_ms": round(self.percentile(share), 4) for share in percentiles},
            "min_ms": round(float(self.ms.min()), 4),
            "mean_ms": round(float(self.ms.mean()), 4),
            "max_ms": round(float(self.ms.max()), 4),
            "outliers": self.outliers,
            "spread": round(self.spread, 4),
            "calls": len(self.ms),
        }


def interleave(
    cases: Mapping[str, Case],
    *,
    rounds: int,
    block: int = 10,
    warm: int = 3,
    threads: int = 1,
    budget_s: float | None = None,
) -> dict[str, Samples]:
    """Times of every case, taken in turns: `rounds` blocks of `block` calls each, after `warm` untimed.

    The order of the cases turns by one each round, so that none always follows the same other. A control
    (see control_kernel) on `threads` threads is timed as a case of its own under the name CONTROL.

    With `budget_s` no round is begun that would end later than that after the first one began, except
    that LEAST_ROUNDS are always taken, and slow cases get shorter blocks (see block_size). Ctrl-C raises
    Interrupted, which carries what was measured.
    """
    everything = {**cases, CONTROL: control_kernel(threads)}
    blocks: dict[str, list[list[int]]] = {name: [] for name in everything}
    try:
        _take_turns(everything, blocks, rounds, block, warm, budget_s)
    except KeyboardInterrupt:
        raise Interrupted(_all_samples(blocks)) from None
    return _all_samples(blocks)


def _take_turns(
    cases: Mapping[str, Case],
    blocks: dict[str, list[list[int]]],
    rounds: int,
    block: int,
    warm: int,
    budget_s: float | None,
) -> None:
    """Fill `blocks`, the times in ns, case by case."""
    # Compiled and allocated before anything is timed.
    call_s = {name: _settled_s(case) for name, case in cases.items()}
    sizes = dict.fromkeys(cases, block)
    if budget_s is not None:
        sizes = {name: block_size(seconds, block) for name, seconds in call_s.items()}
    start = time.perf_counter()
    for turn in range(rounds):
        spent_s = time.perf_counter() - start
        if budget_s is not None and not _another(turn, spent_s, budget_s):
            return
        for name in _turned(list(cases), turn):
            time.sleep(SETTLE_S)
            calls = sizes[name]
            blocks[name].append(_block(cases[name], calls, min(warm, calls)))


def block_size(call_s: float, most: int) -> int:
    """How many calls of `call_s` seconds a block has: as many as fit into BLOCK_S, from 1 to `most`."""
    return max(1, min(most, int(BLOCK_S / max(call_s, 1e-9))))


def overhead_us(calls: int = 2000) -> float:
    """What the harness itself adds to a call, in microseconds: the median time of doing nothing."""
    return float(np.median(_block(lambda: None, calls, warm=100))) / 1e3


def _another(rounds_done: int, spent_s: float, budget_s: float) -> bool:
    """Whether one more round, as long as the earlier ones, ends within the budget."""
    if rounds_done < LEAST_ROUNDS:
        return True
    return spent_s * (rounds_done + 1) / rounds_done <= budget_s


def _turned(names: list[str], by: int) -> list[str]:
    shift = by % len(names)
    return names[shift:] + names[:shift]


def _settled_s(case: Case) -> float:
    """Seconds of a call once compiled: the shorter of the second and the third."""
    case()
    return min(_block(case, calls=2, warm=0)) / 1e9


def control_kernel(threads: int) -> Case:
    """A fixed piece of work on `threads` threads at once: SHA-256 of 8 MiB each.

    It uses none of the libraries measured, so its spread is the machine's own noise, other processes
    included; it takes as long as the slowest of its threads.
    """
    pool = ThreadPoolExecutor(threads)

    def digest(_: int) -> bytes:
        return hashlib.sha256(_CONTROL_BYTES).digest()

    return lambda: list(pool.map(digest, range(threads)))


def _block(case: Case, calls: int, warm: int) -> list[int]:
    for _ in range(warm):
        case()
    if isinstance(case, OwnClock):
        return case.block_ns(calls)
    taken = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        case()
        taken.append(time.perf_counter_ns() - start)
    return taken


def _all_samples(blocks: Mapping[str, list[list[int]]]) -> dict[str, Samples]:
    return {
        name: Samples.of(np.array(taken, np.float64) / 1e6)
        for name, taken in blocks.items()
        if taken
    }


def load_average() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes; empty where the system does not tell."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []
