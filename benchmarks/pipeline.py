"""What a clip or frame costs beside the network: compositing, the video pipeline, memory.

    python benchmarks/pipeline.py --data DIR --json benchmarks/results/pipeline.json

DIR holds video/*.mkv. In one process but for the last row, each row printed as soon as it is measured; Ctrl-C
ends with what was measured until then, and writes nothing:

- `--view faces` at 640x480 with one face: everything on the upscaling thread but detection and the
  engine (cutting, batching, copies, the sheet). Conversions from and to the video's colours, which run
  in the threads that decode and encode, are given beside it.
- Background and paste at 1920x1080 out, the face at another place each time, against one cubic
  cv2.resize of the same frame to that size; at the scale of an x4 model, and below it.
- Twenty faces in a frame against one: what a face adds to a frame without any (window, engine and paste).
- Clips end to end, wall time, against the same clips' decoding, detection, engine and encoding run bare,
  each by itself over the whole clip, with as many threads, summed. The bare encoder gets the very frames
  that the pipeline made, already in its colours.
- Memory of a process's own over 10,000 frames after a warm-up of a tenth of them.

The sides of a ratio take turns in short blocks, and the figure is the median of the rounds' ratios: whatever
else slows the machine down then slows both (docs/decisions/036). Clips take turns one by one. How much a
control varied beside the single frames' rows is recorded.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pipeline_clips as clips
import pipeline_frames as frames
from pipeline_memory import memory_row
from pipeline_report import FORMAT, HEADS, KIND, cells

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import load_average
from idrn_trt.engines import open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.files import write_text
from idrn_trt.tables import table
from idrn_trt.video.options import VideoOptions
from idrn_trt.zoo import DEFAULT_MODEL


class Run:
    """One run: its rows, in the order measured, and the control's spread."""

    def __init__(self, args: argparse.Namespace, engine: Engine, paths: list[Path]) -> None:
        self._args = args
        self._engine = engine
        self._paths = paths
        self.rows: list[dict[str, Any]] = []
        self.spread = 0.0

    def measure(self) -> bool:
        """Measure and print row by row; False when Ctrl-C ended it."""
        try:
            for row in self._measured():
                self.rows.append(row)
                print(
                    f"{row['what']}: {row['figure']:.2f} {row['unit']}; {row['parts']}", flush=True
                )
        except KeyboardInterrupt:
            return False
        return True

    def _measured(self) -> Iterator[dict[str, Any]]:
        args, engine = self._args, self._engine
        say(f"single frames: up to {args.frame_seconds:g} s")
        for row, spread in frames.measured(engine, args.threads, args.frame_seconds):
            self.spread = max(self.spread, spread)
            yield row
        say(f"{len(self._paths)} clips, {args.clip_rounds} times each")
        yield from self._clips()
        say(f"memory over {args.frames:,} frames")
        yield memory_row(self._paths[0], args.model, args.threads, args.frames)

    def _clips(self) -> Iterator[dict[str, Any]]:
        """One row; after Ctrl-C that of the clips done until then."""
        args = self._args
        options = VideoOptions(threads=args.threads, duration_s=args.clip_seconds)
        done: list[clips.Taken] = []
        try:
            done.extend(clips.measure(self._paths, self._engine, args.clip_rounds, options))
        finally:
            if done:
                yield clips.clips_row(done)

    def document(self, load_before: list[float]) -> dict[str, Any]:
        """What is recorded."""
        spec = self._engine.spec
        return {
            "kind": KIND,
            "format": FORMAT,
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "machine": cpu(),
            "versions": versions("numpy", "opencv-python", "openvino", "av", "idrn-trt"),
            "threads": self._args.threads,
            "model": spec.model,
            "engine": f"{spec.engine} {spec.precision}",
            "model_sha256": spec.model_sha256,
            "encoder": {"name": clips.ENCODER.name, **clips.ENCODER.options(None, None)},
            "load_average": {"before": load_before, "after": load_average()},
            "control_spread": round(self.spread, 4),
            "rows": self.rows,
        }


def say(what: str) -> None:
    """What is being measured now."""
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """The command line. By default a run takes about 8 minutes on two idle cores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--model", default=DEFAULT_MODEL)
    add("--threads", type=int, default=2)
    add(
        "--frame-seconds",
        type=float,
        default=150,
        help="for all single-frame rows together, at most",
    )
    add("--clips", type=int, default=12)
    add("--clip-rounds", type=int, default=2)
    add("--clip-seconds", type=float, help="of each clip (default: all of it)")
    add("--frames", type=int, default=10_000, help="of the memory row")
    add("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    args = arguments()
    paths = sorted((args.data / "video").glob("*.mkv"))[: args.clips]
    if not paths:
        raise SystemExit(f"{args.data} holds no video/*.mkv")
    warnings.simplefilter("ignore")
    cv2.setNumThreads(args.threads)
    load_before = load_average()
    engine = open_engine(args.model, threads=args.threads)
    run = Run(args, engine, paths)
    whole = run.measure()
    document = run.document(load_before)
    if run.rows:
        print(table(HEADS, cells(document)))
    if not whole:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
