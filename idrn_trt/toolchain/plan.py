"""Which samples each step of a run trains on, and at which low-resolution size.

A plan is a function of the recipe alone, so a resumed run follows the one it was started with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """lr_px: LR side of each step. first: number of its first sample, with the total at the end.

    ordinal: how many samples of its own size came before each step.
    """

    lr_px: Int64
    first: Int64
    ordinal: Int64

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return len(self.lr_px)

    @property
    def samples(self) -> int:
        """Samples in all."""
        return int(self.first[-1])

    def batch(self, step: int) -> range:
        """The samples of one step."""
        return range(int(self.first[step]), int(self.first[step + 1]))

    def locate(self, sample: int) -> tuple[int, int]:
        """(lr_px, how many samples of that size came before) of one sample."""
        step = int(np.searchsorted(self.first, sample, side="right")) - 1
        before = int(self.ordinal[step]) + sample - int(self.first[step])
        return int(self.lr_px[step]), before


def by_steps(
    steps: int, batch: int, lr_px: int, *, sizes: Sequence[int] = (), seed: int = 0
) -> Plan:
    """So many steps of `batch` samples at lr_px, or each at a size drawn from `sizes`.

    A batch at another size has as many samples as have about the pixels of `batch` at lr_px.
    """
    drawn = np.random.default_rng((seed, 5)).integers(0, max(1, len(sizes)), steps)
    chosen = np.array(sizes or (lr_px,), np.int64)[drawn]
    counts = np.maximum(1, np.rint(batch * (lr_px / chosen) ** 2)).astype(np.int64)
    return _plan(chosen, counts)


def by_epochs(epochs: int, batch: int, lr_px: int, pictures: int) -> Plan:
    """Every picture once an epoch; an epoch's last batch has what is left (the paper's 1,438 batches)."""
    counts = [batch] * (pictures // batch) + ([pictures % batch] if pictures % batch else [])
    every = np.array(counts * epochs, np.int64)
    return _plan(np.full(len(every), lr_px, np.int64), every)


def _plan(lr_px: Int64, counts: Int64) -> Plan:
    first = np.concatenate(([0], np.cumsum(counts)))
    ordinal = np.empty_like(lr_px)
    for size in np.unique(lr_px):
        of_size = lr_px == size
        ordinal[of_size] = np.cumsum(counts[of_size]) - counts[of_size]
    return Plan(lr_px, first, ordinal)
