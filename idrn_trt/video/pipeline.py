"""A clip through the upscaler: decoding, upscaling and encoding at once, in order, with little waiting.

Three threads: one reads and decodes, the caller's upscales, one encodes and writes. Between them wait at
most WAITING frames, so memory does not grow with the clip.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from av.packet import Packet

from idrn_trt.files import replacing
from idrn_trt.types import Result
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.channel import Channel
from idrn_trt.video.colour import output_colour
from idrn_trt.video.encoders import PIPE_CONTAINER, Encoder, choose_encoder, container_of
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.reader import Reader, Step
from idrn_trt.video.sheet import Canvas
from idrn_trt.video.writer import Plan, Writer

UInt8 = npt.NDArray[np.uint8]

# One being made, one ready: more would only cost memory.
WAITING = 2
# The encoder gives way to the engine, whose threads wait for one another after every layer: one of them
# without its core holds up all. By so much, on a scale of 0 to 19.
ENCODER_NICENESS = 10


class FrameDone(NamedTuple):
    """Told of each frame: its number, time in s, size (width, height) read, and its result."""

    number: int
    time_s: float
    size: tuple[int, int]
    result: Result


@dataclass(slots=True)
class ClipReport:
    """What became of a clip.

    frames: written. output_size: (width, height), None when nothing was written. preview: the picture,
    uint8 RGB, that shows most of faces. damage: what of the input could not be read, "" when whole.
    interrupted: Ctrl-C came, and what was done until then is in the file. tracks: those copied. A file
    that was given open has the path "-".
    """

    source: Path
    target: Path
    frames: int = 0
    size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    faces: int = 0
    without_face: int = 0
    too_large: int = 0
    seconds: float = 0.0
    encoder: str = ""
    damage: str = ""
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    tracks: list[str] = field(default_factory=list)
    preview: UInt8 | None = None


class _Shown(NamedTuple):
    """A picture to encode, after packets of other tracks to copy."""

    packets: list[Packet[Any]]
    picture: UInt8 | None = None
    pts: int | None = None
    duration: int = 0


def upscale_clip(
    source: Path | BinaryIO,
    target: Path | BinaryIO,
    upscaler: Upscaler,
    options: VideoOptions | None = None,
    *,
    on_open: Callable[[int], None] | None = None,
    on_frame: Callable[[FrameDone], None] | None = None,
) -> ClipReport:
    """Upscale every frame of the clip at `source` into the video file `target`.

    Either may be a binary file that is open, a pipe too, and stays the caller's; so written it is
    Matroska, else target's ending names the container (encoders.CONTAINERS). The other tracks are
    copied. A clip that cannot be read to its end is written as far as it can; so is one during which
    Ctrl-C comes; the report says which. With the view "faces" nothing is written for a clip without a
    face.
    on_open is told how many frames to expect (0 where the file does not say), on_frame of each frame,
    both in this thread.

    Raises OptionError, SourceError when not one frame can be read, SinkError when the file cannot be
    written (an older one then stays as it was), and what the upscaler raises.
    """
    options = options or VideoOptions()
    container = container_of(target) if isinstance(target, Path) else PIPE_CONTAINER
    encoder, notes = choose_encoder(options.codec, container)
    wishes = encoder.options(options.crf, options.preset)
    report = ClipReport(_path(source), _path(target), encoder=encoder.name, notes=notes)
    start = time.perf_counter()
    with Reader(source, options) as reader, closing(_Decoding(reader)) as decoding:
        if on_open is not None:
            on_open(reader.expected_frames)
        shown = _Frames(reader, upscaler, options, report, on_frame).made(decoding)
        first = next(shown, None)
        if first is not None and first.picture is not None:
            size = (first.picture.shape[1], first.picture.shape[0])
            report.output_size = size
            with _written(target) as part:
                plan = _plan(reader, container, encoder, wishes, size, options)
                _write(_Encoding(part, plan), itertools.chain([first], shown), report)
        decoding.close()
        report.notes += [*reader.notes, *reader.dropped]
        report.damage = reader.damage
    report.seconds = time.perf_counter() - start
    return report


def _path(file: Path | BinaryIO) -> Path:
    return file if isinstance(file, Path) else Path("-")


def _written(target: Path | BinaryIO) -> AbstractContextManager[Path | BinaryIO]:
    """What to write to so that it becomes `target`."""
    return replacing(target, "video") if isinstance(target, Path) else nullcontext(target)


def _plan(
    reader: Reader,
    container: str,
    encoder: Encoder,
    wishes: dict[str, str],
    size: tuple[int, int],
    options: VideoOptions,
) -> Plan:
    return Plan(
        container=container,
        encoder=encoder,
        options=wishes,
        size=size,
        rate=reader.rate,
        time_base=reader.time_base,
        colour=output_colour(reader.colour, *size),
        sample_aspect=reader.sample_aspect,
        streams=reader.tracks,
        metadata=reader.metadata,
        video_metadata=reader.video_metadata,
        disposition=reader.disposition,
        chapters=reader.chapters,
        threads=options.threads,
    )


def _write(encoding: _Encoding, everything: Iterable[_Shown], report: ClipReport) -> None:
    """Hand everything over to be encoded; Ctrl-C ends the clip there."""
    with encoding:
        try:
            for shown in everything:
                encoding.put(shown)
        except KeyboardInterrupt:
            report.interrupted = True
    report.notes += encoding.notes
    report.tracks = encoding.tracks


class _Frames:
    """What is to be encoded, frame after frame, made as it is asked for."""

    def __init__(
        self,
        reader: Reader,
        upscaler: Upscaler,
        options: VideoOptions,
        report: ClipReport,
        on_frame: Callable[[FrameDone], None] | None,
    ) -> None:
        self._reader = reader
        self._upscaler = upscaler
        self._whole = options.view != "faces"
        self._canvas = Canvas(options.view, upscaler.engine.spec.scale)
        self._report = report
        self._on_frame = on_frame
        self._most_face = -1

    def made(self, steps: Iterable[Step]) -> Iterator[_Shown]:
        """What each step shows; the first has a picture, those that had none before it are blank."""
        held: list[_Shown] | None = []
        for step in steps:
            shown = self._shown(step)
            if held is not None:
                held.append(shown)
                if shown.picture is None:
                    continue
                blank = self._canvas.blank()
                for early in held[:-1]:
                    yield early if early.pts is None else early._replace(picture=blank)
                held = None
            yield shown

    def _shown(self, step: Step) -> _Shown:
        if step.picture is None:
            return _Shown(step.packets)
        frame, pts, duration = step.picture.rgb, step.picture.pts, step.picture.duration
        result = self._upscaler.upscale(frame, whole=self._whole)
        picture = self._canvas.show(frame, result)
        self._count(frame, pts, result, picture)
        return _Shown(step.packets, picture, pts, duration)

    def _count(self, frame: UInt8, pts: int, result: Result, picture: UInt8 | None) -> None:
        report = self._report
        size = report.size = (frame.shape[1], frame.shape[0])
        most_face = sum(face.window.pixels for face in result.faces)
        if picture is not None and most_face > self._most_face:
            report.preview, self._most_face = picture, most_face
        if self._on_frame is not None:
            time_s = float(pts * self._reader.time_base)
            self._on_frame(FrameDone(report.frames, time_s, size, result))
        report.frames += 1
        report.faces += len(result.faces)
        report.without_face += not (result.faces or result.too_large)
        report.too_large += len(result.too_large)


class _Decoding:
    """A reader's steps, made ahead by a thread of its own while this runs."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._steps: Channel[Step] = Channel(WAITING)
        self._thread = threading.Thread(target=self._run, name="idrn-decode", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for step in self._reader:
                if not self._steps.put(step):
                    return
            self._steps.finish()
        except BaseException as error:  # noqa: BLE001 (raised where the steps are taken)
            self._steps.fail(error)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def close(self) -> None:
        """Stop and wait: the reader is this thread's again; may be called more than once."""
        self._steps.stop()
        self._thread.join()


class _Encoding:
    """A writer in a thread of its own; its file is whole when this has ended without an error.

    The writer is opened there too, for the encoder's own threads take their niceness from it.
    notes, tracks: the writer's, when it has ended.
    """

    def __init__(self, target: Path | BinaryIO, plan: Plan) -> None:
        self._target, self._plan = target, plan
        self._queue: Channel[_Shown] = Channel(WAITING)
        self._thread = threading.Thread(target=self._run, name="idrn-encode", daemon=True)
        self._error: BaseException | None = None
        self._abandoned = False
        self.notes: list[str] = []
        self.tracks: list[str] = []

    def _run(self) -> None:
        try:
            _give_way(ENCODER_NICENESS)
            self._encode(Writer(self._target, self._plan))
        except BaseException as error:  # noqa: BLE001 (raised where pictures are handed over)
            self._error = error
            self._queue.stop()

    def _encode(self, writer: Writer) -> None:
        whole = False
        try:
            for shown in self._queue:
                writer.packets(shown.packets)
                if shown.picture is not None and shown.pts is not None:
                    writer.picture(shown.picture, shown.pts, shown.duration)
            if not self._abandoned:
                writer.close()
                whole = True
        finally:
            if not whole:
                writer.abandon()
        self.notes, self.tracks = writer.notes, writer.tracks.copied

    def put(self, shown: _Shown) -> None:
        """Hand over; waits while enough are waiting. Raises what writing raised."""
        if not self._queue.put(shown):
            self._finish()

    def _finish(self) -> None:
        self._queue.finish()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> _Encoding:  # noqa: PYI034 (typing.Self needs Python 3.11)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish()
            return
        self._abandoned = True
        self._queue.stop()
        self._queue.finish()
        self._thread.join()


def _give_way(niceness: int) -> None:
    """Lower the calling thread's share of a busy processor; only Linux has this for single threads."""
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, os.getpriority(os.PRIO_PROCESS, here) + niceness)
