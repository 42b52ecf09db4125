"""What the face detectors find, what they take for a face, and how long that takes.

    python benchmarks/detection.py --data DIR --json benchmarks/results/detection.json

DIR holds video/*.mkv (clips with one face in every frame), faces/test/*.jpg (square crops, 1.3 times
the face), scenes/background/*.jpg (pictures without a face) and detector/face_detection_yunet_2023mar.onnx.

Clips: default settings; the truth is YuNet's surest face of the frame at native scale, so YuNet's own
recall there is 1 by definition. Scenes: every test face once, its size set and its edge feathered to an
ellipse, eight at a time on a mosaic of background pictures; the truth is where it was put. Sweep: the
same on small scenes at sizes from 8 to 48 px; the smallest reliable face is the smallest size from which
on recall is at least 0.9. A face counts as found when a box overlaps it with IoU >= 0.3; a box that does
so with no face is false. Times are of `detect` alone, measured first, over some of the frames.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from idrn_trt.faces.detect import DETECTORS, Detector, open_detector
from idrn_trt.types import Box

UInt8 = npt.NDArray[np.uint8]

THREADS = 2
MATCH_IOU = 0.3
RELIABLE = 0.9
CROP_OVER_FACE = 1.3
FEATHER = 0.25
CELL_PX = (320, 216)
SCENE_SIZES = ((1280, 720), (1920, 1080))
SCENE_FACE_PX = 32
FACES_A_SCENE = 8
SWEEP_SIZE = (640, 480)
SWEEP_FACES = 4
SWEEP_PX = (12, 16, 20, 22, 24, 26, 28, 32, 40, 48)
# Calls of a detector on a frame before another one has its turn.
UNTIMED, TIMED = 3, 5
TIMED_FRAMES = {"clips": 24, "1280x720": 8, "1920x1080": 5}


class Scene(NamedTuple):
    """A picture and where its faces are."""

    frame: UInt8
    truth: list[Box]


class Pictures(NamedTuple):
    """What scenes are made of."""

    backgrounds: list[Path]
    faces: list[UInt8]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    w = max(0.0, min(a.x + a.w, b.x + b.w) - max(a.x, b.x))
    h = max(0.0, min(a.y + a.h, b.y + b.h) - max(a.y, b.y))
    return w * h / (a.w * a.h + b.w * b.h - w * h)


def read(path: Path) -> UInt8:
    """A picture file as uint8 RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} cannot be read as a picture")
    return np.ascontiguousarray(picture[..., ::-1])


def clip_frames(data: Path) -> Iterator[UInt8]:
    """Every frame of every clip, RGB."""
    for path in sorted(data.glob("video/*.mkv")):
        clip = cv2.VideoCapture(str(path))
        while True:
            more, frame = clip.read()
            if not more:
                break
            yield np.ascontiguousarray(frame[..., ::-1])
        clip.release()


def mosaic(size: tuple[int, int], pictures: Pictures, rng: np.random.Generator) -> UInt8:
    """Background pictures side by side, each filling a cell."""
    width, height = size
    scene = np.empty((height, width, 3), np.uint8)
    lefts = np.linspace(0, width, width // CELL_PX[0] + 1).astype(int)
    tops = np.linspace(0, height, height // CELL_PX[1] + 1).astype(int)
    for top, bottom in itertools.pairwise(tops):
        for left, right in itertools.pairwise(lefts):
            picture = read(pictures.backgrounds[rng.integers(len(pictures.backgrounds))])
            cell = filling(picture, right - left, bottom - top)
            scene[top:bottom, left:right] = cell
    return scene


def filling(picture: UInt8, width: int, height: int) -> UInt8:
    """The picture at the scale that just covers width by height, cut to that."""
    ratio = max(width / picture.shape[1], height / picture.shape[0])
    size = (
        max(width, round(picture.shape[1] * ratio)),
        max(height, round(picture.shape[0] * ratio)),
    )
    large = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:height, :width], np.uint8)


