"""How a detector in training does on composed scenes that it never saw, in figures and for the eye."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from idrn_trt.faces.grid import decode
from idrn_trt.faces.nms import distinct
from idrn_trt.toolchain.detector.scenes import Scene

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Answer = Callable[[UInt8], Float32]

MATCH_IOU = 0.5
SCORE = 0.5
# Longer sides in pixels, for recall by size.
SIZES_PX = ((10, 16), (16, 24), (24, 48), (48, 400))
_SHOWN = 12


def by_torch(net: nn.Module) -> Answer:
    """What a network in training answers to a uint8 RGB picture (H, W, 3), sides multiples of 32."""
    net.eval()

    @torch.no_grad()
    def answer(pixels: UInt8) -> Float32:
        x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        values: Float32 = net(x.to(next(net.parameters())) / 255)[0].cpu().numpy()
        return values

    return answer


def found(answer: Answer, pixels: UInt8, score: float = SCORE) -> tuple[Float32, Float32]:
    """Boxes (n, 4) and scores (n,) of the faces in a picture, the surest first."""
    boxes, scores = decode(answer(pixels), score)
    kept = distinct(boxes, scores)
    return boxes[kept], scores[kept]


def overlaps(boxes: Float32, others: Float32) -> Float32:
    """Intersection over union of each box (n, 4) with each other one (m, 4): (n, m)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends = boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:]
    high = np.minimum(ends[0][:, None], ends[1][None])
    inside = np.maximum(high - low, 0).prod(axis=2)
    areas = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None]
    return np.asarray(inside / np.maximum(areas - inside, 1e-6), np.float32)


def measure(answer: Answer, scenes: Sequence[Scene]) -> dict[str, float]:
    """Recall (by sizes that occur too), false faces per 100 scenes and the median IoU of found boxes."""
    sizes: list[Float32] = []
    hits: list[Float32] = []
    false = 0
    for scene in scenes:
        boxes, _ = found(answer, scene.pixels)
        matrix = overlaps(scene.boxes, boxes)
        sizes.append(scene.boxes[scene.counted, 2:].max(axis=1))
        hits.append(matrix.max(axis=1, initial=0)[scene.counted])
        false += int((matrix.max(axis=0, initial=0) < MATCH_IOU / 2).sum())
    px, best = np.concatenate(sizes), np.concatenate(hits)
    hit = best >= MATCH_IOU
    figures = {"recall": float(hit.mean()), "false_per_100": 100 * false / len(scenes)}
    for low, high in SIZES_PX:
        if (those := (px >= low) & (px < high)).any():
            figures[f"recall_{low}_{high}_px"] = float(hit[those].mean())
    figures["median_iou"] = float(np.median(best[hit])) if hit.any() else 0.0
    return {name: round(value, 4) for name, value in figures.items()}


def sheet(answer: Answer, scenes: Iterable[Scene]) -> UInt8:
    """The first scenes with the faces found (green) and those that are there (white), in rows of four."""
    drawn = []
    for scene, _ in zip(scenes, range(_SHOWN), strict=False):
        picture = scene.pixels.copy()
        for boxes, colour in (
            (scene.boxes, (255, 255, 255)),
            (found(answer, picture)[0], (0, 255, 0)),
        ):
            for x, y, w, h in np.rint(boxes).astype(int).tolist():
                cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 1)
        drawn.append(picture)
    return np.concatenate(
        [np.concatenate(drawn[k : k + 4], axis=1) for k in range(0, len(drawn), 4)]
    )
