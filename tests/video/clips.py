"""Clips made at test time, real files by PyAV, and reading them back without any code of ours."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def picture(number: int, width: int = 64, height: int = 48) -> UInt8:
    """A soft gradient that moves with the frame's number."""
    y, x = np.mgrid[:height, :width]
    shade = (3 * x + 2 * y + 5 * number) % 256
    return np.stack([shade, shade[::-1], np.full_like(shade, (9 * number) % 256)], -1).astype(
        np.uint8
    )


@dataclass
class Clip:
    """What `make` writes; see there."""

    path: Path
    pictures: list[UInt8]
    pts: list[int] | None = None
    time_base: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] | None = None
    matrix: int = 2
    color_range: int = 0
    sample_aspect: Fraction | None = None
    audio: str | None = None
    subtitles: str | None = None
    rotation: tuple[int, int, int, int] | None = None
    container_options: dict[str, str] | None = None

    def make(self) -> Path:
        """Write the file: pictures at pts (by default one a tick), tracks of the codecs named."""
        times = self.pts or list(range(len(self.pictures)))
        seconds = float((times[-1] + 1) * self.time_base)
        with av.open(
            str(self.path), "w", container_options=self.container_options or {}
        ) as container:
            video = self._video(container)
            sound = container.add_stream(self.audio, rate=48000) if self.audio else None
            words = self._words(container)
            for number, (rgb, pts) in enumerate(zip(self.pictures, times, strict=True)):
                frame = self._frame(rgb)
                frame.pts, frame.time_base = pts, self.time_base
                container.mux(video.encode(frame))
                if number == 0:
                    write_sound(container, sound, seconds)
                    write_words(container, words, self.subtitles)
            container.mux(video.encode(None))
        if self.rotation is not None:
            rotate_mp4(self.path, self.rotation)
        return self.path

    def _video(self, container: Any) -> Any:
        height, width = self.pictures[0].shape[:2]
        rate = 1 / self.time_base if self.pts is None or len(set(np.diff(self.pts))) == 1 else 25
        stream = container.add_stream(self.codec, rate=rate, options=self.options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, self.pix_fmt
        stream.codec_context.time_base = stream.time_base = self.time_base
        stream.codec_context.colorspace = self.matrix
        stream.codec_context.color_range = self.color_range
        if self.sample_aspect:
            stream.codec_context.sample_aspect_ratio = self.sample_aspect
        return stream

    def _frame(self, rgb: UInt8) -> av.VideoFrame:
        """Converted by the formulas of BT.601 and BT.709 in floating point, not by what is tested."""
        if self.pix_fmt not in {"yuv420p", "yuv420p10le", "yuvj420p"}:
            return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=self.pix_fmt)
        full = self.color_range == 2 or self.pix_fmt.startswith("yuvj")
        bits = 10 if "10" in self.pix_fmt else 8
        return planes(yuv_of(rgb, self.matrix, full=full, bits=bits), self.pix_fmt, bits)

    def _words(self, container: Any) -> Any:
        if self.subtitles is None:
            return None
        with av.open(str(subtitle_file(self.path))) as source:
            words = container.add_stream_from_template(source.streams.subtitles[0], opaque=True)
        words.metadata["language"] = "eng"
        return words


WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 2: (0.299, 0.114)}


def yuv_of(rgb: UInt8, matrix: int, *, full: bool, bits: int = 8) -> Floats:
    """Y, Cb, Cr of every pixel, not yet rounded (ITU-R BT.601 and BT.709, clause 3)."""
    kr, kb = WEIGHTS[matrix]
    r, g, b = (rgb[..., k] / 255 for k in range(3))
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    step = 2 ** (bits - 8)
    if full:
        most = 256 * step - 1
        return np.stack([y * most, cb * most + 128 * step, cr * most + 128 * step], -1)
    return step * np.stack([y * 219 + 16, cb * 224 + 128, cr * 224 + 128], -1)


def rgb_of(frame: av.VideoFrame) -> Floats:
    """A decoded 8-bit yuv420p frame in grey levels of RGB, by the formulas and the tags it carries."""
    h, w = frame.height, frame.width
    full = frame.color_range == 2 or frame.format.name == "yuvj420p"
    flat = plane_array(frame)
    y = flat[:h].astype(float)
    chroma = flat[h:].reshape(2, h // 2, w // 2).astype(float)
    cb, cr = (np.kron(part, np.ones((2, 2))) for part in chroma)
    kr, kb = WEIGHTS[frame.colorspace]
    if full:
        y, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    rgb = np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], -1)
    return np.clip(np.floor(rgb * 255 + 0.5), 0, 255)


