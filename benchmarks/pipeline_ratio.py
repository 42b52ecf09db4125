"""How many times longer one thing takes than another, from rounds in which both took their turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pipeline_report import row

# Of the interval: nine in ten.
LEVEL = 0.90
RESAMPLES = 10_000
# Of fewer rounds an interval says too little: it would hold the median in fewer than nine of ten cases.
LEAST_ROUNDS = 5


def ratio_row(
    what: str, ratios: npt.NDArray[np.float64], to_reach: float, **parts: object
) -> dict[str, Any]:
    """The median of the rounds' own ratios, with a percentile bootstrap interval over rounds; seeded.

    The machine's speed is one for both sides of a round, or nearly, however it changes from round to round.
    Raises SystemExit for fewer than LEAST_ROUNDS.
    """
    rounds = len(ratios)
    if rounds < LEAST_ROUNDS:
        raise SystemExit(
            f"{what!r}: {rounds} rounds, expected at least {LEAST_ROUNDS}: give it more time"
        )
    chosen = np.random.default_rng(0).integers(0, rounds, (RESAMPLES, rounds))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.median(ratios[chosen], axis=1), (tail, 1 - tail))
    line = row(what, float(np.median(ratios)), "x", to_reach, **parts, rounds=rounds)
    return {**line, "interval": [round(float(low), 4), round(float(high), 4)]}
