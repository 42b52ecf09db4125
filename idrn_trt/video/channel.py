"""A bounded, ordered hand-over between two threads that either side can end. Standard library only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """Items from one producing thread to one consuming thread, in order, at most `limit` waiting.

    The producer calls put, then finish or fail; the consumer iterates, and calls stop when it wants no
    more. Every method returns soon once the other side has ended, so no thread is left waiting.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Wait for room and hand `item` over; False when the consumer has stopped."""
        with self._changed:
            while len(self._items) >= self._limit and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self) -> None:
        """Nothing more comes: the consumer's iteration ends after what is waiting."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """As finish, but the consumer's iteration then raises `error`."""
        with self._changed:
            self._error = error
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is wanted: what is waiting is let go, and put returns False from now on."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._items and not self._finished:
                    self._changed.wait()
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
