"""When a connection's frames were taken, and whether their reader falls behind. Standard library only."""

from __future__ import annotations

from fractions import Fraction

# Longer than a packet that is there already takes to be handed out, shorter than the time between two frames.
_WAIT_NS = 2_000_000
# A packet that was waited for so long was not there already, however busy the machine: it is new.
_LONG_WAIT_NS = 15_000_000
# A camera's clock may be slower than this machine's by one part in so many.
_DRIFT = 1000
# Frames that stay so late for so long are not caught up with by decoding them.
_LATE_NS = 1_500_000_000
_PATIENCE_NS = 2_000_000_000


class Arrivals:
    """Tells when a frame was taken from when its packet was read and from its own time.

    Packets wait in the system's buffers for a slow reader, while the camera's clock goes on. So a frame whose
    packet was not waited for counts as taken when it would have come if it had been as quick as those before.

    Those that FFmpeg read while it opened the stream come all at once. Until the first packet that had to be
    waited for, frames are counted from began_ns, before which the first cannot have come: so no age is made
    smaller than it is. Times of this machine are of time.perf_counter_ns; own times are the camera's, in s.
    """

    def __init__(self, began_ns: int) -> None:
        self._began_ns = self._came_ns = self._seen_ns = began_ns
        self._at_once = True
        self._zero_ns: int | None = None  # when a frame of own time 0 would have come
        self._own_ns = 0
        self._late_from_ns: int | None = None

    def came(self, now_ns: int, waited_ns: int) -> None:
        """A packet was handed out, after waiting for it so long."""
        self._came_ns = now_ns
        if self._at_once and waited_ns >= _WAIT_NS:
            self._at_once, self._zero_ns = False, None
        if waited_ns >= _LONG_WAIT_NS:
            self.caught_up()

    def captured_ns(self, own: Fraction | None) -> int:
        """When a frame of the packet that came last was taken; never later than that came."""
        if own is None:
            early = self._at_once and self._came_ns - self._began_ns < _LATE_NS
            return self._began_ns if early else self._came_ns
        own_ns, latest_ns = int(own * 1_000_000_000), self._came_ns
        if self._zero_ns is None:
            self._zero_ns = (self._began_ns if self._at_once else latest_ns) - own_ns
        elif own_ns < self._own_ns:  # the camera's clock began anew
            self._zero_ns = latest_ns - own_ns
        elif not self._at_once:
            self._zero_ns += (latest_ns - self._seen_ns) // _DRIFT
        self._zero_ns = min(self._zero_ns, latest_ns - own_ns)
        self._own_ns, self._seen_ns = own_ns, latest_ns
        captured_ns = self._zero_ns + own_ns
        if latest_ns - captured_ns < _LATE_NS:
            self._late_from_ns = None
        elif self._late_from_ns is None:
            self._late_from_ns = latest_ns
        return captured_ns

    @property
    def behind(self) -> bool:
        """Whether frames come late and stay so, until a packet had to be waited for."""
        since_ns = self._late_from_ns
        return since_ns is not None and self._came_ns - since_ns > _PATIENCE_NS

    def caught_up(self) -> None:
        """The next frame counts as not late."""
        self._zero_ns = self._late_from_ns = None
