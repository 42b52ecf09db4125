"""The times of a source that may break off and start again, as one clock that only grows."""

from __future__ import annotations

from fractions import Fraction

# A source's own clock is believed while it keeps this close to the clock on the wall.
MOST_DRIFT_S = Fraction(1)
# A frame whose time says it came before the last one is put this much behind that.
_LEAST_STEP_S = Fraction(1, 1000)


class StreamClock:
    """Places a source's own times, which may jump, start anew or be missing, on the wall's clock.

    Between two frames of one connection their own distance is kept, so that even motion stays even.
    """

    def __init__(self) -> None:
        self._offset: Fraction | None = None
        self._last: Fraction | None = None

    def place(self, own: Fraction | None, wall: Fraction) -> Fraction:
        """The time, in s since the stream began, of a frame that says `own` and came at `wall`."""
        if own is None:
            time = wall
        else:
            if self._offset is None or abs(own + self._offset - wall) > MOST_DRIFT_S:
                self._offset = wall - own
            time = own + self._offset
        if self._last is not None and time <= self._last:
            time = self._last + _LEAST_STEP_S
        self._last = time
        return time
