"""The hand-over between the threads of a stream: one slot for each source. Standard library only."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot for each of `places` producers, and one consumer that empties them all at once.

    Nothing can grow: a producer either replaces what still lies in its slot or waits until it is taken.
    Since every round of the consumer takes at most one item of each producer, none can crowd out another.
    """

    def __init__(self, places: int) -> None:
        self._slots: list[T | None] = [None] * places
        self._open = [True] * places
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, place: int, item: T, *, wait: bool) -> bool:
        """Lay an item into a slot; True when the one before it was lost, or this one, after a stop.

        wait: until the slot is empty, so that nothing is lost.
        """
        with self._changed:
            while wait and self._slots[place] is not None and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return True
            lost = self._slots[place] is not None
            self._slots[place] = item
            self._changed.notify_all()
            return lost

    def finish(self, place: int) -> None:
        """That producer has no more; what lies in its slot is still taken."""
        with self._changed:
            self._open[place] = False
            self._changed.notify_all()

    def finish_all(self) -> None:
        """No producer has any more."""
        with self._changed:
            self._open = [False] * len(self._open)
            self._changed.notify_all()

    def stop(self) -> None:
        """The consumer wants no more: what lies in the slots is let go, and nobody waits any longer."""
        with self._changed:
            self._stopped = True
            self._slots = [None] * len(self._slots)
            self._changed.notify_all()

    def take(self, linger_s: float = 0.0) -> list[T]:
        """What lies in the slots, at least one item; an empty list once there will be none.

        linger_s: once there is one, wait so long for those of the other producers.
        """
        with self._changed:
            while not self._ready() and any(self._open) and not self._stopped:
                self._changed.wait()
            deadline = time.monotonic() + linger_s
            while self._ready() and self._missing() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            items = [item for item in self._slots if item is not None]
            self._slots = [None] * len(self._slots)
            self._changed.notify_all()
            return items

    def _ready(self) -> bool:
        return any(item is not None for item in self._slots)

    def _missing(self) -> bool:
        pairs = zip(self._slots, self._open, strict=True)
        return any(item is None and expected for item, expected in pairs)
