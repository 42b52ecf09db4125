"""Sources, sinks and a detector that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.errors import SourceError
from idrn_trt.types import Box, Face, StreamResult
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
