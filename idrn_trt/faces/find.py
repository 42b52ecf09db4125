"""The faces of a stream's frames, found for a bounded cost a frame."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from idrn_trt.faces.detect import Detector
from idrn_trt.faces.sweep import Sweep, look_around
from idrn_trt.faces.track import Track, Tracker
from idrn_trt.types import Face

UInt8 = npt.NDArray[np.uint8]

# Every place of a live source's frame is looked at once in so long, if that can be done in the share of
# time that looking may take. A tenth less than a second, so that at 10 frames/s and more a new face is met
# within that second, although its place may have been looked at just before it came.
SWEEP_S = 0.9
SWEEP_SHARE = 0.25
# Of a file, which can wait, in so many frames.
SWEEP_FRAMES = 5
# What looking around known faces and at pieces of the frame may each take of a live source's frame.
LOOK_MS = 8.0
# A face that does not change is found without looking, but looked for after so long all the same.
RECHECK_S = 1.0

Unchanged = Callable[[Track], bool]


class Finder:
    """Where the faces of one source are, from frame to frame.

    live: the source does not wait, so the cost of a frame is bounded. every: look at the whole of each so
    many frames instead of at pieces in turn; 0 for pieces. The detector serves this thread.
    """

    def __init__(self, detector: Detector, *, live: bool, every: int = 0) -> None:
        self._detector = detector
        self._live = live
        self._every = every
        self._sweep = Sweep(detector)
        self._tracker = Tracker()
        self._size = (0, 0)
        self._frames = 0
        self._sweep_due_s = -math.inf
        self._hurried = False

    def find(
        self, frame: UInt8, time_s: float, unchanged: Unchanged, *, late: bool = False
    ) -> list[Track]:
        """The faces of the next frame, uint8 RGB, as tracks that are the finder's own.

        time_s: by the source's clock. unchanged: tells whether a track's window shows what it did.
        late: there is no time to look; the faces are where they were, unless that was so the last time.
        """
        size = (frame.shape[1], frame.shape[0])
        self._hurried = late and not self._hurried and size == self._size
        if self._hurried:
            return self._tracker.tracks
        if size != self._size:
            self._size, self._tracker.tracks, self._frames = size, [], 0
        self._follow(frame, time_s, unchanged)
        for face in self._looked_for(frame, time_s):
            self._meet(frame, face, time_s)
        self._tracker.forget(time_s)
        self._frames += 1
        return self._tracker.tracks

    def _follow(self, frame: UInt8, time_s: float, unchanged: Unchanged) -> None:
        """Look for the known faces, those first that have waited longest."""
        begin_s = time.perf_counter()
        for track in sorted(self._tracker.tracks, key=lambda track: track.looked_s):
            if time_s - track.looked_s < RECHECK_S and unchanged(track):
                continue
            nearby = look_around(self._detector, frame, track.face.box)
            mine = [face for face in nearby if self._tracker.match(face) is track]
            if mine:
                face = max(mine, key=lambda face: face.score)
                self._tracker.found(track, face, time_s, self._size)
            else:
                self._tracker.missed(track, time_s)
            if self._live and (time.perf_counter() - begin_s) * 1e3 > LOOK_MS:
                return

    def _looked_for(self, frame: UInt8, time_s: float) -> list[Face]:
        """The faces in the part of the frame whose turn it is."""
        if self._every:
            return self._detector.detect(frame) if self._frames % self._every == 0 else []
        self._sweep.fit(frame)
        count = len(self._sweep.tiles)
        if self._live:
            return self._swept(frame, time_s, count)
        steps = count if self._frames == 0 else math.ceil(count / SWEEP_FRAMES)
        return [face for _ in range(steps) for face in self._sweep.step(frame)]

    def _swept(self, frame: UInt8, time_s: float, count: int) -> list[Face]:
        """The faces in the tiles that are due by now, as far as there is time."""
        faces: list[Face] = []
        begin_s = time.perf_counter()
        spent_s = 0.0
        while self._sweep_due_s <= time_s and spent_s * 1e3 <= LOOK_MS:
            faces += self._sweep.step(frame)
            took_s = time.perf_counter() - begin_s - spent_s
            spent_s += took_s
            # What was not done in time is not made up for: that would be a burst.
            due_s = max(self._sweep_due_s, time_s - SWEEP_S)
            self._sweep_due_s = due_s + max(SWEEP_S / count, took_s / SWEEP_SHARE)
        return faces

    def _meet(self, frame: UInt8, face: Face, time_s: float) -> None:
        """A face seen anywhere: one that is known, or one that a second look confirms."""
        if (track := self._tracker.match(face)) is not None:
            if track.looked_s < time_s:
                self._tracker.found(track, face, time_s, self._size)
            return
        if not self._tracker.is_new(face):
            return
        nearby = look_around(self._detector, frame, face.box)
        confirmed = [other for other in nearby if self._tracker.is_new(other)]
        if confirmed:
            best = max(confirmed, key=lambda other: other.score)
            self._tracker.begin(best, time_s, self._size)
