"""Where results leave a stream: a mailbox, and for a sink the thread that writes to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from idrn_trt.streaming.mailbox import Mailbox
from idrn_trt.streaming.stats import SinkStats
from idrn_trt.types import StreamResult
from idrn_trt.video.sinks.base import Enough, Lost, Sink


class Tap:
    """Results for one taker. Of a live source the newest waits for it, of others the next.

    source: the only one whose results are wanted, None for all of `sources`.
    """

    def __init__(self, stats: SinkStats, sources: int, source: int | None = None) -> None:
        self.stats = stats
        self._source = source
        self._mailbox: Mailbox[StreamResult] = Mailbox(sources)

    def put(self, result: StreamResult, live: bool) -> None:  # noqa: FBT001 (as Worker's deliver)
        """Hand a result over."""
        if self._source in {None, result.source}:
            self.stats.replaced += self._mailbox.put(result.source, result, wait=not live)

    def finish(self) -> None:
        """There are no more results."""
        self._mailbox.finish_all()

    def take(self) -> list[StreamResult]:
        """The results that wait, at least one; an empty list when there are no more."""
        return self._mailbox.take()

    def taken(self, result: StreamResult, begin_ns: int) -> None:
        """Count a result that has been dealt with since begin_ns."""
        end_ns = time.perf_counter_ns()
        self.stats.written += 1
        self.stats.write.add((end_ns - begin_ns) / 1e6)
        self.stats.age.add((end_ns - result.captured_ns) / 1e6)

    def stop(self) -> None:
        """No more are wanted."""
        self._mailbox.stop()


class Outlet:
    """The thread of one sink.

    fail: told of an error of the sink, which the stream ends with. enough: called when the sink wants no
    more.
    """

    def __init__(
        self,
        sink: Sink,
        tap: Tap,
        *,
        fail: Callable[[BaseException], None],
        enough: Callable[[], None],
    ) -> None:
        self._sink = sink
        self._tap = tap
        self._fail = fail
        self._enough = enough
        self.thread = threading.Thread(
            target=self._run, name=f"idrn-write-{sink.name}", daemon=True
        )

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                self._tap.stop()
                self._sink.close()
        except BaseException as error:  # noqa: BLE001 (raised where the stream is waited for)
            self._fail(error)

    def _write_all(self) -> None:
        try:
            while results := self._tap.take():
                for result in results:
                    begin_ns = time.perf_counter_ns()
                    try:
                        self._sink.write(result)
                    except Lost:
                        self._tap.stats.lost += 1
                    else:
                        self._tap.taken(result, begin_ns)
        except Enough:
            self._enough()
