"""How fast idrnsr is beside Python's `upscale`, on the same clip with the same boxes, in turns.

    python benchmarks/native.py CLIP [--model FOLDER] [--frames N] [--rounds N] [--size WxH]

Each has one thread, and times are processor time, which other programs on the machine disturb least. The
pipeline's is that of a stream of twice as many frames less that of one, so that starting and compiling do
not count. Boxes are Haar's, rounded to pixels, found beforehand.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.faces.detect import open_detector
from idrn_trt.types import Box, Face
from idrn_trt.upscaler import Upscaler

UInt8 = npt.NDArray[np.uint8]
ROOT = Path(__file__).parents[1]


class Given:
    """A detector that hands out the boxes of one frame after the other."""

    name = "given"
    smallest_face_px = 8

    def __init__(self, boxes: list[list[Box]]) -> None:
        self.boxes = boxes
        self.frame = 0

    def detect(self, frame: UInt8) -> list[Face]:  # noqa: ARG002 (what a Detector takes)
        """The next frame's faces."""
        found = self.boxes[self.frame % len(self.boxes)]
        self.frame += 1
        return [Face(box, 1.0) for box in found]


def read(clip: Path, count: int, size: tuple[int, int]) -> UInt8:
    """The clip's first frames at that size, RGB."""
    with av.open(str(clip)) as container:
        decoded = zip(container.decode(video=0), range(count), strict=False)
        frames = [frame.to_ndarray(format="rgb24") for frame, _ in decoded]
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    return np.asarray(small, np.uint8)


def find(frames: UInt8) -> list[list[Box]]:
    """Haar's faces, in whole pixels."""
    detector = open_detector("haar")
    return [
        [Box(*map(round, (f.box.x, f.box.y, f.box.w, f.box.h))) for f in detector.detect(frame)]
        for frame in frames
    ]


def of_python(upscaler: Upscaler, frames: UInt8) -> float:
    """Seconds for all frames."""
    start = time.process_time()
    for frame in frames:
        upscaler.upscale(frame)
    return time.process_time() - start


def of_pipeline(
    place: Path, frames: UInt8, boxes: list[list[Box]], times: int, model: Path
) -> float:
    """Seconds of a process that upscales all frames so many times over."""
    height, width = frames.shape[1:3]
    with (place / "in.rgb").open("wb") as file:
        for _ in range(times):
            file.write(frames.tobytes())
    rows = [
        f"{time_ * len(boxes) + number} {box.x} {box.y} {box.w} {box.h}"
        for time_ in range(times)
        for number, found in enumerate(boxes)
        for box in found
    ]
    (place / "boxes.txt").write_text("\n".join(rows))
    pipeline = (
        f"filesrc location={place}/in.rgb ! rawvideoparse format=rgb width={width} height={height} "
        f"framerate=25/1 ! idrnsr name=sr model={model} precision=int8 threads=1 ! fakesink"
    )
    build = Path(os.environ.get("IDRN_NATIVE_BUILD", ROOT / "build"), "native")
    environment = {
        **os.environ,
        "GST_PLUGIN_PATH": str(build / "gst"),
        "GST_REGISTRY": str(place / "registry.bin"),
    }
    start = _children_s()
    command = [str(build / "examples" / "gst_boxes"), str(place / "boxes.txt"), *pipeline.split()]
    subprocess.run(command, env=environment, check=True)
    return _children_s() - start


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print the ratio of each round and their median."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "idrn-d8-w64-x4-real")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="320x240")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    frames = read(options.clip, options.frames, (width, height))
    boxes = find(frames)
    print(f"{len(frames)} frames of {options.size}, {sum(map(len, boxes))} faces")
    cv2.setNumThreads(1)
    ratios = []
    with (
        tempfile.TemporaryDirectory() as place,
        Upscaler(
            options.model, "openvino", precision="int8", threads=1, detector=Given(boxes)
        ) as upscaler,
    ):
        of_python(upscaler, frames)
        for _ in range(options.rounds):
            once = of_pipeline(Path(place), frames, boxes, 1, options.model)
            python = of_python(upscaler, frames)
            twice = of_pipeline(Path(place), frames, boxes, 2, options.model)
            ratios.append(python / (twice - once))
            print(
                f"Python {python:.3f} s, element {twice - once:.3f} s: {ratios[-1]:.2f} times as fast"
            )
    print(f"median: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
