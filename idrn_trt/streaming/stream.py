"""A stream: sources, the upscaler and sinks, each in threads of their own around one-slot mailboxes.

    with Stream([open_source("rtsp://...")], [FacesFolder(Path("faces"))]) as stream:
        stream.wait()

    for result in stream("clip.mp4"):   # idrn_trt.stream
        ...

Nothing between them can grow: of a live source the newest frame waits, of a file the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from idrn_trt.errors import OptionError
from idrn_trt.streaming.feeder import Captured, Feeder
from idrn_trt.streaming.lane import Lane
from idrn_trt.streaming.mailbox import Mailbox
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.outlet import Outlet, Tap
from idrn_trt.streaming.stats import SinkStats, StreamStats
from idrn_trt.streaming.worker import Worker
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sinks.base import Sink
from idrn_trt.video.sources import open_source
from idrn_trt.video.sources.base import Source

# A thread whose source is silent ends by itself once the source's time is out; nobody waits for it longer.
_JOIN_READERS_S = 0.5
_WATCH_S = 0.2


class Stream:
    """One run from sources to sinks.

    upscaler: what makes the faces, used by this stream alone until it is closed, and closed by whoever
    opened it; None for one of the stream's own. (For several streams at once open one engine, and an
    Upscaler with that engine for each.)
    stats may be read at any time. Use it once, as a context manager, or iterate over it, or `run` it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        sinks: Sequence[Sink] = (),
        *,
        upscaler: Upscaler | None = None,
        options: StreamOptions | None = None,
    ) -> None:
        if not sources:
            raise OptionError("a stream needs at least one source, got none")
        if options is not None and options.carry:
            for sink in sinks:
                if not getattr(sink, "takes_carried", True):
                    raise OptionError(
                        f"a stream that carries detail has no {sink.name}, which takes only what the "
                        "network made of its own frame: leave out carry=True (--carry on), or the sink"
                    )
        self._sources = list(sources)
        self._sinks = list(sinks)
        self._options = options or StreamOptions()
        self._owns_upscaler = upscaler is None
        self._upscaler = upscaler or Upscaler()
        spec = self._upscaler.engine.spec
        words = {
            "model": spec.model,
            "engine": spec.engine,
            "precision": spec.precision,
            "detector": self._upscaler.detector.name,
        }
        self.stats = StreamStats(
            [source.name for source in sources], words, list(self._upscaler.notes)
        )
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._done = threading.Event()
        self._errors: list[BaseException] = []
        self._frames: Mailbox[Captured] = Mailbox(len(sources))
        self._feeders: list[Feeder] = []
        self._taps: list[Tap] = []
        self._outlets: list[Outlet] = []
        self._worker: Worker | None = None

    def start(self) -> None:
        """Start the threads; once only."""
        if self._worker is not None:
            raise OptionError("a stream runs once: make another one")
        shown = bool(self._taps) or any(sink.pictures for sink in self._sinks)
        for sink in self._sinks:
            tap = self._tap(sink.name, sink.source)
            self._outlets.append(Outlet(sink, tap, fail=self._fail, enough=self.stop))
        carry = self._options.carry and shown and self._has_live()
        lanes = [self._lane(place, carry=carry) for place in range(len(self._sources))]
        self._worker = Worker(
            self._frames,
            lanes,
            self._upscaler,
            self.stats,
            self._options.batch_wait_ms / 1e3,
            shown=shown,
            carry=carry,
            max_fps=self._options.max_fps,
            warm=self._has_live(),
            ready=self._ready,
            deliver=self._deliver,
            finished=self._finish_taps,
            fail=self._fail,
        )
        threads = [outlet.thread for outlet in self._outlets]
        threads += [self._worker.thread, *(feeder.thread for feeder in self._feeders)]
        for thread in threads:
            thread.start()
        threading.Thread(target=self._watch, name="idrn-watch", daemon=True).start()

    def stop(self) -> None:
        """Read no more; what is read is finished. Returns at once; any thread may call it."""
        self._stopping.set()
        self._frames.finish_all()

    def wait(self) -> None:
        """Until all sources have ended, or `stop` was called, and all sinks are closed.

        Raises what a thread raised, and the SourceError of a source that could not be read to its end.
        """
        self._done.wait()
        self._raise_error()

    def run(self, on_result: Callable[[StreamResult], None] | None = None) -> StreamStats:
        """Start, and wait for the end. on_result is called with each result, in a thread of its own."""
        if on_result is not None:
            self._sinks.append(_Called(on_result))
        with self:
            self.wait()
        return self.stats

    def __iter__(self) -> Iterator[StreamResult]:
        """Each result as it comes; of live sources the newest. Raises as `wait` does, at the end."""
        tap = self._tap("iteration")
        with self:
            try:
                while results := tap.take():
                    for result in results:
                        begin_ns = time.perf_counter_ns()
                        yield result
                        tap.taken(result, begin_ns)
            finally:
                tap.stop()
            self.wait()

    def close(self) -> None:
        """Stop and wait until everything is released; may be called more than once."""
        self.stop()
        if self._worker is not None:
            self._done.wait()
        if self._owns_upscaler:
            self._upscaler.close()

    def __enter__(self) -> Stream:  # noqa: PYI034 (typing.Self needs Python 3.11)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is None:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._errors:
            raise self._errors[0]
        for feeder in self._feeders:
            if feeder.error is not None:
                raise feeder.error

    def _tap(self, name: str, source: int | None = None) -> Tap:
        stats = SinkStats(name)
        self.stats.sinks.append(stats)
        self._taps.append(Tap(stats, len(self._sources), source))
        return self._taps[-1]

    def _lane(self, place: int, *, carry: bool) -> Lane:
        """What belongs to one source: its lane, and the feeder that reads it."""
        source, stats, options = self._sources[place], self.stats.sources[place], self._options
        self._feeders.append(
            Feeder(
                place,
                source,
                self._frames,
                options,
                stats,
                ready=self._ready,
                stopping=self._stopping,
                fail=self._fail,
            )
        )
        live = source.live or options.realtime
        return Lane(self._upscaler, options, stats, live=live, carry=carry)

    def _deliver(self, result: StreamResult, live: bool) -> None:  # noqa: FBT001 (as Deliver)
        for tap in self._taps:
            tap.put(result, live)

    def _finish_taps(self) -> None:
        for tap in self._taps:
            tap.finish()

    def _fail(self, error: BaseException) -> None:
        self._errors.append(error)
        self.stop()

    def _watch(self) -> None:
        """Notice stalls and the end."""
        self._ready.wait()
        begin_s = time.monotonic()
        while self._worker is not None and self._worker.thread.is_alive():
            self._worker.thread.join(_WATCH_S)
            now_s = time.monotonic()
            if now_s - begin_s > (self._options.duration_s or now_s) and self._has_live():
                self.stop()
            self._look_for_stalls(now_s)
        for outlet in self._outlets:
            outlet.thread.join()
        deadline_s = time.monotonic() + _JOIN_READERS_S
        for feeder in self._feeders:
            feeder.thread.join(max(0.0, deadline_s - time.monotonic()))
        self._done.set()

    def _has_live(self) -> bool:
        return self._options.realtime or any(source.live for source in self._sources)

    def _look_for_stalls(self, now_s: float) -> None:
        for source, stats in zip(self._sources, self.stats.sources, strict=True):
            silent_s = now_s - stats.last_frame_s
            if source.live and stats.state == "playing" and silent_s > self._options.stall_s:
                stats.enter("stalled", f"no frame for {self._options.stall_s:g} s")


class _Called:
    """A function as a sink."""

    name = "callback"
    pictures = True
    source = None

    def __init__(self, function: Callable[[StreamResult], None]) -> None:
        self._function = function

    def write(self, result: StreamResult) -> None:
        self._function(result)

    def close(self) -> None:
        pass


def stream(
    source: str | int | Source,
    *more: str | int | Source,
    sinks: Sequence[Sink] = (),
    upscaler: Upscaler | None = None,
    options: StreamOptions | None = None,
) -> Stream:
    """A Stream of sources given as objects or as texts (see open_source), to iterate over or to `run`.

        for result in idrn_trt.stream(0): ...
        idrn_trt.stream("rtsp://camera/1", "rtsp://camera/2").run(print)

    Raises OptionError, ModelError or BackendUnavailable.
    """
    opened = [open_source(one) if isinstance(one, str | int) else one for one in (source, *more)]
    return Stream(opened, sinks, upscaler=upscaler, options=options)