def put_face(scene: UInt8, crop: UInt8, px: int, centre: tuple[float, float]) -> Box:
    """The crop into the scene so that its face measures px, within a feathered ellipse."""
    side = round(px * CROP_OVER_FACE)
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(float)
    x, y = int(centre[0] - side / 2), int(centre[1] - side / 2)
    from_centre = (np.arange(side) + 0.5) / (side / 2) - 1
    radius = np.hypot(from_centre[:, None], from_centre)
    alpha = np.clip((1 - radius) / FEATHER, 0, 1)[..., None]
    part = scene[y : y + side, x : x + side]
    part[...] = np.rint(part + (small - part) * alpha)
    return Box(x + (side - px) / 2, y + (side - px) / 2, px, px)


def free_place(size: tuple[int, int], px: int, taken: list[Box], rng: np.random.Generator) -> Any:
    """A centre inside the frame and two faces away from every other."""
    while True:
        x, y = rng.uniform(px, size[0] - px), rng.uniform(px, size[1] - px)
        if all(max(abs(b.x + px / 2 - x), abs(b.y + px / 2 - y)) > 2 * px for b in taken):
            return x, y


def scenes(size: tuple[int, int], px: int, faces: int, pictures: Pictures) -> Iterator[Scene]:
    """Every face once, some in each scene; the same scenes for every detector."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(pictures.faces))
    for first in range(0, len(order), faces):
        scene = mosaic(size, pictures, rng)
        truth: list[Box] = []
        for index in order[first : first + faces]:
            centre = free_place(size, px, truth, rng)
            truth.append(put_face(scene, pictures.faces[index], px, centre))
        yield Scene(scene, truth)


class Tally:
    """Faces found and boxes that are none, over frames."""

    def __init__(self) -> None:
        self.frames = self.faces = self.found = self.false = self.frames_with_a_box = 0

    def add(self, boxes: list[Box], truth: list[Box]) -> None:
        """Count one frame."""
        self.frames += 1
        self.faces += len(truth)
        self.frames_with_a_box += bool(boxes)
        self.found += sum(any(iou(box, face) >= MATCH_IOU for box in boxes) for face in truth)
        self.false += sum(all(iou(box, face) < MATCH_IOU for face in truth) for box in boxes)

    def figures(self) -> dict[str, float]:
        """What is reported."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "recall": round(self.found / self.faces, 4),
            "frames_with_a_box": round(self.frames_with_a_box / self.frames, 4),
            "false_per_100_frames": round(100 * self.false / self.frames, 2),
        }


def count(detectors: dict[str, Detector], some: Iterator[Scene], what: str, total: int) -> Any:
    """Figures of each detector over the same pictures."""
    tallies = {name: Tally() for name in detectors}
    for scene in tqdm(some, what, total, leave=False):
        for name, detector in detectors.items():
            boxes = [face.box for face in detector.detect(scene.frame)]
            tallies[name].add(boxes, scene.truth)
    return {name: tally.figures() for name, tally in tallies.items()}


def clips(data: Path, reference: Detector) -> Iterator[Scene]:
    """The clips' frames, with the reference's surest face as their truth."""
    for frame in clip_frames(data):
        faces = reference.detect(frame)
        yield Scene(frame, [max(faces, key=lambda face: face.score).box] if faces else [])


def times(detectors: dict[str, Detector], frames: dict[str, list[UInt8]]) -> Any:
    """Milliseconds of one `detect`: of the wall clock, and of all processors.

    The detectors take turns on every frame, in blocks of TIMED calls after UNTIMED ones, as in
    docs/decisions/012: the first call after another detector pays for the threads that one left spinning.
    On a machine that is doing other work the wall clock's least and the processor time still mean something.
    """
    return {
        kind: _times_of(detectors, tqdm(pictures, f"times {kind}", leave=False))
        for kind, pictures in frames.items()
    }


def _times_of(detectors: dict[str, Detector], pictures: Iterable[UInt8]) -> dict[str, Any]:
    wall: dict[str, list[float]] = {name: [] for name in detectors}
    cpu: dict[str, list[float]] = {name: [] for name in detectors}
    for frame in pictures:
        for name, detector in detectors.items():
            for _ in range(UNTIMED):
                detector.detect(frame)
            for _ in range(TIMED):
                start, cpu_start = time.perf_counter_ns(), time.process_time_ns()
                detector.detect(frame)
                wall[name].append((time.perf_counter_ns() - start) / 1e6)
                cpu[name].append((time.process_time_ns() - cpu_start) / 1e6)
    return {
        name: {
            "median_ms": round(statistics.median(wall[name]), 2),
            "min_ms": round(min(wall[name]), 2),
            "cpu_median_ms": round(statistics.median(cpu[name]), 2),
        }
        for name in detectors
    }


