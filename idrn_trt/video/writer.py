"""Upscaled pictures and copied tracks into a new video file."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame

from idrn_trt.video.colour import LIMITED, Colour, FromRgb
from idrn_trt.video.encoders import Encoder, quieten
from idrn_trt.video.tracks import Tracks, file_metadata

UInt8 = npt.NDArray[np.uint8]

_LEAST_UNITS_HZ, _MOST_UNITS_HZ = 1_000, 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is written: the muxer, the encoder with its options, and what the video track is like.

    size: (width, height) of the pictures given. time_base: the unit of their times. streams: tracks of
    an open input to copy. metadata: the file's; video_metadata, disposition: the video track's. chapters,
    disposition: as PyAV gives them.
    """

    container: str
    encoder: Encoder
    options: Mapping[str, str]
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    colour: Colour
    sample_aspect: Fraction = Fraction(1)
    streams: Sequence[Any] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    video_metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: Any = 0
    chapters: Sequence[Any] = ()
    threads: int | None = None


class Writer:
    """One video being written, by one thread at a time: to a path, or into a binary file or pipe.

    notes: what could not be written as wanted. Every method raises OSError, with the reason, when the
    file cannot be written or the encoder refuses.
    """

    def __init__(self, target: Path | BinaryIO, plan: Plan) -> None:
        self._plan = plan
        self._durations: dict[int, int] = {}
        self.notes: list[str] = []
        file = f"file:{target}" if isinstance(target, Path) else target
        self._container: Any = av.open(
            file, "w", format=plan.container, container_options=_muxer_options(plan)
        )
        try:
            self._stream = self._video_stream()
            self.tracks = Tracks(self._container, plan.streams)
            self.notes += self.tracks.notes
            self._container.metadata.update(file_metadata(dict(plan.metadata)))
            if plan.chapters:
                self._container.set_chapters(list(plan.chapters))
            with _as_os_error(f"the {plan.container} file cannot be begun"):
                self._container.start_encoding()
        except BaseException:
            self.abandon()
            raise
        self._convert = FromRgb(plan.colour, plan.encoder.pix_fmt, threads=1)

    def _video_stream(self) -> Any:
        plan, encoder = self._plan, self._plan.encoder
        width, height = self._even()
        stream = self._container.add_stream(
            encoder.name, rate=plan.rate, options=dict(plan.options)
        )
        stream.metadata.update(plan.video_metadata)
        stream.disposition = plan.disposition
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, encoder.pix_fmt
        context.time_base = stream.time_base = plan.time_base
        context.sample_aspect_ratio = plan.sample_aspect
        if encoder.tag:
            context.codec_tag = encoder.tag
        if encoder.pix_fmt != "bgr0":
            context.colorspace = plan.colour.matrix
            context.color_range = LIMITED
        context.color_primaries = plan.colour.primaries
        context.color_trc = plan.colour.transfer
        context.thread_count = plan.threads or 0
        context.thread_type = "AUTO"
        quieten()
        what = f"encoder {encoder.name!r} does not take {width}x{height} with {dict(plan.options)}"
        with _as_os_error(what):
            context.open()
        return stream

    def _even(self) -> tuple[int, int]:
        """The size to encode: colours at half the resolution need even sides."""
        width, height = self._plan.size
        if self._plan.encoder.pix_fmt == "bgr0":
            return width, height
        even = width + width % 2, height + height % 2
        if even != (width, height):
            self.notes.append(
                f"{width}x{height} is made {even[0]}x{even[1]} by repeating the last "
                f"{'column' if even[1] == height else 'row' if even[0] == width else 'column and row'}:"
                f" {self._plan.encoder.name} needs even sides"
            )
        return even

    def picture(self, picture: UInt8, pts: int, duration: int) -> None:
        """Encode one picture, uint8 RGB (H, W, 3) of the plan's size; it is read before this returns."""
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        below, right = height - picture.shape[0], width - picture.shape[1]
        if below or right:
            picture = np.asarray(
                cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8
            )
        frame = self._convert(picture)
        frame.pts, frame.time_base = pts, self._plan.time_base
        self._durations[pts] = duration
        self._encode(frame)

    def packets(self, packets: Sequence[Packet[Any]]) -> None:
        """Copy packets of the plan's streams."""
        for packet in packets:
            self.tracks.write(packet)

    def _encode(self, frame: VideoFrame | None) -> None:
        with _as_os_error(f"encoder {self._plan.encoder.name!r} failed"):
            for packet in self._stream.encode(frame):
                if packet.pts is not None:
                    # Encoders do not hand it on; the last frame's is only known from it.
                    packet.duration = self._durations.pop(packet.pts, packet.duration)
                self._container.mux_one(packet)

    def close(self) -> None:
        """Encode what is left and finish the file."""
        self._encode(None)
        self.notes += self.tracks.closing_notes()
        with _as_os_error(f"the {self._plan.container} file cannot be finished"):
            self._container.close()

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in; whoever opened it removes it."""
        try:
            self._container.close()
        except (OSError, av.FFmpegError, ValueError):
            return


@contextlib.contextmanager
def _as_os_error(what: str) -> Iterator[None]:
    """FFmpeg's errors that are no OSError as one that says `what`."""
    try:
        yield
    except OSError:
        raise
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(errno.EINVAL, f"{what} ({reason.lower()})") from error


def _muxer_options(plan: Plan) -> dict[str, str]:
    if plan.container not in {"mp4", "mov"}:
        # Matroska has no negative times: left alone, the muxer would move all tracks by the encoder's
        # delay.
        return {"avoid_negative_ts": "disabled"}
    # The index at the front: a player can begin before the whole file is there.
    return {"movflags": "+faststart", "movie_timescale": str(_movie_units_hz(plan))}


def _movie_units_hz(plan: Plan) -> int:
    """In what part of a second the file says where its tracks begin; by itself it takes milliseconds."""
    video = plan.time_base.denominator
    every = math.lcm(video, *(stream.time_base.denominator for stream in plan.streams))
    units = every if every <= _MOST_UNITS_HZ else min(video, _MOST_UNITS_HZ)
    return units * max(1, -(-_LEAST_UNITS_HZ // units))
