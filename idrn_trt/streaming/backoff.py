"""How long to wait before the next attempt. Standard library only."""

from __future__ import annotations

import random

FIRST_S = 0.5
LONGEST_S = 30.0
# A connection that held this long was a good one: the next failure starts from the beginning.
GOOD_S = 10.0


class Backoff:
    """Pauses that double from FIRST_S to LONGEST_S, each shortened by up to half at random.

    Without the chance part, a hundred cameras behind one switch would all be called at the same moment
    whenever it restarts.
    """

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def pause_s(self, held_s: float) -> float:
        """Seconds to wait after a connection that held for held_s (0 for one that failed)."""
        if held_s >= GOOD_S:
            self._next_s = FIRST_S
        pause_s = self._next_s
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
