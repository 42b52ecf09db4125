"""Ctrl-C at moments that this program chooses: between two calls, never inside a library's.

An exception raised while a library computes leaves its work half done in threads of its own; OpenVINO
2026.4 has crashed the process that way.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_caught = threading.Event()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within, Ctrl-C waits for the next `check` or the end; a second one does not wait.

    Only Python's own handler in the main thread is replaced; elsewhere, and nested, this does nothing.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield
        return
    _caught.clear()
    signal.signal(signal.SIGINT, _catch)
    try:
        yield
        check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _caught.clear()


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C came since the last time."""
    if _caught.is_set():
        _caught.clear()
        raise KeyboardInterrupt


def _catch(number: int, frame: FrameType | None) -> None:
    if _caught.is_set():
        signal.default_int_handler(number, frame)
    _caught.set()
