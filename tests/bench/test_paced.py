"""A camera against work of known length, on a clock that only the work and the waiting move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from idrn_trt.bench.paced import Paced, paced
from idrn_trt.errors import OptionError


def run(work_s: Iterator[float], fps: float, duration_s: float) -> tuple[Paced, list[int]]:
    """Paced work where each frame takes the next of `work_s` seconds; the frames worked on."""
    now = 0.0
    frames: list[int] = []

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds + 1e-9  # a real clock never stands exactly on a frame

    def work(frame: int) -> None:
        frames.append(frame)
        advance(next(work_s))

    found = paced(
        work, fps, duration_s, clock=lambda: now, cpu_clock=lambda: now / 2, sleep=advance
    )
    return found, frames


def always(seconds: float) -> Iterator[float]:
    """The same time for every frame."""
    while True:
        yield seconds


def test_work_faster_than_the_camera_drops_nothing() -> None:
    """20 ms of work at 25 frames/s shows every frame 20 ms after it was taken."""
    found, frames = run(always(0.020), 25, 4)
    assert frames == list(range(100))
    assert (found.frames, found.shown, found.drop_rate) == (100, 100, 0)
    assert found.delay_ms == pytest.approx({"p50": 20, "p95": 20, "p99": 20}, abs=0.1)
    assert found.cpu_cores == pytest.approx(0.5, abs=0.01)


def test_the_shown_picture_ages_until_the_next_one() -> None:
    """At 25 frames/s and 20 ms its age runs from 20 to 60 ms, so half the time it is above 40."""
    found, _ = run(always(0.020), 25, 40)
    assert found.age_ms["p50"] == pytest.approx(40, abs=1)
    assert found.age_ms["p99"] == pytest.approx(59.6, abs=1)


def test_slow_work_takes_the_newest_and_drops_the_rest() -> None:
    """100 ms of work at 25 frames/s shows two frames in five, always the newest at that moment."""
    found, frames = run(always(0.100), 25, 4)
    assert frames[:4] == [0, 2, 5, 7]
    assert found.drop_rate == pytest.approx(0.6, abs=0.02)
    assert found.delay_ms["p99"] < 100 + 40 + 0.1


def test_one_hitch_shows_in_the_age_and_not_in_the_median() -> None:
    """A single frame of 400 ms is in p99 of the age; the median does not know of it."""

    def hitch() -> Iterator[float]:
        for frame in range(1000):
            yield 0.4 if frame == 50 else 0.02

    found, _ = run(hitch(), 25, 10)
    assert found.age_ms["p50"] == pytest.approx(41, abs=2)
    assert found.age_ms["p99"] > 300
    assert found.drop_rate == pytest.approx(9 / 250, abs=0.005)


def test_less_than_two_frames_is_refused() -> None:
    """A run too short for the camera is a wrong option."""
    with pytest.raises(OptionError, match="expected 2 or more"):
        paced(lambda _: None, 10, 0.1)
