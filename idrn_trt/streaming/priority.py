"""The network's threads step back behind those that frames wait for.

Where frames do not wait for the network, its threads and those that read, find, carry and write share the
processor's cores, and with equal rights each step of a frame would take two or three times as long
(docs/decisions/037). Linux gives each thread a priority; elsewhere nothing is done.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

# So many steps of niceness: a thread that has not stepped back gets ten times as much of a core.
STEPS = 10
_NICEST = 19
# A thread computes for a call if it takes this share of what the busiest one takes.
_BUSY_SHARE = 0.25


def computing(work: Callable[[], None]) -> list[int]:
    """Do some work, and tell the native ids of the threads, other than Python's own, that computed for it.

    An empty list where threads have no priority of their own.
    """
    before = _cpu_ticks()
    work()
    ours = {thread.native_id for thread in threading.enumerate()}
    took = {
        thread: ticks - before.get(thread, 0)
        for thread, ticks in _cpu_ticks().items()
        if thread not in ours
    }
    busy = _BUSY_SHARE * max(took.values(), default=0)
    return [thread for thread, ticks in took.items() if ticks and ticks >= busy]


def step_back(threads: Iterable[int] = (0,)) -> None:
    """Let these threads step back behind the process, by native ids; 0 is the one that calls.

    There is no way back, and to do it again changes nothing.
    """
    if sys.platform != "linux":
        return
    for thread in threads:
        with suppress(OSError):  # it has ended, or may not
            now = os.getpriority(os.PRIO_PROCESS, thread)
            behind = min(_NICEST, os.getpriority(os.PRIO_PROCESS, os.getpid()) + STEPS)
            os.setpriority(os.PRIO_PROCESS, thread, max(now, behind))


def _cpu_ticks() -> dict[int, int]:
    """Processor time of each of the process's threads, by native id, in the system's ticks."""
    ticks: dict[int, int] = {}
    for folder in Path("/proc/self/task").glob("*") if sys.platform == "linux" else ():
        with suppress(OSError):  # it has just ended
            # The name, which may hold anything, is in brackets: user and system time are 11 fields after it.
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            ticks[int(folder.name)] = int(fields[11]) + int(fields[12])
    return ticks
