"""What a clip or frame costs beside the network: compositing, the video pipeline, memory.

    python benchmarks/pipeline.py --data DIR --json benchmarks/results/pipeline.json

DIR holds video/*.mkv. Five rows, in one process:

1. `--view faces` at 640x480 with one face: everything on the upscaling thread but detection and the
   engine (cutting, batching, copies, the sheet). Conversions from and to the video's colours, which run
   in the threads that decode and encode, are given beside it.
2. Background and paste at 1920x1080 out, against one cubic cv2.resize of the same frame to that size.
3. Clips end to end, wall time, against the same clips' decoding, detection, engine and encoding run bare,
   each by itself over the whole clip, with as many threads, summed. The bare encoder gets the very frames
   that the pipeline made, already in its colours.
4. Twenty faces in a frame against one: what a face adds to a frame without any (window, engine and paste).
5. Memory of the process's own over 10,000 frames after a warm-up of a tenth of them.

Rows 1, 2 and 4 take turns in blocks beside a control; row 3 takes turns clip by clip.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from pipeline_report import FORMAT, KIND, cells
from tqdm import tqdm

from idrn_trt.bench.end_to_end import frame_with_faces
from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import CONTROL, interleave, load_average
from idrn_trt.engines import open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.faces.detect import open_detector
from idrn_trt.faces.window import cut, group_by_side, window_for
from idrn_trt.files import write_text
from idrn_trt.tables import table
from idrn_trt.types import EngineSpec, Face
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.colour import FromRgb, ToRgb, colour_of, output_colour
from idrn_trt.video.encoders import ENCODERS
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import FrameDone, upscale_clip
from idrn_trt.video.reader import Reader
from idrn_trt.video.sheet import Canvas
from idrn_trt.zoo import DEFAULT_MODEL

UInt8 = npt.NDArray[np.uint8]

MOST_CONTROL_SPREAD = 0.10
ENCODER = ENCODERS["libx264"]
LONG_FRAMES = 10_000
LONG_PX = (160, 120)


class Known:
    """A detector that costs nothing: it knows the faces."""

    name = "known"
    smallest_face_px = 1

    def __init__(self, faces: list[Face]) -> None:
        self.faces = faces

    def detect(self, frame: UInt8) -> list[Face]:
        """The faces it was made with."""
        del frame
        return self.faces


class Recorded:
    """An engine that costs nothing: it gives what another one once gave for a batch of that shape."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._answers: dict[tuple[int, ...], UInt8] = {}
        self.notes: list[str] = []

    @property
    def spec(self) -> EngineSpec:
        """The other one's."""
        return self._inner.spec

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        """The recorded answer."""
        if batch.shape not in self._answers:
            self._answers[batch.shape] = self._inner.run(batch).copy()
        if out is None:
            return self._answers[batch.shape]
        np.copyto(out, self._answers[batch.shape])
        return out

    def close(self) -> None:
        """The other one stays its owner's."""


def row(what: str, figure: float, unit: str, to_reach: float, **parts: object) -> dict[str, Any]:
    """A line of the report."""
    return {
        "what": what, "figure": round(figure, 4), "unit": unit, "to_reach": to_reach,
        "parts": {key.replace("_", " "): value for key, value in parts.items()},
    }  # fmt: skip


def micro(engine: Engine, threads: int, rounds: int) -> tuple[list[dict[str, Any]], float]:
    """Rows 1, 2 and 4, and the control's spread."""
    recorded = Recorded(engine)
    frame, one = frame_with_faces(1, 64)
    sheet = Upscaler(engine=recorded, detector=Known(one))
    canvas = Canvas("faces", engine.spec.scale)
    whole = Upscaler(engine=recorded, detector=Known(one), out_size=(1920, 1080))
    small = frame[:270, :480].copy()
    result = whole.upscale(small)
    crowd_frame, crowd = frame_with_faces(20, 64)
    crowded = {n: Upscaler(engine=engine, detector=Known(crowd[:n])) for n in (0, 1, 20)}
    to_rgb, from_rgb, decoded = conversions(frame)
    shown = canvas.show(frame, sheet.upscale(frame, whole=False))
    taken = interleave(
        {
            "sheet": lambda: canvas.show(frame, sheet.upscale(frame, whole=False)),
            "to rgb": lambda: to_rgb(decoded),
            "from rgb": lambda: from_rgb(shown),
            "compose": lambda: whole._compose(small, result.faces),  # noqa: SLF001 (what is measured)
            "resize": lambda: cv2.resize(small, (1920, 1080), interpolation=cv2.INTER_CUBIC),
            **{f"{n} faces": lambda u=u: u.upscale(crowd_frame) for n, u in crowded.items()},
        },
        rounds=rounds,
        threads=threads,
    )
    p50 = {name: samples.p50 for name, samples in taken.items()}
    first, each = p50["1 faces"] - p50["0 faces"], (p50["20 faces"] - p50["0 faces"]) / 20
    rows = [
        row(
            "640x480, one face, --view faces: all but decode, detection, engine, encode",
            p50["sheet"], "ms a frame", 1.0, p90_ms=round(taken["sheet"].percentile(90), 4),
            frame_to_RGB_ms=round(p50["to rgb"], 4), sheet_from_RGB_ms=round(p50["from rgb"], 4),
        ),
        row(
            "--view frame at 1920x1080: compositing against one cv2.resize",
            p50["compose"] / p50["resize"], "x", 1.15,
            compositing_ms=round(p50["compose"], 4), resize_ms=round(p50["resize"], 4),
        ),
        row(
            "20 faces in a frame: time a face against one face", each / first, "x", 0.95,
            one_face_ms=round(first, 4), each_of_20_ms=round(each, 4),
        ),
    ]  # fmt: skip
    return rows, taken[CONTROL].spread


