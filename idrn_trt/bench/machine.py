"""What a figure was measured on: processor, instruction sets, cores, versions. Standard library only."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

# The instruction sets that decide how fast a convolution can be, by the names Linux gives them.
_TELLING = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16", "amx_fp16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
)  # fmt: skip


def cpu() -> dict[str, Any]:
    """The processor: model, instruction sets that matter, logical cores and those usable here."""
    text = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    have = set(flags[1].split()) if flags else set()
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "model": model[1] if model else platform.processor() or platform.machine(),
        "instruction_sets": [name for name in _TELLING if name in have],
        "cores": os.cpu_count(),
        "usable_cores": len(usable(0)) if usable else os.cpu_count(),
    }


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of `packages`; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
