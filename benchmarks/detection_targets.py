"""The three detectors against what is asked of ours, on clips, whole pictures and composed scenes.

    python benchmarks/detection_targets.py --data DIR --json benchmarks/results/detection-targets.json
    python benchmarks/detection_targets.py --data DIR --pictures out/        boxes drawn, to be looked at
    python benchmarks/detection_targets.py --data DIR --scores               what each least score would give

DIR as for benchmarks/detection.py, with scenes/faces.csv and scenes/test/. A face counts as found when a box
overlaps it with IoU >= 0.5; a box that overlaps no face with half of that is false. `opencv-yunet` is
OpenCV's own YuNet, which the labels are from: in the clips its faces are the truth.

Composed: 1280x720 mosaics of the backgrounds that training never sees, with every face of scenes/test once
in each range of sizes, as it is, darkened and lightened. Jitter: the median over frames of how far a box's
left, top, width and height are from the mean of the frames before and after, in pixels.

--scores looks at validation scenes and at the backgrounds that are not kept for testing, never at the tests:
the least score of faces/cnn.py was fixed by it before they were run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import detection_report
import numpy as np
from detection import (
    FACES_A_SCENE,
    THREADS,
    Pictures,
    Scene,
    UInt8,
    free_place,
    iou,
    machine,
    mosaic,
    read,
    times,
)
from tqdm import tqdm

from idrn_trt.bench.report import markdown_table
from idrn_trt.faces import cnn
from idrn_trt.faces.cnn import CnnDetector
from idrn_trt.faces.detect import DETECTORS, Detector, open_detector
from idrn_trt.files import write_text
from idrn_trt.images import write_image
from idrn_trt.toolchain.detector.pictures import background_files, labels, read_pictures
from idrn_trt.toolchain.detector.scenes import Composer
from idrn_trt.types import Box, Face
from idrn_trt.zoo import DETECTOR_MODEL, find_model

MATCH_IOU = 0.5
SIZE = (1280, 720)
RANGES_PX = {"24 to 48 px": (24, 48), "16 to 24 px": (16, 24)}
# Gamma and gain of the face's levels.
LIGHTS = {"as it is": (1.0, 1.0), "darkened": (1.5, 0.5), "lightened": (0.6, 1.1)}
TIMED_SIZES = ((640, 480), (1280, 720), (1920, 1080))
TIMED_FRAMES = 12
SCORES = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SCORES_SCENES, SCORES_SIDE_PX = 400, 320
AROUND = 1.5  # of a face's box is pasted with it


class OpenCvYuNet:
    """YuNet as OpenCV runs it: the reference of the labels."""

    name = "opencv-yunet"
    smallest_face_px = 24

    def __init__(self, file: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(str(file), "", (64, 64), 0.6, 0.3, 5000)

    def detect(self, frame: UInt8) -> list[Face]:
        """See Detector."""
        self._net.setInputSize((frame.shape[1], frame.shape[0]))
        found = self._net.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1]
        rows = [] if found is None else np.asarray(found)[:, [0, 1, 2, 3, -1]].tolist()
        return [Face(Box(x, y, w, h), score) for x, y, w, h, score in rows]


class Tally:
    """Faces found and boxes that are none, over frames; the IoU of those found."""

    def __init__(self) -> None:
        self.frames = self.faces = self.false = 0
        self.ious: list[float] = []

    def add(self, boxes: list[Box], truth: list[Box]) -> None:
        """Count one frame."""
        self.frames += 1
        self.faces += len(truth)
        best = [max((iou(box, face) for box in boxes), default=0.0) for face in truth]
        self.ious += [value for value in best if value >= MATCH_IOU]
        self.false += sum(all(iou(box, f) < MATCH_IOU / 2 for f in truth) for box in boxes)

    def figures(self) -> dict[str, Any]:
        """What is reported."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "recall": round(len(self.ious) / self.faces, 4) if self.faces else None,
            "false_per_100_frames": round(100 * self.false / self.frames, 2),
            "median_iou": round(statistics.median(self.ious), 3) if self.ious else None,
        }


def tallied(detectors: dict[str, Detector], scenes: Iterable[Scene], what: str) -> dict[str, Any]:
    """Figures of each detector over the same scenes."""
    tallies = {name: Tally() for name in detectors}
    for scene in tqdm(scenes, what, leave=False, disable=None):
        for name, detector in detectors.items():
            tallies[name].add([f.box for f in detector.detect(scene.frame)], scene.truth)
    return {name: tally.figures() for name, tally in tallies.items()}


def clip_frames(file: Path) -> Iterator[UInt8]:
    """Every frame of a clip, RGB."""
    clip = cv2.VideoCapture(str(file))
    while (answer := clip.read())[0]:
        yield np.ascontiguousarray(answer[1][..., ::-1])
    clip.release()