def conversions(frame: UInt8) -> tuple[ToRgb, FromRgb, av.VideoFrame]:
    """Both ways between a decoded frame and RGB, and such a frame."""
    plain = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p")
    colour, _ = colour_of(plain)
    height, width = frame.shape[:2]
    return (
        ToRgb(colour, width, height, 1),
        FromRgb(output_colour(colour, width, height), "yuv420p", 1),
        plain,
    )


def clips_row(
    clips: list[Path], engine: Engine, threads: int, rounds: int, duration_s: float | None
) -> dict[str, Any]:
    """Row 3: the sum over clips of each one's median, ours against the parts'."""
    ours = bare = 0.0
    stages: dict[str, float] = dict.fromkeys(("decode", "detect", "engine", "encode"), 0.0)
    frames = 0
    for clip in tqdm(clips, unit="clip", disable=None, leave=False):
        pipeline: list[float] = []
        parts: list[dict[str, float]] = []
        for turn in range(rounds):
            order = (0, 1) if turn % 2 == 0 else (1, 0)
            for which in order:
                if which == 0:
                    seconds, frames_now = end_to_end_s(clip, engine, threads, duration_s)
                    pipeline.append(seconds)
                else:
                    parts.append(bare_s(clip, engine, threads, duration_s))
        frames += frames_now
        ours += statistics.median(pipeline)
        medians = {name: statistics.median(part[name] for part in parts) for name in stages}
        bare += sum(medians.values())
        for name, seconds in medians.items():
            stages[name] += seconds
    return row(
        f"{len(clips)} clips end to end against decode + detection + engine + encode bare",
        ours / bare, "x", 1.10, frames=frames, frames_per_s=round(frames / ours, 2),
        end_to_end_s=round(ours, 3), **{f"bare_{n}_s": round(s, 3) for n, s in stages.items()},
    )  # fmt: skip


def end_to_end_s(
    clip: Path, engine: Engine, threads: int, duration_s: float | None
) -> tuple[float, int]:
    """Seconds of the whole pipeline, and its number of frames."""
    with tempfile.TemporaryDirectory() as folder:
        upscaler = Upscaler(engine=engine)
        options = VideoOptions(threads=threads, duration_s=duration_s)
        start = time.perf_counter()
        report = upscale_clip(clip, Path(folder) / "out.mp4", upscaler, options)
        return time.perf_counter() - start, report.frames


def bare_s(clip: Path, engine: Engine, threads: int, duration_s: float | None) -> dict[str, float]:
    """Seconds of each part over the clip by itself; what it needs from the others is made untimed."""
    detector = open_detector("haar")
    options = VideoOptions(threads=threads, duration_s=duration_s)
    with Reader(clip, options) as reader:
        pictures = [step.picture for step in reader if step.picture is not None]
        colour, rate, tick = reader.colour, reader.rate, reader.time_base
    start = time.perf_counter()
    decoded = sum(1 for _ in bare_decode(clip, threads, len(pictures)))
    seconds = {"decode": time.perf_counter() - start}
    if decoded != len(pictures):
        raise SystemExit(f"{clip}: {decoded} frames decoded, {len(pictures)} by the reader")
    start = time.perf_counter()
    found = [detector.detect(picture.rgb) for picture in pictures]
    seconds["detect"] = time.perf_counter() - start
    batches = [
        np.stack(crops)
        for picture, faces in zip(pictures, found, strict=True)
        for crops in crops_by_side(picture.rgb, faces)
    ]
    for shape in {batch.shape for batch in batches}:
        engine.run(
            np.zeros(shape, np.uint8)
        )  # compiled, as it is for the pipeline after its first run
    start = time.perf_counter()
    for batch in batches:
        engine.run(batch)
    seconds["engine"] = time.perf_counter() - start
    upscaler = Upscaler(engine=engine, detector=Known([]))
    made: list[tuple[av.VideoFrame, int]] = []
    convert: FromRgb | None = None
    for picture, faces in zip(pictures, found, strict=True):
        upscaler.detector = Known(faces)
        shown = upscaler.upscale(picture.rgb).frame
        if convert is None:
            convert = FromRgb(output_colour(colour, shown.shape[1], shown.shape[0]), "yuv420p", 1)
        made.append((convert(shown), picture.pts))
    seconds["encode"] = bare_encode_s(made, rate, tick, threads)
    return seconds


