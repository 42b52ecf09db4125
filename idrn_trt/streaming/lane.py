"""What one source's frames go through before and after the network."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from idrn_trt.faces.carry import Carrier, Detail, detail_of
from idrn_trt.faces.find import Finder
from idrn_trt.faces.reuse import sharpness, unchanged
from idrn_trt.faces.steady import Steady
from idrn_trt.faces.track import Track
from idrn_trt.faces.window import centred, cut
from idrn_trt.streaming.engine_calls import Asked
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import SourceStats
from idrn_trt.types import Face, Result, StreamResult, TrackedFace, Window
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sheet import Canvas

UInt8 = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Prepared:
    """A frame whose faces are found, as track numbers, faces and windows.

    todo: those to be made. reused: what was made of those that have not changed, by track number.
    """

    captured: Captured
    faces: list[tuple[int, Face, Window]]
    too_large: list[Face]
    todo: list[Asked]
    reused: dict[int, _Made]
    times_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Made:
    """What the network last made of a track's window. detail: None where nothing is carried."""

    window: Window
    lr: UInt8
    sr: UInt8
    sharpness: float
    made_ns: int
    detail: Detail | None


class Lane:
    """One source's tracks, and what was made of them.

    live: its frames do not wait. carry: nor for the network, so that its detail is needed. The upscaler is
    the worker's, and only its thread may call this.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        options: StreamOptions,
        stats: SourceStats,
        *,
        live: bool,
        carry: bool,
    ) -> None:
        self._upscaler = upscaler
        self.live = live
        self._reuse = options.reuse
        self._carry = carry and live
        self._stats = stats
        self._whole = options.view != "faces"
        self._canvas = Canvas(options.view, upscaler.engine.spec.scale)
        self._finder = Finder(upscaler.detector, live=live, every=options.detect_every)
        self._steady = Steady()
        self._made: dict[int, _Made] = {}
        self._carrier = Carrier()

    def prepare(self, captured: Captured) -> Prepared:
        """Find the frame's faces and cut what the network has to make."""
        frame = captured.rgb
        begin_ns = time.perf_counter_ns()
        tracks = self._finder.find(
            frame,
            float(captured.time),
            lambda track: self._shows_the_same(frame, track),
            late=self.live and begin_ns - captured.captured_ns > self._stats.period_ns,
        )
        found_ns = time.perf_counter_ns()
        faces = [(t.number, t.face, t.window) for t in tracks if t.window is not None]
        too_large = [t.face for t in tracks if t.window is None]
        known = {number for number, _, _ in faces}
        self._made = {number: made for number, made in self._made.items() if number in known}
        todo: list[Asked] = []
        reused: dict[int, _Made] = {}
        for number, _, window in faces:
            lr = cut(frame, window)
            if self._reuse and self._is_made(number, window, lr):
                reused[number] = self._made[number]
            else:
                todo.append(Asked(captured.source, number, window, lr))
        times_ms = {
            "detect": (found_ns - begin_ns) / 1e6,
            "window": (time.perf_counter_ns() - found_ns) / 1e6,
        }
        return Prepared(captured, faces, too_large, todo, reused, times_ms)

    def keep(self, asked: Asked, sr: UInt8) -> None:
        """What the network made of a window of this frame, or of one some frames ago."""
        lr, now_ns = asked.lr, time.perf_counter_ns()
        detail = detail_of(lr, sr) if self._carry else None
        self._made[asked.track] = _Made(asked.window, lr, sr, sharpness(lr), now_ns, detail)

    def made_ns(self, track: int) -> int:
        """When a window of a track was last made, by time.perf_counter_ns; 0 if none was."""
        made = self._made.get(track)
        return 0 if made is None else made.made_ns

    def finish(self, prepared: Prepared, engine_ms: float, *, shown: bool) -> StreamResult:
        """The frame's result, from what has been kept by now. shown: with its picture.

        Faces of `todo` that have not been made carry the detail of an earlier frame; those that have never
        been are not in it.
        """
        begin_ns = time.perf_counter_ns()
        asked = {one.track: one for one in prepared.todo}
        known = {**self._made, **prepared.reused}  # a call may have ended since, of another frame
        faces = [
            self._face(
                prepared.captured.rgb, number, face, window, known[number], asked.get(number)
            )
            for number, face, window in prepared.faces
            if number in known
        ]
        carry_ms = (time.perf_counter_ns() - begin_ns) / 1e6
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
            times_ms={
                **prepared.times_ms, "engine": engine_ms, "carry": carry_ms, "paste": paste_ms
            },
        )  # fmt: skip

    def _face(
        self,
        frame: UInt8,
        number: int,
        face: Face,
        window: Window,
        made: _Made,
        asked: Asked | None,
    ) -> TrackedFace:
        """A face of a frame. asked: what the network was to make of it, None for a face that is reused."""
        if asked is None or asked.lr is made.lr or made.detail is None:
            return TrackedFace(
                face.box, face.score, window, made.lr, made.sr,
                track=number, sharpness=made.sharpness, reused=asked is None,
            )  # fmt: skip
        if window.shape != made.window.shape:
            window = centred(face.box, made.window.shape, *frame.shape[:2])
        lr = cut(frame, window)  # asked.lr may still be on its way to the network
        return TrackedFace(
            face.box, face.score, window, lr, self._carrier.onto(made.detail, lr),
            track=number, sharpness=sharpness(lr), reused=False, carried=True,
        )  # fmt: skip

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
        self._stats.carried += sum(face.carried for face in faces)
        self._stats.too_large += len(too_large)
