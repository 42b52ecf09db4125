"""What one source's frames go through before and after the network."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idrn_trt.faces.find import Finder
from idrn_trt.faces.reuse import sharpness, unchanged
from idrn_trt.faces.steady import Steady
from idrn_trt.faces.track import Track
from idrn_trt.faces.window import cut
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import SourceStats
from idrn_trt.types import Face, Result, StreamResult, TrackedFace, Window
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sheet import Canvas

UInt8 = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Prepared:
    """A frame whose faces are found. todo: those that the network has to make, with their pixels."""

    captured: Captured
    faces: list[tuple[int, Face, Window]]
    too_large: list[Face]
    todo: list[tuple[int, Window, UInt8]]
    times_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Made:
    """What the network last made of a track's window."""

    window: Window
    lr: UInt8
    sr: UInt8
    sharpness: float


class Lane:
    """One source's tracks, and what was made of them.

    live: its frames do not wait. The upscaler is the worker's, and only its thread may call this.
    """

    def __init__(
        self, upscaler: Upscaler, options: StreamOptions, stats: SourceStats, *, live: bool
    ) -> None:
        self._upscaler = upscaler
        self._reuse = options.reuse
        self._stats = stats
        self._whole = options.view != "faces"
        self._canvas = Canvas(options.view, upscaler.engine.spec.scale)
        self._finder = Finder(upscaler.detector, live=live, every=options.detect_every)
        self._steady = Steady()
        self._made: dict[int, _Made] = {}

    def prepare(self, captured: Captured) -> Prepared:
        """Find the frame's faces and cut what the network has to make."""
        frame = captured.rgb
        begin_ns = time.perf_counter_ns()
        tracks = self._finder.find(
            frame, float(captured.time), lambda track: self._shows_the_same(frame, track)
        )
        found_ns = time.perf_counter_ns()
        faces = [(t.number, t.face, t.window) for t in tracks if t.window is not None]
        too_large = [t.face for t in tracks if t.window is None]
        known = {number for number, _, _ in faces}
        self._made = {number: made for number, made in self._made.items() if number in known}
        todo = []
        for number, _, window in faces:
            lr = cut(frame, window)
            if not (self._reuse and self._is_made(number, window, lr)):
                todo.append((number, window, lr))
        times_ms = {
            "detect": (found_ns - begin_ns) / 1e6,
            "window": (time.perf_counter_ns() - found_ns) / 1e6,
        }
        return Prepared(captured, faces, too_large, todo, times_ms)

    def finish(
        self, prepared: Prepared, pictures: list[UInt8], engine_ms: float, *, shown: bool
    ) -> StreamResult:
        """The frame's result from what the network made of `todo`. shown: with its picture."""
        new = {number for number, _, _ in prepared.todo}
        for (number, window, lr), sr in zip(prepared.todo, pictures, strict=True):
            self._made[number] = _Made(window, lr, sr, sharpness(lr))
        faces = [
            TrackedFace(
                face.box, face.score, window, made.lr, made.sr,
                track=number, sharpness=made.sharpness, reused=number not in new,
            )
            for number, face, window in prepared.faces
            for made in (self._made[number],)
        ]  # fmt: skip
        begin_ns = time.perf_counter_ns()
        picture = self._picture(prepared, faces) if shown else None
        paste_ms = (time.perf_counter_ns() - begin_ns) / 1e6
        self._count(faces, prepared.too_large)
        captured = prepared.captured
        return StreamResult(
            source=captured.source,
            name=self._stats.name,
            number=captured.number,
            time=captured.time,
            captured_s=captured.captured_s,
            captured_ns=captured.captured_ns,
            frame=captured.rgb,
            picture=picture,
            faces=faces,
            too_large=prepared.too_large,
            times_ms={**prepared.times_ms, "engine": engine_ms, "paste": paste_ms},
        )

    def _is_made(self, number: int, window: Window, lr: UInt8) -> bool:
        made = self._made.get(number)
        return made is not None and made.window == window and unchanged(lr, made.lr)

    def _shows_the_same(self, frame: UInt8, track: Track) -> bool:
        window = track.window
        return (
            self._reuse
            and window is not None
            and self._is_made(track.number, window, cut(frame, window))
        )

    def _picture(self, prepared: Prepared, faces: list[TrackedFace]) -> UInt8 | None:
        frame = prepared.captured.rgb
        if self._whole:
            result = Result(self._upscaler.compose(frame, faces), list(faces), prepared.too_large)
        else:
            shown = self._steady.shown(faces, float(prepared.captured.time))
            result = Result(frame, list(shown), prepared.too_large)
        return self._canvas.show(frame, result)

    def _count(self, faces: list[TrackedFace], too_large: list[Face]) -> None:
        self._stats.results += 1
        self._stats.faces += len(faces)
        self._stats.reused += sum(face.reused for face in faces)
        self._stats.too_large += len(too_large)
