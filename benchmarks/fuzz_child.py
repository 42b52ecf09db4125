"""The process in which one target is fuzzed. It may die at any input: what matters is on disk before.

    python benchmarks/fuzz_child.py TARGET FOLDER SEED BATCH LIMITS

FOLDER/current is the input being tried, FOLDER/counts the counters (Counts), FOLDER/unexpected-*.txt the
exceptions that no input may raise, one file a place in the code. A batch is BATCH_CASES inputs; its seed
follows from SEED, the target's name and the batch's number alone. It goes on until it is killed.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH_CASES = 200
_FIELDS = (
    "batch",
    "executions",
    "taken",
    "refused",
    "unexpected",
    "first_kb",
    "last_kb",
    "peak_kb",
)
_LAYOUT = f"<{len(_FIELDS)}Q"
# Reading /proc costs more than many an input.
_MEASURE_EVERY = 50


@dataclass
class Limits:
    """For one input. cpu_s: of all threads together. wall_s: for one that only waits.

    memory_mb: address space beyond what the process has when it begins.
    """

    cpu_s: float = 10.0
    wall_s: float = 120.0
    memory_mb: int = 1024


class Counts:
    """Counters in a file that both processes map, so that they outlive the child at any moment."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(struct.calcsize(_LAYOUT)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def read(self) -> dict[str, int]:
        """All of them by name."""
        return dict(zip(_FIELDS, struct.unpack(_LAYOUT, self._map[:]), strict=True))

    def write(self, **changes: int) -> None:
        """Set some."""
        self._map[:] = struct.pack(_LAYOUT, *{**self.read(), **changes}.values())

    def add(self, *names: str) -> None:
        """Count one more."""
        now = self.read()
        self.write(**{name: now[name] + 1 for name in names})


def work(
    name: str,
    strategy: Any,
    check: Callable[[Any], bool],
    folder: Path,
    seed: int,
    limits: Limits,
) -> None:
    """Batches from counts' own on, for ever."""
    counts = Counts(folder / "counts")
    current = os.open(folder / "current", os.O_WRONLY | os.O_CREAT)
    try_one(check, _simplest(strategy), limits)  # what is loaded or made once is no growth
    _limit_memory(limits)
    memory = _memory_kb()
    if not counts.read()["first_kb"]:
        counts.write(first_kb=memory["VmRSS"], last_kb=memory["VmRSS"], peak_kb=memory["VmRSS"])

    def one(case: Any) -> None:
        data = as_bytes(case)
        os.pwrite(current, data, 0)
        os.truncate(current, len(data))
        counts.add("executions")
        try:
            counts.add("taken" if try_one(check, case, limits) else "refused")
        except Exception as error:  # noqa: BLE001 (this is what is looked for)
            counts.add("unexpected")
            _keep(folder, error, data)
        if counts.read()["executions"] % _MEASURE_EVERY == 0:
            _measure(counts)

    while True:
        _batch(strategy, one, batch_seed(seed, name, counts.read()["batch"]))
        _measure(counts)
        counts.add("batch")


def try_one(check: Callable[[Any], bool], case: Any, limits: Limits) -> bool:
    """Run it; the system ends this process when it takes too long, wherever it then is."""
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s)
    try:
        return check(case)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def batch_seed(seed: int, name: str, batch: int) -> int:
    """A number that is another one for every batch."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}:{batch}".encode()).digest()[:8], "big")


def as_bytes(case: Any) -> bytes:
    """A case as it is kept: itself, or how Python writes it."""
    return case if isinstance(case, bytes) else ascii(case).encode("ascii")


def _settings(cases: int) -> Any:
    from hypothesis import HealthCheck, Phase, settings

    return settings(
        max_examples=cases, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def _batch(strategy: Any, one: Callable[[Any], None], seed: int, cases: int = BATCH_CASES) -> None:
    import hypothesis

    run = hypothesis.given(strategy)(one)
    hypothesis.seed(seed)(_settings(cases)(run))()


def _simplest(strategy: Any) -> Any:
    found: list[Any] = []
    _batch(strategy, lambda case: found.append(case), 0, cases=1)  # noqa: PLW0108 (given() wants Python)
    return found[0]


def _limit_memory(limits: Limits) -> None:
    most = (_memory_kb()["VmSize"] << 10) + (limits.memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _measure(counts: Counts) -> None:
    now = _memory_kb()
    counts.write(last_kb=now["VmRSS"], peak_kb=max(now["VmHWM"], counts.read()["peak_kb"]))


def _memory_kb() -> dict[str, int]:
    """Of this process alone; the high-water mark that getrusage gives may be its parent's."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[0].startswith("Vm")}


def _keep(folder: Path, error: Exception, data: bytes) -> None:
    """The first input of every place that an exception came from, with its traceback."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__} {last.filename}:{last.lineno}"
    name = f"unexpected-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    if not (folder / f"{name}.txt").exists():
        (folder / f"{name}.input").write_bytes(data)
        text = "".join(traceback.format_exception(error))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def main() -> None:
    """See above."""
    name, folder, seed, batch, limits = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))
    from fuzz_targets import TARGETS

    warnings.simplefilter("error")
    Counts(Path(folder) / "counts").write(batch=int(batch))
    target = TARGETS[name]
    work(name, target.cases(), target.check, Path(folder), int(seed), Limits(**json.loads(limits)))


if __name__ == "__main__":
    main()
