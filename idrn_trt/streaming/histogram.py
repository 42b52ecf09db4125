"""Times of a stream that may run for weeks, in fixed memory. Standard library only."""

from __future__ import annotations

import threading
from bisect import bisect_left

# Each bucket's upper bound in ms is this much above the last one's: percentiles are right to 5 %.
_RATIO = 1.05
_BOUNDS_MS = tuple(0.01 * _RATIO**k for k in range(320))  # 10 us to a minute


class Histogram:
    """Counts of times by size. Any thread may add and read."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_MS) + 1)
        self._lock = threading.Lock()
        self.count = 0
        self.sum_ms = 0.0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one time."""
        with self._lock:
            self._counts[bisect_left(_BOUNDS_MS, ms)] += 1
            self.count += 1
            self.sum_ms += ms
            self.max_ms = max(self.max_ms, ms)

    def percentile(self, share: float) -> float:
        """The time, in ms, under which `share` per cent of the times stayed; 0 without any."""
        with self._lock:
            wanted, seen = share / 100 * self.count, 0
            for bound_ms, count in zip(_BOUNDS_MS, self._counts, strict=False):
                seen += count
                if count and seen >= wanted:
                    return min(bound_ms, self.max_ms)
            return self.max_ms

    def up_to(self, bounds_ms: tuple[float, ...]) -> list[int]:
        """How many times were at most as long as each of these, right to 5 %."""
        with self._lock:
            return [sum(self._counts[: bisect_left(_BOUNDS_MS, ms) + 1]) for ms in bounds_ms]

    def summary(self) -> dict[str, float]:
        """The figures that a report shows, in ms."""
        mean_ms = self.sum_ms / self.count if self.count else 0.0
        figures = {f"p{share}": self.percentile(share) for share in (50, 95, 99)}
        return {
            name: round(ms, 2)
            for name, ms in {"mean": mean_ms, **figures, "max": self.max_ms}.items()
        }
