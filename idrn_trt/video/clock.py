"""The clock of a transport or program stream, with its jumps taken out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.packet import Packet

# A track's next packet lies no further back or ahead than this; FFmpeg's program takes the same limits.
_MOST_BACK_S = Fraction(1, 10)
_MOST_AHEAD_S = Fraction(10)
# The tracks of what is put together begin and end within about this much.
_UNEVEN_S = Fraction(1)


class SteadyClock:
    """Times that go on where the stream's clock jumps, as it does between recordings put together.

    What comes after a jump begins where all tracks before it have ended. A track that only paused, or has one
    wrong time, goes by the other tracks' clock. jumps: how many there were.
    """

    def __init__(self) -> None:
        self._newest = Fraction(0)
        self._offsets: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self.jumps = 0

    def mend(self, packet: Packet[Any]) -> None:
        """Shift the packet's times; packets are given in the file's order, all tracks."""
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None:
            return
        offset = self._newest
        if packet.stream.type in {"audio", "video"}:  # others may have any gap
            offset = self._offset(packet.stream_index, time * packet.time_base)
            ends = (time + (packet.duration or 0)) * packet.time_base + offset
            self._ends[packet.stream_index] = ends
        shift = round(offset / packet.time_base)
        if packet.pts is not None:
            packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift

    def _offset(self, track: int, time: Fraction) -> Fraction:
        """What a track's times are shifted by from here on: another's packets may still be on their way."""
        offset, last = self._offsets.get(track, self._newest), self._ends.get(track)
        if last is not None and not -_MOST_BACK_S <= time + offset - last <= _MOST_AHEAD_S:
            if (kept := self._others_offset(track, time, last, offset)) is not None:
                self._newest = kept
            elif abs(time + self._newest - last) > _UNEVEN_S or offset == self._newest:
                self._newest = max(self._ends.values()) - time
                self.jumps += 1
            offset = self._newest
        self._offsets[track] = offset
        return offset

    def _others_offset(
        self, track: int, time: Fraction, last: Fraction, offset: Fraction
    ) -> Fraction | None:
        """A shift known already by which this time lies beside where the other tracks are."""
        others = [end for other, end in self._ends.items() if other != track]
        if not others:
            return None
        return next(
            (
                known
                for known in (self._newest, *self._offsets.values())
                if abs(time + known - max(others)) <= _UNEVEN_S
                and (known != offset or time + known > last)
            ),
            None,
        )