def clips(detectors: dict[str, Detector], data: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """(figures against OpenCV's YuNet, jitter in pixels) of each detector over the clips."""
    reference = detectors["opencv-yunet"]
    tallies = {name: Tally() for name in detectors}
    moves: dict[str, list[float]] = {name: [] for name in detectors}
    for file in tqdm(sorted(data.glob("video/*.mkv")), "clips", leave=False, disable=None):
        tracks: dict[str, list[list[float]]] = {name: [] for name in detectors}
        for frame in clip_frames(file):
            truth = [face.box for face in reference.detect(frame)]
            for name, detector in detectors.items():
                boxes = [face.box for face in detector.detect(frame)]
                tallies[name].add(boxes, truth)
                near = max(boxes, key=lambda b: iou(b, truth[0]), default=None) if truth else None
                tracks[name].append([near.x, near.y, near.w, near.h] if near else [np.nan] * 4)
        for name, track in tracks.items():
            rows = np.array(track)
            away = np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2)
            moves[name] += away[~np.isnan(away).any(axis=1)].mean(axis=1).tolist()
    jitter = {name: round(float(np.median(move)), 3) for name, move in moves.items()}
    return {name: tally.figures() for name, tally in tallies.items()}, jitter


def whole_pictures(data: Path) -> Iterator[Scene]:
    """The pictures of scenes/test."""
    for name, boxes in labels(data / "scenes", "test").items():
        yield Scene(read(data / "scenes" / name), [Box(*box) for box in boxes.tolist()])


def kept_backgrounds(data: Path) -> Iterator[Scene]:
    """The backgrounds that training never sees."""
    for file in background_files(data / "scenes", test=True):
        yield Scene(read(file), [])


def composed(data: Path, px: tuple[int, int], light: tuple[float, float]) -> Iterator[Scene]:
    """Every face of scenes/test once, some in each scene; the same places for every light."""
    rng = np.random.default_rng(0)
    pictures = Pictures(background_files(data / "scenes", test=True), [])
    faces = [scene for scene in whole_pictures(data) if len(scene.truth) == 1]
    order = rng.permutation(len(faces))
    for first in range(0, len(order), FACES_A_SCENE):
        frame = mosaic(SIZE, pictures, rng)
        truth: list[Box] = []
        for index in order[first : first + FACES_A_SCENE]:
            longer = float(np.exp(rng.uniform(*np.log(px))))
            centre = free_place(SIZE, round(longer * 2), truth, rng)
            truth.append(put(frame, faces[index], longer, centre, light))
        yield Scene(frame, truth)


def put(
    frame: UInt8, face: Scene, px: float, centre: tuple[float, float], light: tuple[float, float]
) -> Box:
    """The face into the frame, the longer side of its box px, within a feathered ellipse."""
    box = face.truth[0]
    scale = px / max(box.w, box.h)
    height, width = face.frame.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(face.frame, size, interpolation=cv2.INTER_AREA)
    ratio = size[0] / width, size[1] / height
    middle = ((box.x + box.w / 2) * ratio[0], (box.y + box.h / 2) * ratio[1])
    w, h = box.w * ratio[0], box.h * ratio[1]
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    away = np.hypot((x - middle[0]) / (AROUND * w / 2), (y - middle[1]) / (AROUND * h / 2))
    alpha = np.clip((1 - away) * 4, 0, 1)[..., None]
    lit = 255 * np.clip((small / 255.0) ** light[0] * light[1], 0, 1)
    left, top = round(centre[0] - middle[0]), round(centre[1] - middle[1])
    rows = slice(max(0, top), min(SIZE[1], top + size[1]))
    columns = slice(max(0, left), min(SIZE[0], left + size[0]))
    inner = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    part = frame[rows, columns]
    part[...] = np.rint(part + (lit[inner] - part) * alpha[inner])
    return Box(left + middle[0] - w / 2, top + middle[1] - h / 2, w, h)


def opened(data: Path, min_face_px: int) -> dict[str, Detector]:
    """Every detector, and OpenCV's YuNet."""
    yunet = data / "detector" / "face_detection_yunet_2023mar.onnx"
    files = {"yunet": yunet}
    ours = {
        name: open_detector(
            name, min_face_px=min_face_px, model_file=files.get(name), threads=THREADS
        )
        for name in DETECTORS
    }
    return {**ours, "opencv-yunet": OpenCvYuNet(yunet)}


def timed(data: Path) -> dict[str, Any]:
    """Milliseconds of `detect` at 24 px, resize and NMS included, the detectors in turn."""
    frames = [next(clip_frames(file)) for file in sorted(data.glob("video/*.mkv"))]
    frames = [*frames, *frames][:TIMED_FRAMES]
    return times(
        opened(data, 24),
        {f"{w}x{h}": [cv2.resize(f, (w, h)) for f in frames] for w, h in TIMED_SIZES},
    )


