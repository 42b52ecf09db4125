"""libidrn and idrnsr beside what they stand for: OpenVINO's own call, and Python's `upscale`.

    python benchmarks/native.py CLIP --json benchmarks/results/native.json

- The element and `upscale` take turns, each with all frames of the clip, made smaller, and the same boxes:
  Haar's, in whole pixels, found beforehand. Wall time, each round's
  own ratio (docs/decisions/036); how much a control beside them varied is recorded.
- One window through `idrn_run` and through OpenVINO's own call, by native/tests/call_ratio.cpp: in turns,
  one thread, processor time.

Both use int8. Needs the native build (docs/native.md): build/ of the source tree, or IDRN_NATIVE_BUILD.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from native_report import FORMAT, KIND
from pipeline_ratio import ratio_row
from pipeline_report import HEADS, cells, row

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import CONTROL, Case, Samples, interleave, load_average
from idrn_trt.faces.detect import open_detector
from idrn_trt.files import write_text
from idrn_trt.tables import table
from idrn_trt.types import Box, Face
from idrn_trt.upscaler import Upscaler

UInt8 = npt.NDArray[np.uint8]
Boxes = list[list[Box]]

ROOT = Path(__file__).resolve().parents[1]


class Given:
    """A detector that hands out the boxes of one frame after the other, again and again."""

    name = "given"
    smallest_face_px = 8

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes
        self._frame = 0

    def detect(self, frame: UInt8) -> list[Face]:  # noqa: ARG002 (what a Detector takes)
        """The next frame's faces."""
        found = self._boxes[self._frame % len(self._boxes)]
        self._frame += 1
        return [Face(box, 1.0) for box in found]


def read(clip: Path, most: int, size: tuple[int, int]) -> UInt8:
    """The clip's first frames at that (width, height), uint8 RGB (N, H, W, 3)."""
    with av.open(str(clip)) as container:
        decoded = islice(container.decode(video=0), most)
        frames = [frame.to_ndarray(format="rgb24") for frame in decoded]
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    return np.asarray(small, np.uint8)


def find(frames: UInt8) -> Boxes:
    """Haar's faces, in whole pixels as a region of interest's are."""
    detector = open_detector("haar")
    return [
        [Box(*map(round, (f.box.x, f.box.y, f.box.w, f.box.h))) for f in detector.detect(frame)]
        for frame in frames
    ]


def built(name: str) -> Path:
    """A file of the native build. Raises SystemExit where it is not."""
    path = Path(os.environ.get("IDRN_NATIVE_BUILD", ROOT / "build"), "native", name)
    if not path.is_file():
        raise SystemExit(f"{path} is not built: see docs/native.md")
    return path


@contextmanager
def element(frames: UInt8, boxes: Boxes, model: Path, threads: int) -> Iterator[Case]:
    """A case: all frames once through the element, in a process of its own."""
    height, width = frames.shape[1:3]
    rows = [
        f"{number} {box.x} {box.y} {box.w} {box.h}\n"
        for number, found in enumerate(boxes)
        for box in found
    ]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "frames.rgb").write_bytes(frames.tobytes())
        (place / "boxes.txt").write_text("".join(rows), encoding="utf-8")
        given = [model, threads, width, height, place / "frames.rgb", place / "boxes.txt"]
        process = subprocess.Popen(
            [str(part) for part in (built("tests/element_time"), *given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "GST_PLUGIN_PATH": str(built("gst/libgstidrnsr.so").parent),
                "GST_REGISTRY": str(place / "registry.bin"),
            },
        )
        try:
            yield lambda: _pass(process)
        finally:
            process.communicate()


def _pass(process: subprocess.Popen[str]) -> None:
    ask, answer = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    ask.write("\n")
    ask.flush()
    if answer.readline() != "done\n":
        raise SystemExit("the element's process ended early")


def in_turns(frames: UInt8, boxes: Boxes, args: argparse.Namespace) -> dict[str, Samples]:
    """All frames through either, "element" and "python", and the control."""
    cv2.setNumThreads(args.threads)
    with (
        element(frames, boxes, args.model, args.threads) as through,
        Upscaler(
            args.model, "openvino", precision="int8", threads=args.threads, detector=Given(boxes)
        ) as upscaler,
    ):

        def python() -> None:
            for frame in frames:
                upscaler.upscale(frame)

        cases: dict[str, Case] = {"element": through, "python": python}
        return interleave(cases, rounds=args.rounds, block=1, warm=1, threads=args.threads)


def element_row(taken: dict[str, Samples], frames: int, faces: int) -> dict[str, Any]:
    """The element's time over Python's, of each round's own two passes."""
    ours, python = taken["element"].ms, taken["python"].ms
    return ratio_row(
        "a clip through idrnsr over Python's upscale", ours / python, 1.0,
        element_ms_a_frame=round(float(np.median(ours)) / frames, 3),
        python_ms_a_frame=round(float(np.median(python)) / frames, 3),
        frames=frames, faces=faces,
    )  # fmt: skip


def call_row(model: Path) -> dict[str, Any]:
    """idrn_run's time over that of OpenVINO's own call."""
    command = [str(built("tests/call_ratio")), str(model)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return row("idrn_run over OpenVINO's own call", told.pop("ratio"), "x", 1.02, **told)


def arguments() -> argparse.Namespace:
    """The command line. By default a run takes about 2 minutes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("clip", type=Path)
    add("--model", type=Path, default=ROOT / "models" / "idrn-d8-w64-x4-real")
    add("--threads", type=int, default=2)
    add("--frames", type=int, default=40)
    add("--size", default="320x240", help="what the frames are made first (default: %(default)s)")
    add("--rounds", type=int, default=30)
    add("--json", type=Path)
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    args = arguments()
    width, height = map(int, args.size.split("x"))
    frames = read(args.clip, args.frames, (width, height))
    boxes = find(frames)
    load_before = load_average()
    taken = in_turns(frames, boxes, args)
    document = {
        "kind": KIND,
        "format": FORMAT,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": cpu(),
        "versions": versions("numpy", "opencv-python", "openvino", "idrn-trt"),
        "threads": args.threads,
        "model": args.model.name,
        "size": args.size,
        "load_average": {"before": load_before, "after": load_average()},
        "control_spread": round(taken[CONTROL].spread, 4),
        "rows": [element_row(taken, len(frames), sum(map(len, boxes))), call_row(args.model)],
    }
    print(table(HEADS, cells(document)))
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
