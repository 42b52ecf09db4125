"""Which pictures are trained on, which are held out, and which are for the test only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idrn_trt.errors import TrainingError
from idrn_trt.toolchain.crops import Crops
from idrn_trt.toolchain.duplicates import near_duplicates

# Neighbouring files often show one person, so pictures are held out in runs of this many.
HELD_OUT_RUN = 16
# The paper's section 3.1.
PAPER_TEST_COUNT = 500


@dataclass(frozen=True, slots=True)
class Split:
    """Two sets that share no picture, no near-duplicate and no group; dropped is in neither."""

    train: Crops
    test: Crops
    dropped: int


def split_test(crops: Crops, count: int, seed: int) -> Split:
    """`count` crops drawn at random to test on, the others to train on (the paper's section 3.1).

    Groups (a picture's faces, a person's pictures) are drawn whole. A training crop that looks like a
    test crop is dropped. Raises TrainingError when fewer than `count` can be drawn with one to spare.
    """
    groups: dict[str, list[int]] = {}
    for i, entry in enumerate(crops.entries):
        groups.setdefault(entry.group, []).append(i)
    members = list(groups.values())
    chosen: list[int] = []
    for k in np.random.default_rng((seed, 6)).permutation(len(members)).tolist():
        if len(chosen) + len(members[k]) <= count:
            chosen += members[k]
    if len(chosen) < count or count >= len(crops):
        raise TrainingError(
            f"{count} test pictures cannot be drawn from {len(crops)} in {len(groups)} groups: "
            "expected more pictures, or a smaller --test-count"
        )
    test = set(chosen)
    rest = crops.subset(i for i in range(len(crops)) if i not in test)
    train = without_duplicates(rest, crops.subset(sorted(test)))
    return Split(train, crops.subset(sorted(test)), len(rest) - len(train))


def without_duplicates(crops: Crops, of: Crops) -> Crops:
    """Those of `crops` that do not look like one of the others."""
    near = near_duplicates([e.look for e in crops.entries], [e.look for e in of.entries])
    return crops.subset(i for i, is_near in enumerate(near) if not is_near)


def hold_out(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices 0..count-1 split into (training, validation), validation in contiguous runs.

    `share` is the part wanted for validation, at least one run and at most all runs but one. A set
    too small for two runs keeps all but its last picture for training. Raises TrainingError for a
    set that cannot be split.
    """
    if count < 2:
        raise TrainingError(
            f"{count} picture cannot be split into training and validation: expected at least 2, "
            "or validation pictures of their own (--val-data)"
        )
    if count < 2 * HELD_OUT_RUN:
        return list(range(count - 1)), [count - 1]
    runs = count // HELD_OUT_RUN
    wanted = min(max(1, round(runs * share)), runs - 1)
    chosen = np.random.default_rng((seed, 1)).permutation(runs)[:wanted]
    held = {run * HELD_OUT_RUN + k for run in chosen.tolist() for k in range(HELD_OUT_RUN)}
    return [i for i in range(count) if i not in held], sorted(held)