def timed_frames(data: Path, pictures: Pictures) -> dict[str, list[UInt8]]:
    """Frames to time on: some of every kind that recall is measured on."""
    every_clip = list(clip_frames(data))
    step = len(every_clip) // TIMED_FRAMES["clips"]
    frames = {"clips": every_clip[::step][: TIMED_FRAMES["clips"]]}
    for size in SCENE_SIZES:
        kind = f"{size[0]}x{size[1]}"
        some = scenes(size, SCENE_FACE_PX, FACES_A_SCENE, pictures)
        frames[kind] = [next(some).frame for _ in range(TIMED_FRAMES[kind])]
    return frames


def smallest_reliable(recalls: dict[int, float]) -> int | None:
    """The smallest size from which on every recall is at least RELIABLE."""
    smallest = None
    for px in sorted(recalls, reverse=True):
        if recalls[px] < RELIABLE:
            break
        smallest = px
    return smallest


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def measure(data: Path) -> dict[str, Any]:
    """Every figure."""
    yunet = data / "detector" / "face_detection_yunet_2023mar.onnx"
    files = {"yunet": yunet}
    detectors = {name: open_detector(name, model_file=files.get(name)) for name in DETECTORS}
    faces = [read(path) for path in sorted(data.glob("faces/test/*.jpg"))]
    pictures = Pictures(sorted(data.glob("scenes/background/*.jpg")), faces)
    report: dict[str, Any] = {"machine": machine(), "match_iou": MATCH_IOU}
    report["times"] = times(detectors, timed_frames(data, pictures))
    report["load_average_after_times"] = [round(load, 1) for load in os.getloadavg()]
    total = sum(1 for _ in clip_frames(data))
    report["clips"] = count(detectors, clips(data, detectors["yunet"]), "clips", total)
    for size in SCENE_SIZES:
        some = scenes(size, SCENE_FACE_PX, FACES_A_SCENE, pictures)
        kind = f"{size[0]}x{size[1]}"
        report[f"{SCENE_FACE_PX}_px_in_{kind}"] = count(
            detectors, some, kind, -(-len(faces) // FACES_A_SCENE)
        )
    report["sweep"] = sweep(detectors, pictures)
    return report


def sweep(detectors: dict[str, Detector], pictures: Pictures) -> dict[str, Any]:
    """Recall by the face's size, with the detectors at native scale."""
    figures = {
        px: count(
            detectors,
            scenes(SWEEP_SIZE, px, SWEEP_FACES, pictures),
            f"{px} px",
            -(-len(pictures.faces) // SWEEP_FACES),
        )
        for px in SWEEP_PX
    }
    recalls = {n: {px: figures[px][n]["recall"] for px in SWEEP_PX} for n in detectors}
    return {
        "recall": recalls,
        "smallest_reliable_px": {name: smallest_reliable(r) for name, r in recalls.items()},
    }


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| pictures | detector | recall | false / 100 frames | ms | least ms | CPU ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in ("clips", *(f"{SCENE_FACE_PX}_px_in_{w}x{h}" for w, h in SCENE_SIZES)):
        for name, figures in report[part].items():
            ms = report["times"][part.rpartition("_")[2]][name].values()
            lines.append(
                f"| {part.replace('_', ' ')} | {name} | {figures['recall']:.3f} | "
                f"{figures['false_per_100_frames']} | {' | '.join(map(str, ms))} |"
            )
    lines += [
        "",
        "| px | " + " | ".join(map(str, SWEEP_PX)) + " |",
        "|---" * (len(SWEEP_PX) + 1) + "|",
    ]
    for name, recalls in report["sweep"]["recall"].items():
        lines.append(f"| {name} | " + " | ".join(f"{r:.2f}" for r in recalls.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    args = parser.parse_args()
    cv2.setNumThreads(THREADS)
    report = measure(args.data)
    print(table(report))
    print(f"\nsmallest reliable face, px: {report['sweep']['smallest_reliable_px']}")
    if args.json:
        partial = args.json.with_name(args.json.name + ".partial")
        partial.write_text(json.dumps(report, indent=2) + "\n")
        os.replace(partial, args.json)


if __name__ == "__main__":
    main()