def measure(data: Path, *, with_times: bool) -> dict[str, Any]:
    """Every figure."""
    detectors, fine = opened(data, 24), opened(data, 16)
    report: dict[str, Any] = {
        "kind": detection_report.KIND,
        "format": detection_report.FORMAT,
        "machine": machine(),
        "match_iou": MATCH_IOU,
        "least_score": cnn.LEAST_SCORE,
        "model_sha256": find_model(DETECTOR_MODEL).files["int8-cpu"].sha256,
    }
    if with_times:
        report["times"] = timed(data)
    tests: dict[str, Any] = {}
    tests["clips"], report["jitter_px"] = clips(detectors, data)
    tests["scenes/test"] = tallied(detectors, whole_pictures(data), "scenes/test")
    tests["kept backgrounds"] = tallied(detectors, kept_backgrounds(data), "backgrounds")
    for size, px in RANGES_PX.items():
        for kind, light in LIGHTS.items():
            what = f"{size}, {kind}"
            tests[what] = tallied(fine, composed(data, px, light), what)
    return {**report, "tests": tests}


def scores(data: Path) -> str:
    """Recall on validation scenes and false faces on training's backgrounds, by the least score."""
    pictures = read_pictures(data / "scenes")
    composer = Composer(pictures[1], SCORES_SIDE_PX, seed=0)
    cnn.LEAST_SCORE = SCORES[0]  # NMS keeps the surest, so that a higher one only leaves boxes out
    detector = CnnDetector(min_face_px=16, threads=THREADS)
    tallies = {least: (Tally(), Tally()) for least in SCORES}
    for scene in map(composer, range(SCORES_SCENES)):
        truth = [Box(*box) for box in scene.boxes[scene.counted].tolist()]
        faces = detector.detect(scene.pixels)
        for least, (tally, _) in tallies.items():
            tally.add([face.box for face in faces if face.score >= least], truth)
    for background in (b for part in pictures for b in part.backgrounds):
        faces = detector.detect(background.pixels)
        for least, (_, empty) in tallies.items():
            empty.add([face.box for face in faces if face.score >= least], [])
    rows = [
        (
            f"{least:.2f}",
            str(tally.figures()["recall"]),
            str(empty.figures()["false_per_100_frames"]),
        )
        for least, (tally, empty) in tallies.items()
    ]
    return markdown_table(("least score", "recall, scenes", "false / 100 backgrounds"), rows)


def draw(data: Path, folder: Path) -> None:
    """Pictures with what is there (white), what cnn finds (green) and what haar finds (red)."""
    detectors = opened(data, 16)
    some: dict[str, Iterable[Scene]] = {
        "whole": list(whole_pictures(data))[::28],
        "composed": list(composed(data, (16, 48), LIGHTS["as it is"]))[:4],
        "dark": list(composed(data, (16, 48), LIGHTS["darkened"]))[:2],
        "clips": [
            Scene(next(clip_frames(file)), []) for file in sorted(data.glob("video/*.mkv"))[::3]
        ],
    }
    for name, scenes in some.items():
        for number, scene in enumerate(scenes):
            picture = scene.frame.copy()
            _outline(picture, scene.truth, (255, 255, 255))
            for detector, colour in (("haar", (255, 0, 0)), ("cnn", (0, 255, 0))):
                boxes = [face.box for face in detectors[detector].detect(scene.frame)]
                _outline(picture, boxes, colour)
            write_image(folder / f"{name}-{number}.png", picture)


def _outline(picture: UInt8, boxes: Iterable[Box], colour: tuple[int, int, int]) -> None:
    for b in boxes:
        corners = (round(b.x), round(b.y)), (round(b.x + b.w), round(b.y + b.h))
        cv2.rectangle(picture, *corners, colour, 1)


def main() -> None:
    """Measure, print the tables, write the JSON; or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--no-times", action="store_true", help="for a machine that is busy")
    parser.add_argument("--times-from", type=Path, metavar="FILE",
        help="take the times of an earlier record, for weights that were scaled or trained anew")  # fmt: skip
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw boxes into it instead")
    parser.add_argument("--scores", action="store_true", help="what each least score would give")
    args = parser.parse_args()
    cv2.setNumThreads(THREADS)
    if args.scores:
        print(scores(args.data))
        return
    if args.pictures:
        draw(args.data, args.pictures)
        return
    report = measure(args.data, with_times=not (args.no_times or args.times_from))
    if args.times_from:
        earlier = json.loads(args.times_from.read_bytes())
        report |= {
            "times": earlier["times"],
            "times_machine": earlier.get("times_machine", earlier["machine"]),
        }
    print(detection_report.markdown(report))
    if args.json:
        write_text(args.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
