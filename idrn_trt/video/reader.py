"""A clip's frames in RGB with their times, and the packets of its other tracks, in the file's order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame

from idrn_trt.errors import SourceError, reason_of
from idrn_trt.video.colour import TRANSPARENCY, Colour, ToRgb, colour_of
from idrn_trt.video.deinterlace import Deinterlacer
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.orient import Turn, turn_of
from idrn_trt.video.side_data import left_out
from idrn_trt.video.timeline import Timeline

UInt8 = npt.NDArray[np.uint8]

# Demuxers that read one plain file. Playlists and scripts, which name other files, are not among them.
DEMUXERS = (
    "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "mpegts", "mpeg", "mpegvideo", "ogg",
    "asf", "asf_o", "ivf", "yuv4mpegpipe", "mxf", "h264", "hevc", "m4v", "nut", "rm", "wtv", "dv",
)  # fmt: skip
# Packets of other tracks handed over at once: a file need not be interleaved.
_MOST_PACKETS = 256
_DEFAULT_RATE = Fraction(25)
_MOST_RATE = Fraction(240)
_PIPE_HINT = (
    " (an MP4 with its index at the end cannot be read through a pipe: give the file's name)"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame: rgb, uint8 (H, W, 3), the receiver's own; pts and duration in Reader.time_base."""

    rgb: UInt8
    pts: int
    duration: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one step through the file brings: packets of other tracks, then a picture if there is one."""

    packets: list[Packet[Any]] = field(default_factory=list)
    picture: Picture | None = None


class Reader(AbstractContextManager["Reader"]):
    """One clip, read from its beginning to its end, once.

    After the first picture: colour, and notes on what was converted. After the last: damage, a sentence
    on what of the file could not be read, or "". All else is known from the start: time_base of
    pictures, rate in frames/s, sample_aspect of a pixel as shown, expected_frames (0 where the file does
    not say), tracks (the other audio and subtitle streams), dropped (a sentence for each other one, and
    for what only the whole clip has), the file's metadata and chapters, and video_metadata and disposition of
    the video track.

    source: a path, or a binary file open for reading, which may be a pipe and stays the caller's to
    close. One thread iterates and closes. Raises SourceError for what is no clip with a video track.
    """

    def __init__(self, source: Path | BinaryIO, options: VideoOptions | None = None) -> None:
        self._options = options or VideoOptions()
        self._name = str(source) if isinstance(source, Path) else source.name
        self._hint = "" if isinstance(source, Path) or source.seekable() else _PIPE_HINT
        self._container = self._open(source)
        try:
            self._video = self._video_stream()
            self._check_size(self._video.codec_context.width, self._video.codec_context.height)
            self.time_base: Fraction = self._video.time_base
            self.rate = _rate(self._video)
            self.sample_aspect = self._video.sample_aspect_ratio or Fraction(1)
            self.tracks, self.dropped = self._other_streams()
            self.metadata = self._file_metadata()
            self.video_metadata = _kept_metadata(self._video)
            self.disposition: Any = self._video.disposition
            self.chapters = self._chapters()
            self._timeline = Timeline(self._container, self._video, self.tracks, self._options)
            self.expected_frames = self._timeline.expected_frames(self._video.frames, self.rate)
        except BaseException:
            self.close()
            raise
        self.notes: list[str] = []
        self.damage = ""
        self.colour = Colour(1, full=False)
        self._size = (0, 0)
        self._to_rgb: ToRgb | None = None
        self._turn: Turn | None = None
        self._deinterlacer: Deinterlacer | None = None
        self._pictures = 0
        self._undecodable = 0
        self._read_error = ""

    def __iter__(self) -> Iterator[Step]:
        """The clip's steps. Raises SourceError when there is not one picture."""
        packets: list[Packet[Any]] = []
        self._timeline.seek()
        for packet in self._packets():
            # Not by its number: the packet that flushes the decoder has none of its own.
            if packet.stream is not self._video:
                if self._pictures or self._timeline.may_be_wanted(packet):
                    packets.append(packet)
                if len(packets) >= _MOST_PACKETS and self._pictures:
                    yield Step(self._timeline.place_packets(packets))
                    packets = []
                continue
            for picture in self._decoded(packet):
                self._pictures += 1
                yield Step(self._timeline.place_packets(packets), picture)
                packets = []
        if not self._pictures:
            raise SourceError(self._no_picture())
        yield Step(self._timeline.place_packets(packets))
        self.damage = self._damage()

    def close(self) -> None:
        """Close the file; may be called more than once."""
        self._container.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, source: Path | BinaryIO) -> Any:
        limits = {
            "format_whitelist": ",".join(DEMUXERS),
            "protocol_whitelist": "file",
            "max_pixels": str(self._options.max_pixels),
        }
        # So that no part of a name is taken for a protocol.
        file = f"file:{source}" if isinstance(source, Path) else source
        try:
            if isinstance(source, Path) and source.is_file() and source.stat().st_size == 0:
                raise SourceError(f"cannot read video {self._name!r}: the file is empty")
            return av.open(file, options=limits, metadata_errors="replace")
        except OSError as error:
            if isinstance(error, SourceError):
                raise
            reason = reason_of(error)
            raise SourceError(f"cannot read video {self._name!r}: {reason}") from error
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"cannot read video {self._name!r}: damaged from its beginning, cut off before "
                f"its index, or not a video in a format known here{self._hint}"
            ) from error

    def _video_stream(self) -> Any:
        streams = self._container.streams
        shown = [s for s in streams if s.type == "video" and not _is_cover(s)]
        if not shown:
            cover = any(s.type == "video" for s in streams)
            kinds = (
                ", ".join(sorted({str(s.type) for s in streams if s.type != "video"})) or "nothing"
            )
            what = f"{kinds} and a cover picture" if cover else kinds
            raise SourceError(f"{self._name!r} has no video track: it holds {what}")
        best = self._container.streams.best("video")
        stream = best if best in shown else shown[0]
        if stream.codec_context is None:
            raise SourceError(f"cannot read video {self._name!r}: no decoder here for its track")
        if not stream.time_base:
            raise SourceError(f"cannot read video {self._name!r}: its track has no unit of time")
        stream.codec_context.options = {"max_pixels": str(self._options.max_pixels)}
        stream.codec_context.thread_count = self._options.threads or 0
        stream.codec_context.thread_type = "AUTO"
        return stream

    def _check_size(self, width: int, height: int) -> None:
        most = self._options.max_pixels
        if width * height > most:
            raise SourceError(
                f"video {self._name!r} has {width}x{height} = {width * height:,} pixels a frame, "
                f"more than the limit of {most:,}: raise it with --max-pixels if you trust the file"
            )

    def _other_streams(self) -> tuple[list[Any], list[str]]:
        kept, dropped = [], []
        for stream in self._container.streams:
            if stream is self._video:
                continue
            if stream.type in {"audio", "subtitle"} and stream.codec_context is not None:
                kept.append(stream)
            else:
                kind = "cover picture" if _is_cover(stream) else f"{stream.type or 'unknown'} track"
                dropped.append(f"{kind} {stream.index} is left out")
        return kept, dropped

    def _file_metadata(self) -> dict[str, str]:
        """The file's texts; a timecode is that of its first frame."""
        metadata = dict(self._container.metadata)
        timecodes = [key for key in metadata if key.lower() == "timecode"]
        if timecodes and self._options.start_s > 0:
            self.dropped.append("the timecode is left out: it is that of the whole clip's begin")
            for key in timecodes:
                del metadata[key]
        return metadata

    def _chapters(self) -> list[Any]:
        """The chapters of a clip that is read whole, those with sound times."""
        chapters = self._container.chapters()
        if not self._options.whole:
            if chapters:
                self.dropped.append(
                    f"chapters ({len(chapters)}) are left out: they are the whole clip's"
                )
            return []
        return [c for c in chapters if c["time_base"] and 0 <= c["start"] <= c["end"]]

    def _packets(self) -> Iterator[Packet[Any]]:
        """The wanted streams' packets; an error of the demuxer ends them and is kept."""
        try:
            for packet in self._container.demux():
                if packet.size and self._timeline.seen(packet):
                    return
                if packet.stream is self._video or (packet.stream in self.tracks and packet.size):
                    yield packet
        except (av.FFmpegError, ValueError) as error:
            self._read_error = _reason(error)
        if self._read_error:
            flush: Packet[Any] = Packet()
            flush.stream = self._video
            yield flush

    def _decoded(self, packet: Packet[Any]) -> Iterator[Picture]:
        try:
            frames = self._video.decode(packet if packet.size else None)
        except (av.FFmpegError, ValueError):
            # After a seek the first packets may lean on frames before them.
            self._undecodable += bool(self._pictures or self._options.start_s == 0)
            return
        for frame in frames:
            self._timeline.stamp(frame)
            yield from self._finished(frame)
        if not packet.size and self._deinterlacer is not None:
            for frame in self._deinterlacer.flush():
                yield from self._picture(frame)

    def _finished(self, frame: VideoFrame) -> Iterator[Picture]:
        if self._to_rgb is None:
            self._begin(frame)
        elif (frame.width, frame.height) != self._size:
            self._note("the frame size changes: all frames are brought to the first one's")
            frame = frame.reformat(width=self._size[0], height=self._size[1])
        if frame.interlaced_frame and self._deinterlacer is None:
            self._note("interlaced: deinterlaced, one picture a frame (bwdif)")
            self._deinterlacer = Deinterlacer(self._video, frame)
        if self._deinterlacer is None:
            yield from self._picture(frame)
        else:
            for whole in self._deinterlacer.push(frame):
                yield from self._picture(whole)

    def _begin(self, frame: VideoFrame) -> None:
        self._check_size(frame.width, frame.height)
        self._size = (frame.width, frame.height)
        self.colour, notes = colour_of(frame)
        self._turn, swapped, turned = turn_of(frame)
        if swapped:
            self.sample_aspect = 1 / self.sample_aspect
        for note in (*notes, turned, *left_out(frame)):
            self._note(note)
        if _lower_keys(self._video.metadata).get("alpha_mode") == "1":
            # WebM's second picture beside each packet, which FFmpeg's own decoders of VP8 and VP9 pass over.
            self._note(TRANSPARENCY)
        self._to_rgb = ToRgb(self.colour, *self._size, threads=1)

    def _picture(self, frame: VideoFrame) -> Iterator[Picture]:
        placed = self._timeline.place(frame)
        if placed is None or self._to_rgb is None:
            return
        rgb = self._to_rgb(frame)
        yield Picture(rgb if self._turn is None else self._turn(rgb), *placed)

    def _note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes.append(text)

    def _no_picture(self) -> str:
        name = self._name
        if self._timeline.skipped:
            return (
                f"video {name!r} has no frame in the part asked for: "
                f"it ends at {self._timeline.ends_at_s():.2f} s"
            )
        return f"cannot read video {name!r}: not one frame can be decoded{self._hint}"

    def _damage(self) -> str:
        for note in self._timeline.notes():
            self._note(note)
        parts = []
        if self._read_error:
            parts.append(f"cannot be read beyond {self._timeline.ends_at_s():.2f} s")
        elif self._timeline.cut_off():
            ends_s, should_s = self._timeline.ends_at_s(), self._timeline.should_end_at_s()
            of = f" of {should_s:.2f} s" if should_s > ends_s + 0.1 else ""
            parts.append(f"is cut off at {ends_s:.2f} s{of}")
        if self._undecodable:
            parts.append(f"has {self._undecodable} damaged packets")
        return f"video {self._name!r} {' and '.join(parts)}" if parts else ""


def _is_cover(stream: Any) -> bool:
    return bool(stream.type == "video" and int(stream.disposition) & _ATTACHED_PIC)


# AV_DISPOSITION_ATTACHED_PIC (libavformat/avformat.h); PyAV's name for it moved between releases.
_ATTACHED_PIC = 1 << 10


def _kept_metadata(stream: Any) -> dict[str, str]:
    """What a video track is called. All else, such as alpha_mode, is about how it was stored."""
    told = _lower_keys(stream.metadata)
    return {key: told[key] for key in ("language", "title") if key in told}


def _lower_keys(metadata: dict[str, str]) -> dict[str, str]:
    """Keys as FFmpeg compares them; files spell them in either case."""
    return {key.lower(): text for key, text in metadata.items()}


def _rate(stream: Any) -> Fraction:
    """Frames a second, for the encoder's rate control; the times themselves come from the frames."""
    rate = stream.average_rate
    if not rate or rate > _MOST_RATE:  # a raw DV file's is its unit of time
        rate = stream.guessed_rate or _DEFAULT_RATE
    return Fraction(min(max(rate, Fraction(1)), _MOST_RATE)).limit_denominator(100_000)


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
