"""What happened in a stream so far: states of its sources, counts, times. Standard library only."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any, Literal

from idrn_trt.streaming.histogram import Histogram

State = Literal["waiting", "connecting", "playing", "stalled", "lost", "ended", "failed"]
LOG = logging.getLogger("idrn_trt.stream")
LOG.addHandler(logging.NullHandler())  # a program that wants to hear of it says so
_WARNINGS = frozenset({"stalled", "lost", "failed"})
# The rate is that of the last so many frames; before there are two, a usual one.
_RATE_FRAMES = 30
_USUAL_FPS = 30.0


class SourceStats:
    """One source. Its feeder counts; `enter` may be called by any thread, and all may be read by any."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = "waiting"
        self.since_s = time.time()
        self.reason = ""
        self.frames = 0
        self.dropped = 0
        self.passed_over = 0
        self.results = 0
        self.faces = 0
        self.too_large = 0
        self.reused = 0
        self.carried = 0
        self.connections = 0
        self.size: tuple[int, int] | None = None
        self.last_frame_s = time.monotonic()
        self._arrivals: deque[float] = deque(maxlen=_RATE_FRAMES)
        self._lock = threading.Lock()

    def enter(self, state: State, reason: str = "") -> None:
        """Note a state, and log it if it is another one than before."""
        with self._lock:
            if (state, reason) == (self.state, self.reason):
                return
            changed = state != self.state
            self.state, self.reason = state, reason
            if changed:
                self.since_s = time.time()
        if changed:
            level = logging.WARNING if state in _WARNINGS else logging.INFO
            if self.name in reason:
                LOG.log(level, "%s: %s", state, reason)
            else:
                LOG.log(level, "%s: %s%s", self.name, state, f" ({reason})" if reason else "")

    def arrived(self, size: tuple[int, int]) -> None:
        """Count a frame of the source."""
        if self.size not in {None, size}:
            LOG.info("%s: now %dx%d", self.name, *size)
        self.size = size
        self.frames += 1
        self.last_frame_s = time.monotonic()
        self._arrivals.append(self.last_frame_s)

    @property
    def fps(self) -> float:
        """Frames a second lately, as they came; 0 when that cannot be said."""
        arrivals = list(self._arrivals)
        if len(arrivals) < 2 or arrivals[-1] <= arrivals[0]:
            return 0.0
        return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])

    @property
    def period_ns(self) -> float:
        """From one frame to the next, lately; a usual one while that cannot be said."""
        return 1e9 / (self.fps or _USUAL_FPS)

    @property
    def reconnects(self) -> int:
        """How often it was connected to again."""
        return max(0, self.connections - 1)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "size": self.size,
            "fps": round(self.fps, 2),
            "frames": self.frames,
            "dropped": self.dropped,
            "passed_over": self.passed_over,
            "results": self.results,
            "reconnects": self.reconnects,
            "faces": self.faces,
            "too_large": self.too_large,
            "reused": self.reused,
            "carried": self.carried,
        }


class SinkStats:
    """One sink: what it wrote, what came too fast for it, what it lost, how old frames were once written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.written = 0
        self.replaced = 0
        self.lost = 0
        self.age = Histogram()
        self.write = Histogram()

    @property
    def dropped(self) -> int:
        """Results that were not written: replaced by a newer one, or lost while a connection was."""
        return self.replaced + self.lost

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "written": self.written,
            "dropped": self.dropped,
            "age_ms": self.age.summary(),
            "write_ms": self.write.summary(),
        }


class StreamStats:
    """A whole stream. engine: what computes, in words; notes: why it is slower than it could be."""

    def __init__(self, names: list[str], engine: dict[str, str], notes: list[str]) -> None:
        self.sources = [SourceStats(name) for name in names]
        self.sinks: list[SinkStats] = []
        self.stages: dict[str, Histogram] = {}
        self.engine = engine
        self.notes = notes
        self.engine_windows = 0
        self._begin_s = time.monotonic()

    def begin(self) -> None:
        """From now on time counts: sources are about to be read."""
        self._begin_s = time.monotonic()

    def stage(self, name: str, ms: float) -> None:
        """Count a stage's time."""
        self.stages.setdefault(name, Histogram()).add(ms)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        seconds = time.monotonic() - self._begin_s
        frames = sum(source.results for source in self.sources)
        return {
            "seconds": round(seconds, 3),
            "frames": frames,
            "frames_per_s": round(frames / seconds, 2) if seconds else 0.0,
            **self.engine,
            "notes": self.notes,
            "engine_windows": self.engine_windows,
            "sources": [source.to_dict() for source in self.sources],
            "sinks": [sink.to_dict() for sink in self.sinks],
            "stages_ms": {name: times.summary() for name, times in self.stages.items()},
        }
