"""What the network is asked for, and how long frames wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane
from idrn_trt.streaming.network import Asked, Network
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.upscaler import Upscaler

# How old a live frame may become while it waits for the network, in periods of its source: the next one then
# lies in the mailbox, and is taken before one more would replace it.
_PATIENCE = 1.5
# One that is as old as this before it is the network's turn is late: nothing is begun, since the network
# would slow down what comes after it.
_LATE = 1.0
# The rate of a source that has not shown one yet.
_USUAL_FPS = 30.0
# What is not done while frames wait takes about so long: of many faces a few at a time, the oldest first, so
# that all become new in turn.
_TURN_NS = 100e6


class Schedule:
    """Has the network make windows, and hands what it has made to their lanes.

    carry: live frames wait only if the network will be done in time. Other frames always do.
    """

    def __init__(
        self, upscaler: Upscaler, lanes: Sequence[Lane], stats: StreamStats, *, carry: bool
    ) -> None:
        self._network = Network(upscaler, behind=carry)
        self._lanes = lanes
        self._stats = stats
        self._carry = carry

    def make(self, asked: Sequence[Asked], frames: Sequence[Captured]) -> float:
        """Ask for the windows of these frames, and hand over what is made by the time that they must go on.

        Returns the ms of the calls that have ended. Raises what the engine raises.
        """
        limit_ns = self._age_ns(frames, _PATIENCE)
        ended_ms = 0.0
        if self._network.busy and self._network.done_by(limit_ns, more=asked):
            ended_ms += self._hand_over()
        in_time = time.perf_counter_ns() < self._age_ns(frames, _LATE)
        if asked and in_time and not self._network.busy:
            self._network.begin(self._turn(asked, limit_ns))
            if self._network.done_by(limit_ns):
                ended_ms += self._hand_over()
        return ended_ms

    def close(self) -> None:
        """Wait for a call that is under way."""
        self._network.close()

    def _age_ns(self, frames: Sequence[Captured], periods: float) -> float:
        """When the first of the frames is so old, by time.perf_counter_ns; never, if they wait."""
        if not (self._carry and all(frame.live for frame in frames)):
            return math.inf
        rates = [self._stats.sources[frame.source].fps or _USUAL_FPS for frame in frames]
        return min(
            frame.captured_ns + periods * 1e9 / fps
            for frame, fps in zip(frames, rates, strict=True)
        )

    def _turn(self, asked: Sequence[Asked], limit_ns: float) -> Sequence[Asked]:
        """What to ask for: all if it may be done in time, else what has waited longest."""
        expected_ns = self._network.expected_ns(asked)
        if time.perf_counter_ns() + expected_ns <= limit_ns or expected_ns <= _TURN_NS:
            return asked
        oldest_first = sorted(asked, key=lambda one: self._lanes[one.source].made_ns(one.track))
        turn: list[Asked] = []
        while oldest_first and (not turn or self._network.expected_ns(turn) < _TURN_NS):
            turn.append(oldest_first.pop(0))
        return turn

    def _hand_over(self) -> float:
        made, ms = self._network.take()
        for one, picture in made:
            self._lanes[one.source].keep(one, picture)
        self._stats.engine_windows += len(made)
        return ms
