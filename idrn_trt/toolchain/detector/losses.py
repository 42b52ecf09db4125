"""What a detector's answer costs against its targets: the score's loss and the box's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from idrn_trt.faces.grid import STRIDES, VALUES

_BOX_WEIGHT = 2.0


def detection_loss(
    answer: Tensor, score: Tensor, asked: Tensor, box: Tensor, boxed: Tensor
) -> tuple[Tensor, Tensor]:
    """(score's loss, box's loss) of a batch; their sum is trained on.

    answer: (N, L * VALUES, h, w) of the network; the others are `targets.Targets`, batched.
    """
    count, _, height, width = answer.shape
    levels = answer.float().view(count, len(STRIDES), VALUES, height, width)
    return (
        score_loss(levels[:, :, 0], score, asked),
        _BOX_WEIGHT * box_loss(levels[:, :, 1:], box, boxed),
    )


def score_loss(logits: Tensor, wanted: Tensor, asked: Tensor) -> Tensor:
    """The quality focal loss (Li et al. 2020, https://arxiv.org/abs/2006.04388, Eq. 4, beta 2).

    logits, wanted from 0 to 1, asked: (N, L, h, w). Per unit of `wanted`, so that a batch with many faces
    counts like one with few.
    """
    away = (wanted - logits.sigmoid()).abs() ** 2
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (asked * away * entropy).sum() / wanted.sum().clamp(min=1)


def box_loss(values: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """The distance-IoU loss (Zheng et al. 2020, https://arxiv.org/abs/1911.08287, Eq. 7).

    values, wanted: (N, L, 4, h, w), centre and logarithms of the size; weight: (N, L, h, w).
    """
    there = weight > 0
    if not there.any():
        return values.sum() * 0
    moved = values.movedim(2, -1)[there], wanted.movedim(2, -1)[there]
    ours, theirs = ((v[:, :2], v[:, 2:].clamp(max=4).exp()) for v in moved)
    low = [centre - size / 2 for centre, size in (ours, theirs)]
    high = [centre + size / 2 for centre, size in (ours, theirs)]
    shared = (torch.minimum(*high) - torch.maximum(*low)).clamp(min=0).prod(1)
    union = ours[1].prod(1) + theirs[1].prod(1) - shared
    around = (torch.maximum(*high) - torch.minimum(*low)).square().sum(1)
    apart = (ours[0] - theirs[0]).square().sum(1)
    loss = 1 - shared / union + apart / around
    weights = weight[there]
    return (weights * loss).sum() / weights.sum()
