"""What the network is asked for, and how long frames wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from players import Held, Spots, spot

from idrn_trt.streaming import schedule as module
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane, Prepared
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.schedule import Schedule
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.upscaler import Upscaler

UInt8 = npt.NDArray[np.uint8]

ONE = spot(50, 60)
SEVERAL = np.hstack([spot(40, 40), spot(60, 90), spot(50, 150)])


def aged(captured: Captured, age_s: float) -> Captured:
    """The same frame, captured so long ago."""
    return replace(captured, captured_ns=time.perf_counter_ns() - int(age_s * 1e9))


@dataclass
class Rig:
    """A schedule over a lane of one source, and an engine that waits or sleeps."""

    engine: Held
    carry: bool = True
    frames: int = 0
    stats: StreamStats = field(default_factory=lambda: StreamStats(["camera"], {}, []))

    def __post_init__(self) -> None:
        upscaler = Upscaler(engine=self.engine, detector=Spots(), frame_scale=1)
        options = StreamOptions(carry=self.carry, reuse=False, detect_every=1)
        self.lane = Lane(upscaler, options, self.stats.sources[0], live=True, carry=self.carry)
        self.schedule = Schedule(upscaler, [self.lane], self.stats, carry=self.carry)

    def make(self, picture: UInt8 = ONE, *, live: bool = True, age_s: float = 0.0) -> Prepared:
        """What is done for a frame that was captured so long ago."""
        self.frames += 1
        captured = Captured(
            source=0, number=self.frames, time=Fraction(self.frames, 25), captured_s=0.0,
            captured_ns=0, live=live, rgb=picture,
        )  # fmt: skip
        prepared = self.lane.prepare(captured)
        self.schedule.make(prepared.todo, [aged(captured, age_s)])
        return prepared

    def shows(self, *, every_s: float) -> None:
        """The source's frames come so far apart."""
        self.stats.sources[0].state = "playing"
        self.stats.sources[0]._arrivals.extend([0.0, every_s])

    @property
    def busy(self) -> bool:
        """Whether a call is under way, or has ended and not been taken."""
        return self.schedule._calls.busy

    @property
    def asked(self) -> list[int]:
        """The tracks that were asked for last."""
        return [one.track for one in self.schedule._calls._asked]

    def made(self, track: int = 1) -> bool:
        """Whether a picture of it has been handed over."""
        return self.lane.made_ns(track) > 0


@pytest.fixture
def held() -> Iterator[Rig]:
    """With an engine whose calls wait to be allowed."""
    rig = Rig(Held())
    with rig.engine.freed():
        yield rig
    rig.schedule.close()


@pytest.fixture(autouse=True)
def _never_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a call is held."""
    monkeypatch.setattr(module, "_LONGEST_CALL_NS", math.inf)


@pytest.fixture
def _never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is that the tests run on."""
    monkeypatch.setattr(module, "_LATE", 1e6)


@pytest.fixture
def sleeping() -> Iterator[Rig]:
    """With an engine that takes 60 ms for a window, more than a live frame of 30 a second waits."""
    rig = Rig(Held(sleep_s=0.06))
    rig.engine.free()
    yield rig
    rig.schedule.close()


def test_a_live_frame_goes_on_without_a_slow_network(held: Rig) -> None:
    """It is not waited for, and what it has made is handed over with a later frame."""
    held.make()
    assert held.busy
    assert not held.made()
    held.engine.allow()
    held.schedule._calls.done_by(math.inf)
    held.make()
    assert held.made()
    assert held.stats.engine_windows == 1


def test_a_live_frame_waits_for_a_quick_network(sleeping: Rig) -> None:
    """Where its source is slower than the network: its own faces are made when it goes on."""
    sleeping.shows(every_s=1000.0)
    for count in (1, 2):
        sleeping.make()
        assert not sleeping.busy
        assert sleeping.stats.engine_windows == count


