"""One box a face."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.faces.nms import SAME_FACE_SHARE, distinct


def shared(a: list[float], b: list[float]) -> float:
    """The overlap of two boxes over the smaller one's area, box by box."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(w, 0.0) * max(h, 0.0) / min(a[2] * a[3], b[2] * b[3])


def test_overlapping_boxes_are_one_face() -> None:
    """Of boxes that share most of the smaller one the surest stays, of a box within a box too."""
    boxes = np.array(
        [[14, 12, 40, 40], [10, 10, 40, 40], [20, 20, 15, 15], [45, 10, 40, 40]], float
    )
    assert distinct(boxes, np.array([2.0, 3.0, 1.0, 1.5])).tolist() == [1, 3]


def test_no_box_and_one() -> None:
    """Nothing stays of nothing; a single box stays."""
    assert distinct(np.empty((0, 4)), np.empty(0)).tolist() == []
    assert distinct(np.array([[0.0, 0, 1, 1]]), np.array([0.1])).tolist() == [0]


def test_of_equal_scores_the_first_stays() -> None:
    """The result does not depend on how the sort treats ties."""
    boxes = np.tile([[5.0, 5, 10, 10]], (50, 1))
    assert distinct(boxes, np.full(50, 0.5)).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_as_box_by_box(seed: int) -> None:
    """Over random boxes the same ones stay as by comparing each with each kept one."""
    rng = np.random.default_rng(seed)
    boxes = np.column_stack([rng.uniform(0, 100, (200, 2)), rng.uniform(3, 40, (200, 2))])
    scores = rng.random(200)
    kept: list[int] = []
    for place in np.argsort(-scores).tolist():
        if all(shared(boxes[place], boxes[k]) <= SAME_FACE_SHARE for k in kept):
            kept.append(place)
    assert distinct(boxes, scores).tolist() == kept
    assert 1 < len(kept) < 200
