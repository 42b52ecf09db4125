"""Clips end to end against their decoding, detection, engine and encoding run bare."""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from pipeline_known import Known
from pipeline_report import row

from idrn_trt.engines.base import Engine
from idrn_trt.faces.detect import open_detector
from idrn_trt.faces.window import cut, group_by_shape, window_for
from idrn_trt.types import Face
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.colour import FromRgb, output_colour
from idrn_trt.video.encoders import ENCODERS
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip
from idrn_trt.video.reader import Picture, Reader
from idrn_trt.zoo import DEFAULT_DETECTOR

UInt8 = npt.NDArray[np.uint8]

ENCODER = ENCODERS["libx264"]
STAGES = ("decode", "detect", "engine", "encode")


@dataclass(frozen=True, slots=True)
class Taken:
    """A clip's seconds: the medians of the whole and of each part; and its frames."""

    frames: int
    ours_s: float
    bare_s: dict[str, float]


def measure(
    clips: list[Path], engine: Engine, rounds: int, options: VideoOptions
) -> Iterator[Taken]:
    """One clip after another, each said on standard error as soon as it is measured."""
    for clip in clips:
        taken = one_clip(clip, engine, rounds, options)
        parts_s = sum(taken.bare_s.values())
        print(
            f"  {clip.name}: {taken.frames} frames, {taken.ours_s:.2f} s, "
            f"parts {parts_s:.2f} s, {taken.ours_s / parts_s:.2f} x",
            file=sys.stderr,
        )
        yield taken


def one_clip(clip: Path, engine: Engine, rounds: int, options: VideoOptions) -> Taken:
    """Both take turns, each first as often as the other."""
    ours: list[float] = []
    parts: list[dict[str, float]] = []
    frames = 0
    for turn in range(rounds):
        if turn % 2:
            parts.append(bare_s(clip, engine, options))
        seconds, frames = end_to_end_s(clip, engine, options)
        ours.append(seconds)
        if turn % 2 == 0:
            parts.append(bare_s(clip, engine, options))
    medians = {name: statistics.median(part[name] for part in parts) for name in STAGES}
    return Taken(frames, statistics.median(ours), medians)


def clips_row(taken: Sequence[Taken]) -> dict[str, Any]:
    """The sum over the clips, ours against the parts'."""
    ours_s, frames = sum(clip.ours_s for clip in taken), sum(clip.frames for clip in taken)
    stages = {name: sum(clip.bare_s[name] for clip in taken) for name in STAGES}
    return row(
        f"{len(taken)} clips end to end against decode + detection + engine + encode bare",
        ours_s / sum(stages.values()), "x", 1.10,
        frames=frames, frames_per_s=round(frames / ours_s, 2), end_to_end_s=round(ours_s, 3),
        **{f"bare_{name}_s": round(seconds, 3) for name, seconds in stages.items()},
    )  # fmt: skip


def end_to_end_s(clip: Path, engine: Engine, options: VideoOptions) -> tuple[float, int]:
    """Seconds of the whole pipeline, and its number of frames."""
    with tempfile.TemporaryDirectory() as folder:
        upscaler = Upscaler(engine=engine)
        start = time.perf_counter()
        report = upscale_clip(clip, Path(folder) / "out.mp4", upscaler, options)
        if report.interrupted:
            raise KeyboardInterrupt
        return time.perf_counter() - start, report.frames


def bare_s(clip: Path, engine: Engine, options: VideoOptions) -> dict[str, float]:
    """Seconds of each part over the clip by itself; what it needs from the others is made untimed."""
    threads = options.threads or 0
    with Reader(clip, options) as reader:
        pictures = [step.picture for step in reader if step.picture is not None]
    seconds = {"decode": bare_decode_s(clip, threads, len(pictures))}
    detector = open_detector(DEFAULT_DETECTOR, threads=options.threads)
    start = time.perf_counter()
    found = [detector.detect(picture.rgb) for picture in pictures]
    seconds["detect"] = time.perf_counter() - start
    seconds["engine"] = bare_engine_s(engine, pictures, found)
    made = encoder_frames(engine, reader, pictures, found)
    seconds["encode"] = bare_encode_s(made, reader.rate, reader.time_base, threads)
    return seconds


def bare_decode_s(clip: Path, threads: int, count: int) -> float:
    """Seconds of decoding the first `count` frames, straight by PyAV."""
    start = time.perf_counter()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.thread_type = threads, "AUTO"
        decoded = sum(1 for _ in itertools.islice(container.decode(stream), count))
    if decoded != count:
        raise SystemExit(f"{clip}: {decoded} frames decoded, {count} by the reader")
    return time.perf_counter() - start


def bare_engine_s(engine: Engine, pictures: list[Picture], found: list[list[Face]]) -> float:
    """Seconds of the engine's runs over all frames' windows."""
    batches = [
        np.stack(crops)
        for picture, faces in zip(pictures, found, strict=True)
        for crops in crops_by_shape(picture.rgb, faces)
    ]
    for shape in {batch.shape for batch in batches}:
        engine.run(np.zeros(shape, np.uint8))  # compiled, as for the pipeline after its first run
    start = time.perf_counter()
    for batch in batches:
        engine.run(batch)
    return time.perf_counter() - start


def crops_by_shape(frame: UInt8, faces: list[Face]) -> list[list[UInt8]]:
    """The frame's windows, one list for each shape, as the upscaler batches them."""
    windows = [window_for(face.box, *frame.shape[:2]) for face in faces]
    held = [window for window in windows if window is not None]
    return [[cut(frame, held[k]) for k in places] for places in group_by_shape(held).values()]


def encoder_frames(
    engine: Engine, reader: Reader, pictures: list[Picture], found: list[list[Face]]
) -> list[tuple[av.VideoFrame, int]]:
    """The very frames that the pipeline makes, in the encoder's colours, with their times."""
    detector = Known([])
    upscaler = Upscaler(engine=engine, detector=detector)
    made: list[tuple[av.VideoFrame, int]] = []
    convert: FromRgb | None = None
    for picture, detector.faces in zip(pictures, found, strict=True):
        shown = upscaler.upscale(picture.rgb).frame
        if convert is None:
            colour = output_colour(reader.colour, shown.shape[1], shown.shape[0])
            convert = FromRgb(colour, ENCODER.pix_fmt, 1)
        made.append((convert(shown), picture.pts))
    return made


def bare_encode_s(
    made: list[tuple[av.VideoFrame, int]], rate: Fraction, tick: Fraction, threads: int
) -> float:
    """Seconds of encoding ready frames into a file with the pipeline's settings, straight by PyAV."""
    options = {"movflags": "+faststart"}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with av.open(f"{folder}/out.mp4", "w", container_options=options) as container:
            settings = ENCODER.options(None, None)
            stream = container.add_stream(ENCODER.name, rate=rate, options=settings)
            first = made[0][0]
            stream.width, stream.height, stream.pix_fmt = first.width, first.height, ENCODER.pix_fmt
            context = stream.codec_context
            context.time_base = stream.time_base = tick
            context.thread_count, context.thread_type = threads, "AUTO"
            for frame, pts in made:
                frame.pts, frame.time_base = pts, tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return time.perf_counter() - start
