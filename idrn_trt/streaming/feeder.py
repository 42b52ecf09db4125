"""The thread that reads one source: opens it, passes its frames on, opens it again when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import SourceError
from idrn_trt.streaming.backoff import Backoff
from idrn_trt.streaming.clock import StreamClock
from idrn_trt.streaming.mailbox import Mailbox
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import SourceStats
from idrn_trt.video.sources.base import Source, SourceFrame

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame on its way to be upscaled; see StreamResult. live: it may be replaced by a newer one."""

    source: int
    number: int
    time: Fraction
    captured_s: float
    captured_ns: int
    live: bool
    rgb: UInt8


class Feeder:
    """One source of a stream.

    ready: waited for before the source is opened. fail: told of an error that is none of the source's.
    """

    def __init__(
        self,
        place: int,
        source: Source,
        mailbox: Mailbox[Captured],
        options: StreamOptions,
        stats: SourceStats,
        ready: threading.Event,
        stopping: threading.Event,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._place = place
        self._source = source
        self._mailbox = mailbox
        self._options = options
        self._stats = stats
        self._ready = ready
        self._stopping = stopping
        self._fail = fail
        self._live = source.live
        self._clock = StreamClock()
        self._begin_ns = 0
        self._played_from_ns: int | None = None
        self._file_begin = Fraction(0)
        self._last = self._last_step = Fraction(0)
        self._due = Fraction(0)
        self.error: SourceError | None = None
        self.thread = threading.Thread(target=self._run, name=f"idrn-read-{place}", daemon=True)

    def _run(self) -> None:
        backoff = Backoff()
        self._ready.wait()
        self._begin_ns = time.perf_counter_ns()
        try:
            while not self._stopping.is_set():
                begin_s, connections = time.monotonic(), self._stats.connections
                if not self._play():
                    return
                if self._live:
                    played = self._stats.connections > connections
                    held_s = time.monotonic() - begin_s if played else 0.0
                    self._stopping.wait(backoff.pause_s(held_s))
        except BaseException as error:  # noqa: BLE001 (raised where the stream is waited for)
            self._fail(error)
        finally:
            self._mailbox.finish(self._place)

    def _play(self) -> bool:
        """Once from open to close; whether it is to be done again."""
        if self._stats.state != "lost":
            self._stats.enter("connecting")
        try:
            self._source.open()
            going_on = self._read_all()
        except SourceError as error:
            return self._broke(error)
        finally:
            self._source.close()
        if going_on and self._live:
            self._stats.enter("lost", "it ended")
            return True
        self._file_begin = self._last + self._last_step
        if going_on and self._options.loop:
            return True
        self._stats.enter("ended")
        return False

    def _broke(self, error: SourceError) -> bool:
        if self._live and (self._stats.connections or self._options.wait):
            self._stats.enter("lost", str(error))
            return True
        self.error = error
        self._stats.enter("failed", str(error))
        return False

    def _read_all(self) -> bool:
        """Read until the source ends; False when no more is wanted of it."""
        first = True
        while not self._stopping.is_set():
            frame = self._source.read()
            if frame is None:
                return True
            if first and (self._live or not self._stats.connections):
                self._stats.connections += 1  # a file that starts again is connected to once
            first = False
            self._stats.arrived((frame.rgb.shape[1], frame.rgb.shape[0]))
            self._stats.enter("playing")
            moment = self._moment(frame)
            if not self._live and moment >= (self._options.duration_s or moment + 1):
                return False
            if self._is_due(moment):
                self._pass_on(frame, moment)
            else:
                self._stats.passed_over += 1
        return False

    def _moment(self, frame: SourceFrame) -> Fraction:
        if self._live:
            wall = Fraction(frame.captured_ns - self._begin_ns, 1_000_000_000)
            return self._clock.place(frame.time, wall)
        moment = self._file_begin + (frame.time or 0)
        self._last_step = moment - self._last or self._last_step
        self._last = moment
        return moment

    def _is_due(self, moment: Fraction) -> bool:
        """Whether a frame of that time is taken, so that no more than max_fps are."""
        if self._options.max_fps is None:
            return True
        step = 1 / Fraction(self._options.max_fps)
        if moment < self._due - step / 10:  # cameras are never quite even
            return False
        self._due = max(self._due + step, moment + step / 2)
        return True

    def _pass_on(self, frame: SourceFrame, moment: Fraction) -> None:
        captured_ns = frame.captured_ns
        if self._options.realtime and not self._live:
            if self._played_from_ns is None:
                self._played_from_ns = time.perf_counter_ns() - int(moment * 1_000_000_000)
            captured_ns = self._played_from_ns + int(moment * 1_000_000_000)
            self._stopping.wait(max(0, captured_ns - time.perf_counter_ns()) / 1e9)
        live = self._live or self._options.realtime
        captured = Captured(
            source=self._place,
            number=self._stats.frames - 1,
            time=moment,
            captured_s=time.time() - (time.perf_counter_ns() - captured_ns) / 1e9,
            captured_ns=captured_ns,
            live=live,
            rgb=frame.rgb,
        )
        self._stats.dropped += self._mailbox.put(self._place, captured, wait=not live)
