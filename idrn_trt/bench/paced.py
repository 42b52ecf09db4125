"""A camera at F frames a second through the whole upscaler: what is dropped, and how old the picture is.

One frame is in work at a time and always the newest: frames that came meanwhile are dropped, as in a live
view. The camera is a clock, so its own delay and the screen's are not in the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from idrn_trt.errors import OptionError

# The picture on the screen is looked at this often; far finer than any frame.
_LOOKS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame that reached the screen: its number, when it was taken and when it was shown, in s."""

    number: int
    taken_s: float
    shown_s: float


@dataclass(frozen=True, slots=True)
class Paced:
    """A run in figures.

    drop_rate: share of the camera's frames never shown. delay_ms: taken to shown, by percentile.
    age_ms: how old the picture on the screen is at any moment, by percentile; it grows until the next
    one comes. cpu_cores: CPU seconds used a second, whole process.
    """

    frames: int
    shown: int
    drop_rate: float
    delay_ms: dict[str, float]
    age_ms: dict[str, float]
    cpu_cores: float


def paced(
    work: Callable[[int], object],
    fps: float,
    duration_s: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
    sleep: Callable[[float], object] = time.sleep,
) -> Paced:
    """Run `work(frame number)` on the newest frame for `duration_s` seconds of a camera at `fps`.

    Raises OptionError when that is less than two frames.
    """
    frames = int(duration_s * fps)
    if frames < 2:
        raise OptionError(
            f"{duration_s:g} s at {fps:g} frames/s are {frames} frames, expected 2 or more"
        )
    start, cpu_start = clock(), cpu_clock()
    shown: list[Shown] = []
    following = 0
    while following < frames:
        now_s = clock() - start
        newest = min(int(now_s * fps), frames - 1)
        if newest < following:
            sleep(following / fps - now_s)
            continue
        work(newest)
        shown.append(Shown(newest, newest / fps, clock() - start))
        following = newest + 1
    spent_s = max(clock() - start, 1e-9)
    return summary(shown, frames, fps, (cpu_clock() - cpu_start) / spent_s)


def summary(shown: list[Shown], frames: int, fps: float, cpu_cores: float) -> Paced:
    """The figures of what was shown of `frames` frames."""
    delays = np.array([s.shown_s - s.taken_s for s in shown]) * 1e3
    return Paced(
        frames=frames,
        shown=len(shown),
        drop_rate=round(1 - len(shown) / frames, 4),
        delay_ms=_percentiles(delays),
        age_ms=_percentiles(_ages_ms(shown, max(frames / fps, shown[-1].shown_s))),
        cpu_cores=round(cpu_cores, 3),
    )


def _ages_ms(shown: list[Shown], end_s: float) -> np.ndarray:
    """The age of what is on the screen at evenly spaced moments, from the first frame shown on."""
    first_s = shown[0].shown_s
    looks = np.linspace(first_s, end_s, max(2, int((end_s - first_s) * _LOOKS_PER_S)))
    latest = np.searchsorted([s.shown_s for s in shown], looks, side="right") - 1
    return np.asarray((looks - np.array([s.taken_s for s in shown])[latest]) * 1e3)


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95, 99)}
