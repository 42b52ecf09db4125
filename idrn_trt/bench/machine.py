"""What a figure was measured on: processor, instruction sets, cores, versions. Standard library only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from idrn_trt.processor import cpu_info, cpu_name, usable_cores

# The instruction sets that decide how fast a convolution can be, by the names Linux gives them.
_TELLING = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16", "amx_fp16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
)  # fmt: skip


def cpu() -> dict[str, Any]:
    """The processor: model, instruction sets that matter, logical cores and those usable here."""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpu_info(), re.MULTILINE)
    have = set(flags[1].split()) if flags else set()
    return {
        "model": cpu_name(),
        "instruction_sets": [name for name in _TELLING if name in have],
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
    }


def affinity() -> list[int]:
    """The numbers of the cores this process may run on; empty where the system does not tell."""
    usable = getattr(os, "sched_getaffinity", None)
    return sorted(usable(0)) if usable else []


class Others:
    """How many of the usable cores other processes, and the hypervisor, took since this was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time(), _busy_s()

    def cores(self) -> float | None:
        """Cores' worth of work that was not this process's; None where the system does not tell."""
        wall_s, own_s, busy_s = self._start
        now_busy_s = _busy_s()
        if busy_s is None or now_busy_s is None:
            return None
        others_s = (now_busy_s - busy_s) - (time.process_time() - own_s)
        return max(0.0, others_s / max(time.perf_counter() - wall_s, 1e-3))


def _busy_s() -> float | None:
    """Seconds that the usable cores have worked since the system started (proc_stat(5))."""
    total = 0.0
    lines = dict(line.split(maxsplit=1) for line in _read("/proc/stat").splitlines() if " " in line)
    names = [f"cpu{core}" for core in affinity()]
    if not names or any(name not in lines for name in names):
        return None
    for name in names:
        user, nice, system, _idle, _iowait, irq, softirq, steal = lines[name].split()[:8]
        total += sum(map(int, (user, nice, system, irq, softirq, steal)))
    return total / os.sysconf("SC_CLK_TCK")


def gpus() -> list[dict[str, str]]:
    """NVIDIA cards by name, driver and clocks as their own tool tells; empty without it."""
    fields = ("name", "driver_version", "clocks.sm", "clocks.max.sm")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    lines = _output(command).splitlines()
    return [dict(zip(fields, (v.strip() for v in line.split(",")), strict=False)) for line in lines]


def git_revision(package: Path) -> str:
    """The source tree's revision, "-dirty" behind it when files differ; "" for an installed package."""
    if not (package.parent / "pyproject.toml").is_file():
        return ""
    command = ["git", "-C", str(package.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    return _output(command).strip()


def _output(command: list[str]) -> str:
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 (fixed commands, no shell)
            [program, *command[1:]], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


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
