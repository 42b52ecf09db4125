"""The processor's name and the cores this process may use. Standard library only."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cpu_name() -> str:
    """The model's name as the system gives it, else the architecture's."""
    for line in cpu_info().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_info() -> str:
    """Linux's /proc/cpuinfo; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
