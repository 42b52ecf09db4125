"""Sources, sinks, a detector and an engine that do as they are told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import SourceError
from idrn_trt.types import Box, EngineSpec, Face, StreamResult
from idrn_trt.video.sources.base import SourceFrame

UInt8 = npt.NDArray[np.uint8]

WAIT_S = 60.0


def picture(number: int, width: int = 64, height: int = 48) -> UInt8:
    """A flat picture that tells its number."""
    return np.full((height, width, 3), number % 256, np.uint8)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread brings about; fail when it does not come."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"in vain waited for: {what}"
        time.sleep(0.01)


class Played:
    """A source of given pictures. times: by default 25 a second. Counts its openings and closings."""

    def __init__(
        self,
        pictures: Iterable[UInt8],
        *,
        live: bool = False,
        name: str = "played",
        times: Iterable[Fraction] | None = None,
    ) -> None:
        self.name = name
        self.live = live
        self._pictures = list(pictures)
        self._times = list(times or (Fraction(k, 25) for k in range(len(self._pictures))))
        self._left: Iterator[tuple[UInt8, Fraction]] = iter(())
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self.opened += 1
        self._left = iter(list(zip(self._pictures, self._times, strict=True)))

    def read(self) -> SourceFrame | None:
        following = next(self._left, None)
        return None if following is None else SourceFrame(following[0].copy(), following[1])

    def close(self) -> None:
        self.closed += 1


class Endless(Played):
    """A live source that gives a frame every `every_s`, for ever."""

    def __init__(
        self, pictures: Iterable[UInt8], *, every_s: float = 0.01, name: str = "endless"
    ) -> None:
        super().__init__(pictures, live=True, name=name)
        self.every_s = every_s
        self.number = 0

    def read(self) -> SourceFrame | None:
        time.sleep(self.every_s)
        self.number += 1
        return SourceFrame(self._pictures[self.number % len(self._pictures)].copy())


class Flaky(Endless):
    """A camera that breaks off after each `good` frames and cannot be opened every second time."""

    def __init__(self, good: int = 3) -> None:
        super().__init__([picture(9)], every_s=0.0, name="flaky")
        self._good = good

    def open(self) -> None:
        self.opened += 1
        if self.opened % 2 == 0:
            raise SourceError("flaky: not now")

    def read(self) -> SourceFrame | None:
        frame = super().read()
        if self.number % (self._good + 1) == 0:
            raise SourceError("flaky: broken off")
        return frame


class Silent:
    """A live source whose read blocks until it is released."""

    name = "silent"
    live = True

    def __init__(self) -> None:
        self.release = threading.Event()
        self._given = False

    def open(self) -> None:
        pass

    def read(self) -> SourceFrame | None:
        if not self._given:
            self._given = True
            return SourceFrame(picture(1))
        self.release.wait(WAIT_S)
        return None

    def close(self) -> None:
        pass


class Kept:
    """A sink that keeps all results. slow_s: how long it takes for one."""

    name = "kept"
    pictures = True

    def __init__(self, *, slow_s: float = 0.0, source: int | None = None) -> None:
        self.source = source
        self.results: list[StreamResult] = []
        self.closed = 0
        self._slow_s = slow_s

    def write(self, result: StreamResult) -> None:
        time.sleep(self._slow_s)
        self.results.append(result)

    def close(self) -> None:
        self.closed += 1


class Spots:
    """A detector that finds white squares of 16 px and more, wherever they are."""

    name = "spots"
    smallest_face_px = 16

    def __init__(self) -> None:
        self.looked_px = 0
        self.looks = 0

    def detect(self, frame: UInt8) -> list[Face]:
        self.looks += 1
        self.looked_px += frame.shape[0] * frame.shape[1]
        bright = (frame.min(axis=2) > 200).astype(np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(bright)
        return [
            Face(Box(float(x), float(y), float(w), float(h)), 1.0)
            for x, y, w, h, area in found[1:]
            if min(w, h) >= 14 and area > 0.8 * w * h
        ]


def spot(x: int, y: int, side: int = 24, size: tuple[int, int] = (320, 240)) -> UInt8:
    """A dark frame of size = (width, height) with a white square."""
    frame = np.full((size[1], size[0], 3), 40, np.uint8)
    frame[y : y + side, x : x + side] = 255
    return frame


class Held:
    """An engine whose calls wait until they are allowed, or sleep; its pictures are MORE levels brighter.

    It takes windows of 48x40 px, those of spots of 24 px, one a call. allowed: so many calls from the start;
    a live stream makes one before its sources are opened.
    """

    MORE = 20
    notes: ClassVar[list[str]] = []

    def __init__(self, *, allowed: int = 0, sleep_s: float = 0.0) -> None:
        self.spec = EngineSpec(
            engine="held", model="held", scale=4, precision="fp32", windows=((48, 40),), max_batch=1
        )
        self.calls = 0
        self.error: Exception | None = None
        self.niceness: int | None = None
        self._allowed = threading.Semaphore(allowed)
        self._sleep_s = sleep_s
        self._free = False

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        self.calls += 1
        if not self._free:
            assert self._allowed.acquire(timeout=WAIT_S), "in vain waited for: being allowed"
        time.sleep(self._sleep_s)
        if hasattr(os, "getpriority"):
            self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        if self.error is not None:
            raise self.error
        larger = np.minimum(batch, 255 - self.MORE).repeat(4, 1).repeat(4, 2) + np.uint8(self.MORE)
        if out is None:
            return larger
        out[:] = larger
        return out

    def allow(self) -> None:
        """One more call may go on."""
        self._allowed.release()

    @contextmanager
    def freed(self) -> Iterator[None]:
        """On leaving, all calls go on: what waits for one ends, whether or not the test passes."""
        try:
            yield
        finally:
            self.free()

    def free(self) -> None:
        """From now on no call waits."""
        self._free = True
        self._allowed.release()

    def close(self) -> None:
        pass
