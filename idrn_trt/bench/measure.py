"""Timing several things fairly in one process: interleaved in blocks, with a control beside them.

Libraries keep their threads spinning for a while after a call and would steal the cores from whatever is
timed next, so cases take turns in blocks: a pause lets the other's threads sleep, untimed calls warm the
caches, then every call of the block is timed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Samples:
    """Times of single calls, in milliseconds, in the order taken; blocks: each block's median."""

    ms: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.float64]

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

    def to_dict(self) -> dict[str, float]:
        """The figures a report quotes, in ms, the spread as a share."""
        names = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99}
        return {
            **{name: round(self.percentile(share), 4) for name, share in names.items()},
            "min_ms": round(float(self.ms.min()), 4),
            "spread": round(self.spread, 4),
            "calls": len(self.ms),
        }


def interleave(
    cases: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    block: int = 10,
    warm: int = 3,
    threads: int = 1,
) -> dict[str, Samples]:
    """Times of every case, taken in turns: `rounds` blocks of `block` calls each, after `warm` untimed.

    The order of the cases turns by one each round, so that none always follows the same other. A control
    (see control_kernel) on `threads` threads is timed as a case of its own under the name CONTROL.
    """
    kernel = control_kernel(threads)
    everything = {**cases, CONTROL: kernel}
    names = list(everything)
    times: dict[str, list[list[int]]] = {name: [] for name in names}
    for case in everything.values():
        case()  # compile and allocate before anything is timed
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(SETTLE_S)
            times[name].append(_block(everything[name], block, warm))
    return {name: _samples(blocks) for name, blocks in times.items()}


def control_kernel(threads: int) -> Callable[[], object]:
    """A fixed piece of work on `threads` threads at once: SHA-256 of 8 MiB each.

    It uses none of the libraries measured, so its spread is the machine's own noise, other processes
    included; it takes as long as the slowest of its threads.
    """
    pool = ThreadPoolExecutor(threads)

    def digest(_: int) -> bytes:
        return hashlib.sha256(_CONTROL_BYTES).digest()

    return lambda: list(pool.map(digest, range(threads)))


def _block(case: Callable[[], object], calls: int, warm: int) -> list[int]:
    for _ in range(warm):
        case()
    taken = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        case()
        taken.append(time.perf_counter_ns() - start)
    return taken


def _samples(blocks: list[list[int]]) -> Samples:
    ms = np.array(blocks, np.float64) / 1e6
    return Samples(ms=ms.ravel(), blocks=np.median(ms, axis=1))


def load_average() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes; empty where the system does not tell."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []
