"""The network in a thread of its own, so that a picture need not wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idrn_trt.streaming.priority import step_back
from idrn_trt.types import Window
from idrn_trt.upscaler import Upscaler

UInt8 = npt.NDArray[np.uint8]

# What the last call counts in the time that a pixel is expected to take.
_NEWEST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Asked:
    """A window that the network is to make: of which source's track, and its pixels, uint8 (h, w, 3)."""

    source: int
    track: int
    window: Window
    lr: UInt8


class EngineCalls:
    """One call at a time, begun now and taken later. For one thread, which then alone uses the upscaler.

    behind: its own thread steps back behind those that frames wait for (priority.py).
    """

    def __init__(self, upscaler: Upscaler, *, behind: bool) -> None:
        self._upscaler = upscaler
        self._pool = ThreadPoolExecutor(1, "idrn-engine", initializer=step_back if behind else None)
        self._call: Future[tuple[list[UInt8], int]] | None = None
        self._asked: Sequence[Asked] = ()
        self._begin_ns = 0
        self._ns_a_pixel = 0.0

    @property
    def busy(self) -> bool:
        """Whether a call was begun that has not been taken."""
        return self._call is not None

    @property
    def under_way_ns(self) -> int:
        """For how long the call has been begun that has not been taken; 0 while not busy."""
        return time.perf_counter_ns() - self._begin_ns if self.busy else 0

    def expected_ns(self, asked: Sequence[Asked]) -> float:
        """How long a call for these may take, by those before it; 0 before the first."""
        return self._ns_a_pixel * sum(one.window.pixels for one in asked)

    def begin(self, asked: Sequence[Asked]) -> None:
        """Begin a call, while not busy."""
        self._asked = asked
        self._begin_ns = time.perf_counter_ns()
        self._call = self._pool.submit(self._make, asked)

    def done_by(self, limit_ns: float, *, more: Sequence[Asked] = ()) -> bool:
        """Whether the call has ended. It is waited for if it, and one more after it, can be done by then.

        limit_ns: by time.perf_counter_ns.
        """
        if self._call is None or self._call.done():
            return True
        end_ns = self._begin_ns + self.expected_ns(self._asked)
        now_ns = time.perf_counter_ns()
        if max(end_ns, now_ns) + self.expected_ns(more) > limit_ns:
            return False
        wait([self._call], None if math.isinf(limit_ns) else (limit_ns - now_ns) / 1e9)
        return self._call.done()

    def take(self) -> tuple[list[tuple[Asked, UInt8]], float]:
        """What was asked for with the pictures made of it, and the call's time in ms; waits for its end.

        Raises what the engine raised.
        """
        if self._call is None:
            return [], 0.0
        call, self._call = self._call, None
        pictures, took_ns = call.result()
        pixels = sum(one.window.pixels for one in self._asked)
        share = _NEWEST_SHARE if self._ns_a_pixel else 1.0
        self._ns_a_pixel += share * (took_ns / pixels - self._ns_a_pixel)
        return list(zip(self._asked, pictures, strict=True)), took_ns / 1e6

    def close(self) -> None:
        """Wait for a call that is under way."""
        self._pool.shutdown()

    def _make(self, asked: Sequence[Asked]) -> tuple[list[UInt8], int]:
        begin_ns = time.perf_counter_ns()
        pictures = self._upscaler.enlarge([one.window for one in asked], [one.lr for one in asked])
        return pictures, time.perf_counter_ns() - begin_ns