def bare_decode(clip: Path, threads: int, count: int) -> Iterator[av.VideoFrame]:
    """The first `count` frames, straight from PyAV."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.thread_type = threads, "AUTO"
        yield from itertools.islice(container.decode(stream), count)


def crops_by_side(frame: UInt8, faces: list[Face]) -> list[list[UInt8]]:
    """The frame's windows, one list for each side, as the upscaler batches them."""
    windows = [window_for(face.box, *frame.shape[:2]) for face in faces]
    held = [window for window in windows if window is not None]
    return [[cut(frame, held[k]) for k in places] for places in group_by_side(held).values()]


def bare_encode_s(
    made: list[tuple[av.VideoFrame, int]], rate: Fraction, tick: Fraction, threads: int
) -> float:
    """Seconds of encoding ready frames into a file with the pipeline's settings, straight by PyAV."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with av.open(
            f"{folder}/out.mp4", "w", container_options={"movflags": "+faststart"}
        ) as container:
            stream = container.add_stream(
                ENCODER.name, rate=rate, options=ENCODER.options(None, None)
            )
            stream.width, stream.height, stream.pix_fmt = (
                made[0][0].width,
                made[0][0].height,
                "yuv420p",
            )
            context = stream.codec_context
            context.time_base = stream.time_base = tick
            context.thread_count, context.thread_type = threads, "AUTO"
            for frame, pts in made:
                frame.pts, frame.time_base = pts, tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return time.perf_counter() - start


def memory_row(clip: Path, engine: Engine, threads: int, count: int) -> dict[str, Any]:
    """Row 5: what the process's memory of its own grows by after the first tenth of the frames."""
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        write_long_clip(clip, long, count)
        seen_mib: list[float] = []

        def look(frame: FrameDone) -> None:
            if frame.number % (count // 100) == 0:
                seen_mib.append(own_memory_mib())

        upscaler = Upscaler(engine=engine)
        report = upscale_clip(
            long, Path(folder) / "out.mp4", upscaler, VideoOptions(threads=threads), on_frame=look
        )
    warm = seen_mib[len(seen_mib) // 10]
    return row(
        f"memory over {report.frames:,} frames after warm-up",
        max(0.0, statistics.median(seen_mib[-5:]) - warm), "MiB", 2.0,
        after_a_tenth_MiB=round(warm, 2), at_the_end_MiB=round(seen_mib[-1], 2),
        most_MiB=round(max(seen_mib), 2), faces=report.faces,
    )  # fmt: skip


def write_long_clip(clip: Path, target: Path, count: int) -> None:
    """The clip's frames, shrunk, over and over until there are `count`."""
    with Reader(clip, VideoOptions(duration_s=2)) as reader:
        pictures = [
            cv2.resize(step.picture.rgb, LONG_PX, interpolation=cv2.INTER_AREA)
            for step in reader
            if step.picture is not None
        ]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *LONG_PX, "yuv420p"
        for picture in itertools.islice(itertools.cycle(pictures), count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def own_memory_mib() -> float:
    """Resident memory that is not backed by a file (proc(5))."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system's /proc/self/status has no RssAnon: the memory row needs it")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    clips = sorted((args.data / "video").glob("*.mkv"))[: args.clips]
    if not clips:
        raise SystemExit(f"{args.data} holds no video/*.mkv")
    cv2.setNumThreads(args.threads)
    engine = open_engine(args.model, threads=args.threads)
    before = load_average()
    rows, spread = micro(engine, args.threads, args.rounds)
    clips_ratio = clips_row(clips, engine, args.threads, args.clip_rounds, args.clip_seconds)
    memory = memory_row(clips[0], engine, args.threads, args.frames)
    return {
        "kind": KIND,
        "format": FORMAT,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": cpu(),
        "versions": versions("numpy", "opencv-python", "openvino", "av", "idrn-trt"),
        "threads": args.threads,
        "model": engine.spec.model,
        "engine": f"{engine.spec.engine} {engine.spec.precision}",
        "model_sha256": engine.spec.model_sha256,
        "encoder": {"name": ENCODER.name, **ENCODER.options(None, None)},
        "load_average": {"before": before, "after": load_average()},
        "control_spread": round(spread, 4),
        "void": spread > MOST_CONTROL_SPREAD,
        "rows": [*rows[:2], clips_ratio, rows[2], memory],
    }


def main() -> int:
    """Measure, print, write; exit 1 when the control voids the run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12, help="of rows 1, 2 and 4")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--clip-rounds", type=int, default=3)
    parser.add_argument("--clip-seconds", type=float, help="of each clip (default: all of it)")
    parser.add_argument("--frames", type=int, default=LONG_FRAMES, help="of the memory row")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    document = run(args)
    print(table(("what", "figure", "to reach", "reached"), cells(document)))
    for entry in document["rows"]:
        print(f"{entry['what']}: {entry['parts']}")
    if document["void"]:
        print("void: the control varied by more than a tenth, the machine is not quiet")
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 1 if document["void"] else 0


if __name__ == "__main__":
    sys.exit(main())
