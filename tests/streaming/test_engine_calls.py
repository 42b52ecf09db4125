"""The network in a thread of its own."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from players import WAIT_S, Held, Spots

from idrn_trt.errors import DeviceError
from idrn_trt.streaming.engine_calls import Asked, EngineCalls
from idrn_trt.types import Window
from idrn_trt.upscaler import Upscaler

LONG_NS = 1000e9


def asked(track: int, level: int = 100) -> Asked:
    """A window of 48x40 px, flat."""
    return Asked(0, track, Window(8, 8, 40, 48), np.full((48, 40, 3), level, np.uint8))


@pytest.fixture
def engine() -> Iterator[Held]:
    """One whose calls wait; at the end all go on."""
    held = Held()
    with held.freed():
        yield held


@pytest.fixture
def calls(engine: Held) -> Iterator[EngineCalls]:
    """Over that engine."""
    made = EngineCalls(Upscaler(engine=engine, detector=Spots()), behind=False)
    yield made
    engine.free()
    made.close()


def from_now_ns(after_ns: float) -> float:
    """A moment by time.perf_counter_ns."""
    return time.perf_counter_ns() + after_ns


def test_what_is_begun_is_taken_later(calls: EngineCalls, engine: Held) -> None:
    """Each window with its picture, in the order asked for, and the call's time; then nothing is left."""
    assert not calls.busy
    assert calls.take() == ([], 0.0)
    calls.begin([asked(3, 10), asked(1, 90)])
    assert calls.busy
    assert not calls.done_by(from_now_ns(-1))
    engine.allow()
    engine.allow()
    assert calls.done_by(math.inf)
    made, ms = calls.take()
    assert [(one.track, int(picture.min()), picture.shape) for one, picture in made] == [
        (3, 10 + Held.MORE, (192, 160, 3)), (1, 90 + Held.MORE, (192, 160, 3)),
    ]  # fmt: skip
    assert ms > 0
    assert not calls.busy
    assert calls.take() == ([], 0.0)


def test_the_time_expected_is_that_of_the_calls_before(calls: EngineCalls, engine: Held) -> None:
    """Nothing before the first; then by pixels, so that two windows take twice as long as one."""
    assert calls.expected_ns([asked(1)]) == 0
    calls.begin([asked(1)])
    engine.allow()
    _, ms = calls.take()
    assert calls.expected_ns([asked(1)]) == pytest.approx(ms * 1e6)
    assert calls.expected_ns([asked(1), asked(2)]) == pytest.approx(2 * ms * 1e6)


def test_a_call_that_is_not_expected_in_time_is_not_waited_for(
    calls: EngineCalls, engine: Held
) -> None:
    """Though the limit is far off: neither if it would end after it, nor if one more after it would."""
    window_px = asked(1).window.pixels
    calls.begin([asked(1)])
    calls._ns_a_pixel = 2 * LONG_NS / window_px
    assert not calls.done_by(from_now_ns(LONG_NS))
    calls._ns_a_pixel = 0.6 * LONG_NS / window_px
    assert not calls.done_by(from_now_ns(LONG_NS), more=[asked(2)])
    assert engine.calls <= 1
    assert calls.busy


def test_a_call_that_is_expected_in_time_is_waited_for(calls: EngineCalls, engine: Held) -> None:
    """Until it has ended, or until the limit."""
    calls.begin([asked(1)])
    assert not calls.done_by(from_now_ns(0.05e9))
    allowing = threading.Timer(0.2, engine.allow)
    allowing.start()
    assert calls.done_by(from_now_ns(LONG_NS))
    allowing.join(WAIT_S)
    assert calls.done_by(from_now_ns(-1))  # it has ended, whatever the limit


def test_an_engines_error_is_raised_where_its_pictures_are_taken(
    calls: EngineCalls, engine: Held
) -> None:
    """And not before; the next call is a new one."""
    engine.error = DeviceError("no memory left")
    calls.begin([asked(1)])
    engine.allow()
    assert calls.done_by(math.inf)
    with pytest.raises(DeviceError, match="no memory left"):
        calls.take()
    assert not calls.busy
    engine.error = None
    calls.begin([asked(2)])
    engine.allow()
    made, _ = calls.take()
    assert [one.track for one, _ in made] == [2]


def test_closing_waits_for_a_call(calls: EngineCalls, engine: Held) -> None:
    """The engine may be closed after it: nothing runs any more."""
    calls.begin([asked(1)])
    closing = threading.Thread(target=calls.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    engine.allow()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert calls.done_by(from_now_ns(-1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority")
@pytest.mark.parametrize("behind", [False, True])
def test_its_thread_steps_back_where_frames_do_not_wait(behind: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """Behind, its niceness is ten more than ours, as far as there are so many; else it is ours."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    engine = Held(allowed=1)
    calls = EngineCalls(Upscaler(engine=engine, detector=Spots()), behind=behind)
    calls.begin([asked(1)])
    calls.take()
    calls.close()
    assert engine.niceness == (min(19, ours + 10) if behind else ours)
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
