"""The thread that upscales: the frames of all sources, with one engine call for all faces of one size."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from idrn_trt.faces.window import WINDOW_SHAPES_PX
from idrn_trt.processor import usable_cores
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane, Prepared
from idrn_trt.streaming.mailbox import Mailbox
from idrn_trt.streaming.priority import computing, step_back
from idrn_trt.streaming.schedule import Schedule
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler

Deliver = Callable[[StreamResult, bool], None]

# What the engine is run on before the first live frame: batches of these sizes that have no more pixels
# than the largest window. OpenVINO runs all others in pieces of these (engines/openvino.py).
_WARM_BATCHES = (1, 2, 4, 8)
_WARM_PX = math.prod(WINDOW_SHAPES_PX[-1])


class Worker:
    """Takes what lies in the mailbox, at most one frame of each source, and delivers their results.

    deliver: called with each result and whether it may be dropped. shown: results have a picture. carry and
    max_fps: see StreamOptions. warm: the engine is first run on what may come. ready: set once that is
    done, or has failed. finished: called when there will be no more. fail: told of an error.
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
        max_fps: float | None,
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
        self._schedule = Schedule(upscaler, lanes, stats, carry=carry, max_fps=max_fps)
        self._finishers = ThreadPoolExecutor(min(len(lanes), usable_cores()), "idrn-finish")
        self._ready = ready
        self._deliver = deliver
        self._finished = finished
        self._fail = fail
        self.thread = threading.Thread(target=self._run, name="idrn-upscale", daemon=True)

    def _run(self) -> None:
        try:
            if self._warm and self._carry:
                step_back(computing(self._warm_up))
            elif self._warm:
                self._warm_up()
            self._stats.begin()
            self._ready.set()
            while frames := self._mailbox.take(self._linger_s):
                for result, live in self._upscaled(frames):
                    self._deliver(result, live)
            self._schedule.finish()
        except BaseException as error:  # noqa: BLE001 (raised where the stream is waited for)
            self._fail(error)
        finally:
            self._schedule.close()
            self._finishers.shutdown()
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
        asked = [one for frame in prepared for one in frame.todo]
        engine_ms = self._schedule.make(asked, frames)

        def finished(frame: Prepared) -> StreamResult:
            return self._lanes[frame.captured.source].finish(frame, engine_ms, shown=self._shown)

        # Side by side: they have nothing in common now. (Before, they have the detector.)
        several = len(prepared) > 1
        results = list((self._finishers.map if several else map)(finished, prepared))
        for result in results:
            for stage, ms in result.times_ms.items():
                if stage != "engine":  # which is counted once a call
                    self._stats.stage(stage, ms)
        return [(result, frame.live) for result, frame in zip(results, frames, strict=True)]
