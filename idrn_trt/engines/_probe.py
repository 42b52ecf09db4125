"""Which precision is fastest here: measured once for a machine and model, then remembered.

A processor's name does not tell: the same name is sold with and without what makes bfloat16 or int8
fast, and a hypervisor may hide it. So every candidate is opened and timed for 0.2 s.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from idrn_trt.engines._cache import cache_folder
from idrn_trt.engines.base import OPENING_WINDOW_PX, Engine
from idrn_trt.errors import SinkError
from idrn_trt.files import write_text
from idrn_trt.processor import cpu_name, usable_cores
from idrn_trt.types import Precision

PROBE_S = 0.2
_LEAST_ROUNDS = 3
# A less exact precision must be this much faster to be taken: less is noise of the measurement.
_WORTH_IT = 0.9
_LARGEST_BYTES = 1 << 16


def open_fastest(
    key: Mapping[str, Any], candidates: list[Precision], opener: Callable[[Precision], Engine]
) -> Engine:
    """The engine in the precision that is fastest here.

    key: what the choice depends on besides the machine. candidates: most exact first. Each is opened and
    timed unless the choice is remembered. Raises what `opener` raises.
    """
    key = {**key, **machine()}
    chosen = remembered(key, candidates)
    if chosen is not None:
        return opener(chosen)
    opened: dict[Precision, Engine] = {}
    try:
        for precision in candidates:
            opened[precision] = opener(precision)
        times_ms = measure(opened)
        chosen = choose(times_ms)
        engine = opened.pop(chosen)
    finally:
        for other in opened.values():
            other.close()
    if not remember(key, times_ms, chosen):
        engine.notes.append(
            "the fastest precision is measured at every opening: no cache folder to keep it in"
        )
    return engine


def machine() -> dict[str, Any]:
    """What the timing depends on: processor, its number of cores for this process, architecture."""
    return {"cpu": cpu_name(), "cores": usable_cores(), "architecture": platform.machine()}


def measure(engines: Mapping[Precision, Engine]) -> dict[Precision, float]:
    """Median ms of one window in each engine, taken in turns for PROBE_S in all."""
    side = OPENING_WINDOW_PX
    window = np.full((1, side, side, 3), 128, np.uint8)
    times: dict[Precision, list[float]] = {precision: [] for precision in engines}
    end = time.perf_counter() + PROBE_S
    rounds = 0
    while rounds < _LEAST_ROUNDS or time.perf_counter() < end:
        for precision, engine in engines.items():
            start = time.perf_counter()
            engine.run(window)
            times[precision].append((time.perf_counter() - start) * 1e3)
        rounds += 1
    return {precision: statistics.median(values) for precision, values in times.items()}


def choose(times_ms: Mapping[Precision, float]) -> Precision:
    """The precision to take, of timings listed from the most exact to the least."""
    best, *others = times_ms
    for precision in others:
        if times_ms[precision] < _WORTH_IT * times_ms[best]:
            best = precision
    return best


def remembered(key: Mapping[str, Any], among: list[Precision]) -> Precision | None:
    """The choice made earlier for this key, if it is one of `among`."""
    folder = cache_folder("probes")
    if folder is None:
        return None
    saved = _read(folder / _file_name(key))
    if saved is None or saved["key"] != dict(key):
        return None
    return next((precision for precision in among if precision == saved["chosen"]), None)


def remember(
    key: Mapping[str, Any], times_ms: Mapping[Precision, float], chosen: Precision
) -> bool:
    """Keep a choice for the next opening; False where that is not possible."""
    folder = cache_folder("probes")
    if folder is None:
        return False
    rounded = {precision: round(value, 3) for precision, value in times_ms.items()}
    text = json.dumps({"key": dict(key), "times_ms": rounded, "chosen": chosen}, indent=1)
    with contextlib.suppress(SinkError):
        write_text(folder / _file_name(key), text + "\n")
        return True
    return False


def probes() -> list[dict[str, Any]]:
    """Every choice remembered here: {"key": {...}, "times_ms": {...}, "chosen": ...}."""
    folder = cache_folder("probes")
    if folder is None:
        return []
    found = (_read(path) for path in sorted(folder.glob("*.json")))
    return [saved for saved in found if saved is not None]


def _read(path: Path) -> dict[str, Any] | None:
    """A remembered choice; None when there is none or the file is not one of ours."""
    try:
        with path.open("rb") as file:
            saved = json.loads(file.read(_LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(saved, dict):
        return None
    kinds = {"key": dict, "times_ms": dict, "chosen": str}
    if not all(isinstance(saved.get(name), kind) for name, kind in kinds.items()):
        return None
    key = saved["key"]
    return (
        saved if isinstance(key.get("files"), dict) and {"engine", "threads"} <= set(key) else None
    )


def _file_name(key: Mapping[str, Any]) -> str:
    text = json.dumps(dict(key), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24] + ".json"
