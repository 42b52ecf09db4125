"""What the network should answer, and that this decodes to the faces it was made from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from idrn_trt.faces.grid import STRIDES, decode
from idrn_trt.faces.nms import distinct
from idrn_trt.toolchain.detector.losses import box_loss, detection_loss, score_loss
from idrn_trt.toolchain.detector.targets import LEVEL_PX, targets

SIDE = 320
BOXES = np.array(
    [[10, 12, 11, 15], [60, 20, 30, 40], [150, 30, 60, 80], [40, 130, 120, 160]], np.float32
)
ALL = np.ones(len(BOXES), np.bool_)


def perfect(boxes: np.ndarray, counted: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
    """The answer (1, L * VALUES, h, w) that says the targets exactly."""
    wanted = targets(boxes, counted, SIDE)
    chance = np.clip(wanted.score, 1e-6, 1 - 1e-6)
    answer = np.concatenate([np.log(chance / (1 - chance))[:, None], wanted.box], axis=1)
    return torch.from_numpy(answer.reshape(1, -1, *answer.shape[2:]).astype(np.float32))


def test_a_perfect_answer_decodes_to_the_faces() -> None:
    """Each face comes back once at its place, whichever level is responsible for it."""
    boxes, scores = decode(perfect(BOXES, ALL)[0].numpy(), 0.9)
    found = boxes[distinct(boxes, scores)]
    np.testing.assert_allclose(found[np.argsort(found[:, 2])], BOXES, atol=0.01)


@pytest.mark.parametrize("px", [10, 20, 45, 60, 100, 120, 200, 390])
def test_every_size_has_a_level(px: int) -> None:
    """A face of any size is asked of at least one level, with its nearest cell at a score of 1."""
    wanted = targets(np.array([[100, 80, px * 0.7, px]], np.float32), np.ones(1, np.bool_), SIDE)
    responsible = [low <= px < high for low, high in LEVEL_PX]
    assert any(responsible)
    assert [float(s.max()) for s in wanted.score] == [float(r) for r in responsible]
    np.testing.assert_allclose(wanted.boxed.sum((1, 2)), [float(r) for r in responsible], rtol=1e-5)


def test_a_face_that_is_not_counted_is_not_asked() -> None:
    """Inside of a hidden face no score counts, and nothing is wanted there; elsewhere everything counts."""
    wanted = targets(BOXES[1:2], np.zeros(1, np.bool_), SIDE)
    assert not wanted.score.any()
    assert not wanted.boxed.any()
    assert wanted.asked[0, 5, 9] == 0
    assert wanted.asked[0, 20, 20] == 1
    assert wanted.asked[2].all()


def test_a_face_whose_centre_is_outside_is_left_out() -> None:
    """A face mostly beyond the scene's edge asks nothing of the cells inside."""
    wanted = targets(np.array([[-60, 40, 40, 50]], np.float32), np.ones(1, np.bool_), SIDE)
    assert not wanted.score.any()


def test_a_perfect_answer_costs_nothing() -> None:
    """The losses of the targets themselves are nearly zero, those of a wrong answer are not."""
    wanted = [torch.from_numpy(t)[None] for t in targets(BOXES, ALL, SIDE)]
    score, box = detection_loss(perfect(BOXES, ALL), *wanted)
    assert score < 1e-3
    assert box < 1e-3
    moved = BOXES + np.array([4, 0, 0, 0], np.float32)
    score, box = detection_loss(perfect(moved, ALL), *wanted)
    assert score > 0.05
    assert box > 0.05


def test_what_is_not_asked_costs_nothing() -> None:
    """A sure answer where no score counts adds no loss, and no gradient."""
    logits = torch.full((1, 1, 2, 2), 5.0, requires_grad=True)
    asked = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]])
    loss = score_loss(logits, torch.zeros(1, 1, 2, 2), asked)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.count_nonzero() == 1


def test_scenes_without_a_face_have_a_loss_too() -> None:
    """With no face in a batch the box costs nothing and the scores still learn."""
    wanted = [torch.from_numpy(t)[None] for t in targets(BOXES[:0], ALL[:0], SIDE)]
    answer = torch.zeros(1, 5 * len(STRIDES), SIDE // 8, SIDE // 8, requires_grad=True)
    score, box = detection_loss(answer, *wanted)
    (score + box).backward()
    assert float(box.detach()) == 0
    assert answer.grad is not None
    assert torch.isfinite(answer.grad).all()
    assert answer.grad.count_nonzero() == 3 * (SIDE // 8) ** 2


def test_the_box_loss_is_of_overlap_and_distance() -> None:
    """Two boxes of side 2 that are 1 apart: an overlap of 1/3, and 1 / 13 for the distance."""
    wanted = torch.tensor([0.0, 0.0, 2.0, 2.0])
    wanted[2:] = wanted[2:].log()
    values = wanted + torch.tensor([1.0, 0.0, 0.0, 0.0])
    values, wanted = (v.reshape(1, 1, 4, 1, 1) for v in (values, wanted))
    loss = box_loss(values, wanted, torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(loss, torch.tensor(1 - 1 / 3 + 1 / 13))
