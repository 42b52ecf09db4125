"""Cold start: whole processes from their start to the first result, with and without the model cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import idrn_trt
from idrn_trt.bench.cases import Case
from idrn_trt.errors import DeviceError

ROUNDS = 3
_TIMEOUT_S = 120

_CHILD = """
import json, sys, time
start = time.perf_counter()
import numpy
from idrn_trt import open_engine
imported = time.perf_counter()
model, engine, precision, threads, side = sys.argv[1:]
opened = open_engine(model, engine=engine, precision=precision, threads=int(threads))
ready = time.perf_counter()
opened.run(numpy.zeros((1, int(side), int(side), 3), numpy.uint8))
done = time.perf_counter()
print(json.dumps({"import_s": imported - start, "open_s": ready - imported, "first_run_s": done - ready}))
"""


def cold_start(case: Case, threads: int, side: int) -> dict[str, Any]:
    """Median seconds of ROUNDS processes each way, taken in turns. Raises DeviceError when one fails."""
    taken: dict[str, list[dict[str, float]]] = {"without_cache": [], "with_cache": []}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept"
        _process(case, threads, side, kept)  # fills the cache
        for turn in range(ROUNDS):
            taken["without_cache"].append(
                _process(case, threads, side, Path(folder) / f"empty{turn}")
            )
            taken["with_cache"].append(_process(case, threads, side, kept))
    return {
        "model": case.row.model,
        "engine": case.row.engine,
        "precision": case.row.precision,
        "processes": ROUNDS,
        **{way: _medians(runs) for way, runs in taken.items()},
    }


def _process(case: Case, threads: int, side: int, cache: Path) -> dict[str, float]:
    cache.mkdir(exist_ok=True)
    if case.source is None:
        raise DeviceError(f"{case.row.name} is no model that a process could open")
    home = str(Path(idrn_trt.__file__).resolve().parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(paths)}
    model = str(case.source.folder if case.source.manifest else _bare(case))
    row = case.row
    arguments = [model, row.engine, row.precision, str(threads), str(side)]
    start = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 (this very interpreter)
            [sys.executable, "-c", _CHILD, *arguments],
            env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True,
        )  # fmt: skip
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise DeviceError(f"a process with {row.name} failed: {error}") from error
    return {"total_s": time.perf_counter() - start, **found}


def _bare(case: Case) -> Path:
    source = case.source
    assert source is not None  # noqa: S101 (narrows the type)
    return source.folder / source.files["bare"].path


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(float(np.median([run[key] for run in runs])), 4) for key in runs[0]}
