"""Signals that end a command's work, held back while what must be whole is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Ctrl-C, and likewise what `kill`, `timeout` and a closed terminal send: KeyboardInterrupt, unless held.

    What is in work then leaves whole files and no temporary one. To be entered with `with`.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._holding = False
        self._came = False
        self._hung_up = False

    def __enter__(self) -> Interrupts:  # noqa: PYI034 (typing.Self needs Python 3.11)
        # Only the main thread takes signals; one that is ignored, as below nohup, stays so.
        if threading.current_thread() is threading.main_thread():
            names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not everywhere
            known = [getattr(signal, name) for name in names if hasattr(signal, name)]
            before = {number: signal.getsignal(number) for number in known}
            self._before = {n: h for n, h in before.items() if h != signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _frame: object) -> None:
        # A terminal that closes may send it twice, which is not somebody's impatience.
        if number == getattr(signal, "SIGHUP", None):
            if self._hung_up:
                return
            self._hung_up = True
        if self._came or not self._holding:
            raise KeyboardInterrupt
        self._came = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done here is done wholly, an interrupt meanwhile raised after it; a second is not held."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._came:
                raise KeyboardInterrupt
