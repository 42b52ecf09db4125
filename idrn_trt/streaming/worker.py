"""The thread that upscales: the frames of all sources, with one engine call for all faces of one size."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from idrn_trt.faces.window import WINDOW_SHAPES_PX
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane
from idrn_trt.streaming.mailbox import Mailbox
from idrn_trt.streaming.network import Asked, Network
from idrn_trt.streaming.priority import computing, step_back
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler

Deliver = Callable[[StreamResult, bool], None]

# What the engine is run on before the first live frame: batches of these sizes that have no more pixels
# than the largest window. OpenVINO runs all others in pieces of these (engines/openvino.py).
_WARM_BATCHES = (1, 2, 4, 8)
_WARM_PX = math.prod(WINDOW_SHAPES_PX[-1])
# How old a live frame may become while it waits for the network, in periods of its source: the next one then
# lies in the mailbox, and is taken before one more would replace it.
_PATIENCE = 1.5
# The rate of a source that has not shown one yet.
_USUAL_FPS = 30.0
# What the network is asked for behind the frames' backs takes about so long: a few faces of many at a time,
# the oldest first, so that all become new in turn.
_TURN_NS = 100e6


class Worker:
    """Takes what lies in the mailbox, at most one frame of each source, and delivers their results.

    deliver: called with each result and whether it may be dropped. shown: results have a picture. carry: see
    StreamOptions. warm: the engine is first run on what may come. ready: set once that is done, or has
    failed. finished: called when there will be no more. fail: told of an error.
    """

    def __init__(
        self,
        mailbox: Mailbox[Captured],
        lanes: Sequence[Lane],
        upscaler: Upscaler,
        stats: StreamStats,
        linger_s: float,
        *,
        shown: bool,
        carry: bool,
        warm: bool,
        ready: threading.Event,
        deliver: Deliver,
        finished: Callable[[], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._mailbox = mailbox
        self._lanes = lanes
        self._upscaler = upscaler
        self._stats = stats
        self._linger_s = linger_s
        self._shown = shown
        self._carry = carry
        self._warm = warm
        self._network = Network(upscaler, behind=carry)
        self._ready = ready
        self._deliver = deliver
        self._finished = finished
        self._fail = fail
        self.thread = threading.Thread(target=self._run, name="idrn-upscale", daemon=True)

    def _run(self) -> None:
        try:
            if self._warm:
                engines_own = computing(self._warm_up)
                if self._carry:
                    step_back(engines_own)
            self._stats.begin()
            self._ready.set()
            while frames := self._mailbox.take(self._linger_s):
                for result, live in self._upscaled(frames):
                    self._deliver(result, live)
        except BaseException as error:  # noqa: BLE001 (raised where the stream is waited for)
            self._fail(error)
        finally:
            self._network.close()
            self._ready.set()
            self._mailbox.stop()
            self._finished()

    def _warm_up(self) -> None:
        """What an engine compiles when a batch of windows first comes up would hold up a live frame."""
        spec = self._upscaler.engine.spec
        for shape, count in itertools.product(WINDOW_SHAPES_PX, _WARM_BATCHES):
            legal = spec.windows is None or shape in spec.windows
            if legal and count <= min(spec.max_batch, _WARM_PX // math.prod(shape)):
                self._upscaler.engine.run(np.zeros((count, *shape, 3), np.uint8))

    def _upscaled(self, frames: list[Captured]) -> list[tuple[StreamResult, bool]]:
        prepared = [self._lanes[frame.source].prepare(frame) for frame in frames]
        engine_ms = self._make([one for frame in prepared for one in frame.todo], frames)
        results = []
        for frame in prepared:
            lane = self._lanes[frame.captured.source]
            result = lane.finish(frame, engine_ms, shown=self._shown)
            for stage, ms in result.times_ms.items():
                self._stats.stage(stage, ms)
            results.append((result, frame.captured.live))
        return results

    def _make(self, asked: list[Asked], frames: list[Captured]) -> float:
        """Ask the network for these windows, and keep what it has made by the time the frames must go on.

        Returns the ms of the calls that have ended.
        """
        limit_ns = self._limit_ns(frames)
        engine_ms = 0.0
        if self._network.busy and self._network.done_by(limit_ns, more=asked):
            engine_ms += self._keep()
        if asked and not self._network.busy:
            self._network.begin(self._turn(asked, limit_ns))
            if self._network.done_by(limit_ns):
                engine_ms += self._keep()
        return engine_ms

    def _limit_ns(self, frames: list[Captured]) -> float:
        """Until when these may wait for the network: no longer than their sources give time for."""
        if not (self._carry and all(frame.live for frame in frames)):
            return math.inf
        rates = [self._stats.sources[frame.source].fps or _USUAL_FPS for frame in frames]
        return min(
            frame.captured_ns + _PATIENCE * 1e9 / fps
            for frame, fps in zip(frames, rates, strict=True)
        )

    def _turn(self, asked: list[Asked], limit_ns: float) -> list[Asked]:
        """What to ask for: all if it may be done in time, else what has waited longest."""
        expected_ns = self._network.expected_ns(asked)
        if time.perf_counter_ns() + expected_ns <= limit_ns or expected_ns <= _TURN_NS:
            return asked
        oldest_first = sorted(asked, key=lambda one: self._lanes[one.source].made_ns(one.track))
        turn: list[Asked] = []
        while oldest_first and (not turn or self._network.expected_ns(turn) < _TURN_NS):
            turn.append(oldest_first.pop(0))
        return turn

    def _keep(self) -> float:
        """Hand what the network has made to the lanes; returns the call's time in ms."""
        made, ms = self._network.take()
        for one, picture in made:
            self._lanes[one.source].keep(one, picture)
        self._stats.engine_windows += len(made)
        return ms
