"""When a connection's frames were taken, and whether their reader falls behind."""

from __future__ import annotations

from fractions import Fraction

import pytest

from idrn_trt.video.sources.arrivals import Arrivals

MS = 1_000_000
STEP_MS = 40
# What is allowed for clocks that differ.
DRIFT_MS = 6


def ages_ms(arrivals: Arrivals, came_ms: list[int], waited_ms: float, first: int = 0) -> list[int]:
    """The ages, on arrival, of frames of 25 a second that came then."""
    ages = []
    for number, now_ms in enumerate(came_ms, first):
        arrivals.came(now_ms * MS, int(waited_ms * MS))
        captured_ns = arrivals.captured_ns(Fraction(number * STEP_MS, 1000))
        ages.append((now_ms * MS - captured_ns) // MS)
    return ages


def test_what_came_while_it_was_opened_is_that_old() -> None:
    """Five frames at once after 200 ms, then one whenever it is sent: those are new."""
    arrivals = Arrivals(1000 * MS)
    assert ages_ms(arrivals, [1200] * 5, 0) == [200, 160, 120, 80, 40]
    assert ages_ms(arrivals, [1240, 1280], 30, first=5) == [0, 0]


def test_what_waited_in_a_buffer_is_older() -> None:
    """Of a reader that takes 100 ms where frames come every 40 each is 60 ms older than the last one."""
    arrivals = Arrivals(0)
    assert ages_ms(arrivals, [40, 80], 30) == [0, 0]
    assert ages_ms(arrivals, [180, 280, 380], 0, first=2) == pytest.approx(
        [60, 120, 180], abs=DRIFT_MS
    )
    assert not arrivals.behind


def test_a_reader_that_stays_late_is_behind_until_it_has_to_wait() -> None:
    """A stall that is caught up with soon is not; after a wait frames are new again."""
    stalled = Arrivals(0)
    ages_ms(stalled, [40], 30)
    ages_ms(stalled, [4000 + k for k in range(80)], 0, first=1)
    assert not stalled.behind
    slow = Arrivals(0)
    ages_ms(slow, [40], 30)
    late = ages_ms(slow, [40 + 200 * k for k in range(1, 25)], 0, first=1)
    assert late[-1] == pytest.approx(24 * (200 - STEP_MS), abs=DRIFT_MS)
    assert slow.behind
    assert ages_ms(slow, [6000], 30, first=200) == [0]
    assert not slow.behind


def test_clocks_that_differ_and_jump() -> None:
    """A camera's that is slow by 500 parts in a million, or begins anew, makes nothing late for long."""
    arrivals = Arrivals(0)
    for number in range(20_000):
        now_ns = int(number * STEP_MS * MS * 1.0005)
        arrivals.came(now_ns, 30 * MS)
        age_ns = now_ns - arrivals.captured_ns(Fraction(number * STEP_MS, 1000))
        assert 0 <= age_ns < MS
    assert ages_ms(arrivals, [900_000, 900_040], 30) == [0, 0]


def test_frames_without_times_came_when_they_came() -> None:
    """Before the first wait, when opening began."""
    arrivals = Arrivals(5)
    arrivals.came(70 * MS, 0)
    assert arrivals.captured_ns(None) == 5
    arrivals.came(90 * MS, 20 * MS)
    assert arrivals.captured_ns(None) == 90 * MS


def test_untimed_frames_that_are_never_waited_for_go_on() -> None:
    """More comes than can be decoded: after the first second and a half each is as new as it came."""
    arrivals = Arrivals(0)
    captured_ms = []
    for now_ms in range(100, 3000, 100):
        arrivals.came(now_ms * MS, 0)
        captured_ms.append(arrivals.captured_ns(None) // MS)
    assert captured_ms[:14] == [0] * 14
    assert captured_ms[14:] == list(range(1500, 3000, 100))