def plane_array(frame: av.VideoFrame) -> UInt8:
    """The planes of a yuv420p or yuvj420p frame below one another, as they are."""
    rows = []
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows.append(lines[:, : plane.width].reshape(-1, frame.width))
    return np.concatenate(rows)


def planes(yuv: Floats, pix_fmt: str, bits: int) -> av.VideoFrame:
    """A frame of 4:2:0 planes; colours are the mean of two by two pixels."""
    h, w = yuv.shape[:2]
    small = yuv[..., 1:].reshape(h // 2, 2, w // 2, 2, 2).mean(axis=(1, 3))
    kind = np.uint8 if bits == 8 else np.uint16
    frame = av.VideoFrame(w, h, pix_fmt)
    for plane, values in zip(
        frame.planes, (yuv[..., 0], small[..., 0], small[..., 1]), strict=True
    ):
        lines = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
        lines[:, : plane.width] = np.clip(np.floor(values + 0.5), 0, 2**bits - 1)
        plane.update(lines.tobytes())
    return frame


def write_sound(container: Any, stream: Any, seconds: float) -> None:
    """A rising tone of so many seconds."""
    if stream is None:
        return
    count = int(seconds * 48000)
    layout = "stereo"
    form = stream.codec_context.format.name
    for start in range(0, count, 1024):
        moment = np.arange(start, start + 1024) / 48000
        tone = (0.2 * np.sin(2 * np.pi * (220 + 50 * moment) * moment)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for ready in av.AudioResampler(format=form, layout=layout, rate=48000).resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode(None))


def subtitle_file(beside: Path) -> Path:
    """A SubRip file of two lines."""
    path = beside.with_suffix(".srt")
    path.write_text(
        "1\n00:00:00,100 --> 00:00:00,300\nfirst line\n\n2\n00:00:00,400 --> 00:00:00,600\nsecond\n\n",
        encoding="utf-8",
    )
    return path


def write_words(container: Any, stream: Any, kind: str | None) -> None:
    """The lines of `subtitle_file`."""
    if kind is None:
        return
    path = Path(container.name.removeprefix("file:")).with_suffix(".srt")
    with av.open(str(path)) as source:
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    path.unlink()


def rotate_mp4(path: Path, signs: tuple[int, int, int, int]) -> None:
    """Write a display matrix of the signs (a, b, c, d) into the track header of an .mp4.

    The header's last 44 bytes are the matrix, nine 32-bit numbers, and two of the size
    (ISO/IEC 14496-12, 8.3.2).
    """
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd") - 4
    end = box + int.from_bytes(data[box : box + 4], "big")
    a, b, c, d = (65536 * sign for sign in signs)
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    data[end - 44 : end - 8] = matrix
    path.write_bytes(bytes(data))


@dataclass
class Decoded:
    """What is in a file, read without any code of ours."""

    times: list[Fraction]
    durations: list[Fraction]
    frames: list[av.VideoFrame]
    width: int
    height: int
    sample_aspect: Fraction | None
    container: str
    packets: dict[str, list[tuple[Fraction, bytes]]]
    languages: dict[str, str | None]
    duration_s: float


def decode(path: Path) -> Decoded:
    """Every frame of the video track and every packet of the others."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        out = Decoded(
            [],
            [],
            [],
            video.width,
            video.height,
            video.sample_aspect_ratio,
            container.format.name,
            {},
            {},
            (container.duration or 0) / 1e6,
        )
        for stream in container.streams:
            if stream.type != "video":
                out.packets[stream.type] = []
                out.languages[stream.type] = stream.language
        for packet in container.demux():
            if packet.stream.type == "video":
                for frame in packet.decode():
                    out.times.append(frame.pts * frame.time_base)
                    out.durations.append(frame.duration * frame.time_base)
                    out.frames.append(frame)
            elif packet.size:
                out.packets[packet.stream.type].append(
                    (packet.pts * packet.time_base, bytes(packet))
                )
    return out
