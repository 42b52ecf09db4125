"""Streams in real time: rate, age, processor time, reuse, stability, memory.

    python benchmarks/stream.py --data DIR --json benchmarks/results/stream.json
    python benchmarks/stream.py --data DIR --rows memory --frames 300000 --reconnects 3000   half an hour

DIR holds video/*.mkv: 640x480 at 30 frames/s with one face of 50 to 70 px. In one process, each row printed
as soon as it is measured:

- paced: clips played at their own pace as cameras (four at 10 frames/s: every third frame), frames dropped
  where they come too fast: the share that is lost, and how old a frame is (95th percentile) once it is at
  the null sink. As on the command line, the network's detail is carried onto frames that cannot wait for it.
- carried: all clips so, once each, and how like the network's own pictures those faces are.
- appears: how long after a face of 24 px comes up somewhere in a scene of 1920x1080 it is found.
- overhead: processor time of a whole stream beside its parts run bare, each over the same frames.
- still: one frame of a clip with noise of sigma 2 anew each time: how often the engine runs, and without
  reuse the mean difference of consecutive results over that of bicubic ones.
- reuse: clips with reuse against the same without.
- memory: a camera that breaks off again and again, for so many frames and so often, in a process of its own.

--pictures DIR writes frames in time order besides, to be looked at for flicker and seams.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import stream_rows as rows
from pipeline_report import HEADS, cells
from stream_carried import carried
from stream_memory import memory
from stream_report import FORMAT, KIND

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import load_average
from idrn_trt.engines import open_engine
from idrn_trt.files import write_text
from idrn_trt.tables import table
from idrn_trt.zoo import DEFAULT_DETECTOR, DEFAULT_MODEL

ROWS = ("paced", "carried", "appears", "overhead", "still", "reuse", "memory")


def arguments() -> argparse.Namespace:
    """The command line. By default a run takes about 15 minutes on two idle cores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--rows", nargs="+", choices=ROWS, default=ROWS)
    add("--model", default=DEFAULT_MODEL)
    add("--detector", default=DEFAULT_DETECTOR)
    add("--threads", type=int, default=2)
    add("--seconds", type=float, default=60, help="of each paced row, and of appears")
    add("--still-frames", type=int, default=300)
    add("--clips", type=int, default=4, help="of the row on reuse")
    add("--frames", type=int, default=100_000, help="of the row on memory")
    add("--reconnects", type=int, default=1_000, help="likewise")
    add("--pictures", type=Path)
    add("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    args = arguments()
    clips = sorted((args.data / "video").glob("*.mkv"))
    if len(clips) < 4:
        raise SystemExit(f"{args.data} holds {len(clips)} video/*.mkv, expected 4 or more")
    warnings.simplefilter("ignore")
    cv2.setNumThreads(args.threads)
    load_before = load_average()
    engine = open_engine(args.model, threads=args.threads)
    detector = args.detector
    measured: dict[str, Callable[[], rows.Rows]] = {
        "paced": lambda: rows.paced(clips, engine, args.threads, args.seconds, detector),
        "carried": lambda: carried(clips, engine, args.seconds, detector),
        "appears": lambda: rows.appears(clips[0], engine, args.seconds, detector),
        "overhead": lambda: rows.overhead(clips[0], engine, args.threads, 10_000, detector),
        "still": lambda: rows.still(clips[0], engine, args.still_frames, detector),
        "reuse": lambda: rows.reuse(clips[: args.clips], engine, detector),
        "memory": lambda: memory(
            clips[0], args.model, args.threads, args.frames, args.reconnects, detector
        ),
    }
    done = []
    for name in args.rows:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for line in measured[name]():
            done.append(line)
            print(table(HEADS, cells({"rows": [line]})), flush=True)
    if args.pictures is not None:
        rows.views(clips[0], engine, args.pictures, detector)
    spec = engine.spec
    document = {
        "kind": KIND,
        "format": FORMAT,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": cpu(),
        "versions": versions("numpy", "opencv-python", "openvino", "av", "idrn-trt"),
        "threads": args.threads,
        "model": spec.model,
        "engine": f"{spec.engine} {spec.precision}",
        "model_sha256": spec.model_sha256,
        "detector": detector,
        "load_average": {"before": load_before, "after": load_average()},
        "rows": done,
    }
    print(table(HEADS, cells(document)))
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
