"""What the network is asked for, and how long frames wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from idrn_trt.streaming.engine_calls import Asked, EngineCalls
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.upscaler import Upscaler

# How old a live frame may become while it waits for the network, in periods of its source: the next one then
# lies in the mailbox, and is taken before one more would replace it.
_PATIENCE = 1.5
# One that is as old as this before it is the network's turn is late: the network then rests for as long as
# its last call took, since it slows down all that a frame goes through, but no longer than this.
_LATE = 1.0
_LONGEST_REST_NS = 250e6
# A call that is under way for longer is waited for, and frames are lost: else there might be no clear face
# where something else, as an encoder, keeps the cores busy.
_LONGEST_CALL_NS = 1e9
# What is not done while frames wait takes about so long: of many faces a few at a time, the oldest first, so
# that all become new in turn.
_TURN_NS = 100e6


class Schedule:
    """Has the network make windows, and hands what it has made to their lanes.

    carry: live frames wait only if the network will be done in time. Other frames always do.
    max_fps: no source has more frames a second.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        lanes: Sequence[Lane],
        stats: StreamStats,
        *,
        carry: bool,
        max_fps: float | None = None,
    ) -> None:
        self._calls = EngineCalls(upscaler, behind=carry)
        self._lanes = lanes
        self._stats = stats
        self._carry = carry
        self._least_ns = 1e9 / max_fps if max_fps else 0.0
        self._wanted: dict[int, list[Asked]] = {}
        self._took_ns = self._ended_ns = 0.0

    def make(self, asked: Sequence[Asked], frames: Sequence[Captured]) -> float:
        """Ask for the windows of these frames, and hand over what is made by the time that they must go on.

        Returns the ms of the calls that have ended. Raises what the engine raises.
        """
        for frame in frames:  # what was wanted of earlier frames of theirs is out of date
            self._wanted[frame.source] = [one for one in asked if one.source == frame.source]
        limit_ns = self._limit_ns(frames)
        ended_ms = 0.0
        if self._calls.busy and self._has_ended(asked, limit_ns):
            ended_ms += self._hand_over()
        if asked and not self._calls.busy and self._may_begin(frames):
            self._begin(asked, limit_ns)
            if self._calls.done_by(limit_ns):
                ended_ms += self._hand_over()
        return ended_ms

    def finish(self) -> None:
        """Wait for a call that is under way, after the last frame. Raises what the engine raises."""
        if self._calls.busy:
            self._hand_over()

    def close(self) -> None:
        """Wait for a call that is under way, whatever becomes of it."""
        self._calls.close()

    def _has_ended(self, asked: Sequence[Asked], limit_ns: float) -> bool:
        """Whether the call has ended that was begun for earlier frames."""
        if self._calls.under_way_ns > _LONGEST_CALL_NS:
            return self._calls.done_by(math.inf)
        # One that asks for nothing need not wait for it.
        return self._calls.done_by(limit_ns if asked else 0, more=asked)

    def _limit_ns(self, frames: Sequence[Captured]) -> float:
        """Until when these may wait for the network: none gets too old, and none behind them is lost."""
        if not self._may_go_on(frames):
            return math.inf
        periods_ns = [
            self._period_ns(source)
            for source, lane in enumerate(self._lanes)
            if lane.live and self._stats.sources[source].state == "playing"
        ]
        behind_ns = time.perf_counter_ns() + _PATIENCE * min(periods_ns, default=math.inf)
        return min(self._age_ns(frames, _PATIENCE), behind_ns)

    def _may_go_on(self, frames: Sequence[Captured]) -> bool:
        return self._carry and all(frame.live for frame in frames)

    def _may_begin(self, frames: Sequence[Captured]) -> bool:
        now_ns = time.perf_counter_ns()
        late = self._may_go_on(frames) and now_ns > self._age_ns(frames, _LATE)
        return not late or now_ns - self._ended_ns >= min(self._took_ns, _LONGEST_REST_NS)

    def _age_ns(self, frames: Sequence[Captured], periods: float) -> float:
        """When the first of the frames is so old, by time.perf_counter_ns."""
        return min(frame.captured_ns + periods * self._period_ns(frame.source) for frame in frames)

    def _period_ns(self, source: int) -> float:
        return max(self._stats.sources[source].period_ns, self._least_ns)

    def _begin(self, asked: Sequence[Asked], limit_ns: float) -> None:
        turn = asked if math.isinf(limit_ns) else self._turn(limit_ns)
        self._calls.begin(turn)
        for source, wanted in self._wanted.items():
            self._wanted[source] = [one for one in wanted if all(one is not it for it in turn)]

    def _turn(self, limit_ns: float) -> Sequence[Asked]:
        """What to ask for of all that is wanted: what may be done in time, or the oldest in a turn's time.

        The sources' last frames count, not only those that have just come: else faces of a source would go
        short whose frames come when there is little time.
        """
        wanted = [one for of_source in self._wanted.values() for one in of_source]
        left_ns = max(_TURN_NS, limit_ns - time.perf_counter_ns())
        turn: list[Asked] = []
        for one in sorted(wanted, key=lambda one: self._lanes[one.source].made_ns(one.track)):
            if turn and not 0 < self._calls.expected_ns([*turn, one]) <= left_ns:
                break  # before the first call nothing is known: it is for one face
            turn.append(one)
        return turn

    def _hand_over(self) -> float:
        made, ms = self._calls.take()
        self._took_ns, self._ended_ns = ms * 1e6, time.perf_counter_ns()
        for one, picture in made:
            self._lanes[one.source].keep(one, picture)
        self._stats.engine_windows += len(made)
        self._stats.stage("engine", ms)
        return ms