def test_a_call_that_takes_too_long_is_waited_for(
    sleeping: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a live frame that asks for nothing: else no face might ever be made on a busy machine."""
    captured = sleeping.make().captured
    assert sleeping.busy
    monkeypatch.setattr(module, "_LONGEST_CALL_NS", 0)
    assert sleeping.schedule.make([], [aged(captured, 0.0)]) > 0
    assert sleeping.made()


def test_a_frame_that_asks_for_nothing_waits_for_nothing(held: Rig) -> None:
    """Though a call for an earlier one is under way that would be done in time: its faces are reused."""
    captured = held.make().captured
    held.shows(every_s=1000.0)
    assert held.schedule.make([], [aged(captured, 0.0)]) == 0
    assert held.busy
    assert not held.made()


@pytest.mark.parametrize(("carry", "live"), [(True, False), (False, True), (False, False)])
def test_other_frames_always_wait(carry: bool, live: bool) -> None:  # noqa: FBT001 (parameters of the test)
    """Those of a file, however old they are; and all where nothing is carried."""
    rig = Rig(Held(sleep_s=0.06), carry=carry)
    rig.engine.free()
    for count in (1, 2, 3):
        rig.make(live=live, age_s=10.0)
        assert not rig.busy
        assert rig.stats.engine_windows == count
    rig.schedule.close()


@pytest.mark.usefixtures("_never_late")
def test_nothing_is_begun_while_busy(held: Rig) -> None:
    """The next call is for what is newest when the one before has ended."""
    held.make(spot(50, 60))
    first = held.schedule._calls._asked
    for x in (51, 52, 53):
        held.make(spot(x, 60))
    assert held.schedule._calls._asked is first
    held.engine.allow()
    held.schedule._calls.done_by(math.inf)
    newest = held.make(spot(54, 60))
    assert held.busy
    assert held.schedule._calls._asked == newest.todo
    assert held.stats.engine_windows == 1


def test_after_a_long_call_a_late_frame_begins_nothing(held: Rig) -> None:
    """The network would only slow down what comes after it; one in time begins a call."""
    held.schedule._took_ns, held.schedule._ended_ns = math.inf, time.perf_counter_ns()
    held.make(age_s=10.0)
    assert not held.busy
    held.shows(every_s=1000.0)
    held.engine.allow()
    held.make(age_s=10.0)
    assert held.made()


def test_where_every_frame_is_late_faces_are_made_all_the_same(held: Rig) -> None:
    """A processor too slow for the rest alone: the network rests no longer than its last call took."""
    held.schedule._took_ns, held.schedule._ended_ns = 5e9, time.perf_counter_ns() - 6e9
    held.make(age_s=10.0)
    assert held.busy
    held.engine.allow()
    held.schedule._calls.done_by(math.inf)
    held.make(age_s=10.0)
    assert held.made()


@pytest.mark.usefixtures("_never_late")
def test_of_many_faces_the_oldest_come_first(sleeping: Rig) -> None:
    """A few at a time, in turn, where all would take too long; all of a file's at once."""
    everybody = [1, 2, 3]
    sleeping.make(SEVERAL, live=False)
    assert sorted(sleeping.asked) == everybody
    order = sorted(everybody, key=sleeping.lane.made_ns)
    turns: list[int] = []
    while len(turns) < 6:
        sleeping.make(SEVERAL)
        assert len(sleeping.asked) < 3
        turns += sleeping.asked
        sleeping.schedule._calls.done_by(math.inf)
    assert turns[:6] == order + order


@pytest.mark.usefixtures("_never_late")
def test_a_face_that_was_never_made_is_the_oldest(sleeping: Rig) -> None:
    """A new one is asked for before all that have a picture already."""
    sleeping.make(SEVERAL, live=False)
    del sleeping.lane._made[3]
    sleeping.make(SEVERAL)
    assert sleeping.asked[0] == 3
