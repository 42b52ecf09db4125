"""benchmarks/fuzz.py counts what its children die of, keeps the input, and goes on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

fuzz = pytest.importorskip("fuzz", reason="benchmarks/ is not part of a source package")
import fuzz_child  # noqa: E402
from fuzz_child import Counts, Limits  # noqa: E402

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

CHILD = f"""
import ctypes, sys
from pathlib import Path
sys.path.insert(0, {str(BENCHMARKS)!r})
from fuzz_child import Counts, Limits, work
from hypothesis import strategies as st
import json

name, folder, seed, batch, limits = sys.argv[1:]

def check(number):
    if number == 7:
        ctypes.string_at(0)
    if number == 8:
        while True:
            pass
    if number == 9:
        raise KeyError(number)
    if number == 10:
        bytearray(1 << 33)
    return number % 2 == 0

Counts(Path(folder) / "counts").write(batch=int(batch))
work(name, st.integers(0, 40), check, Path(folder), int(seed), Limits(**json.loads(limits)))
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[fuzz.Run]:
    """A target that crashes natively, loops, raises and eats memory at one number each."""
    (tmp_path / "child.py").write_text(CHILD)
    limits = Limits(cpu_s=0.5, memory_mb=1024)
    made = fuzz.Run("numbers", 3, 0, limits, tmp_path / "kept")
    made.command = [sys.executable, str(tmp_path / "child.py")]
    yield made
    made.close()


def test_crash_hang_exception_and_memory_are_told_apart(run: fuzz.Run, tmp_path: Path) -> None:
    """Each is found with the very input that did it, and the fuzzing goes on behind it."""
    wanted = {("crash", "SIGSEGV", b"7"), ("hang", "SIGPROF", b"8")}
    wanted |= {("unexpected", "KeyError: 9", b"9"), ("unexpected", "MemoryError", b"10")}
    deadline = time.monotonic() + 240
    found: set[tuple[str, str, bytes]] = set()
    while not wanted <= found and time.monotonic() < deadline:
        run.go_on(120, most_deaths=1)
        found = {
            (f["kind"], f["by"], (tmp_path / "kept" / f["input"]).read_bytes())
            for f in run.findings
        }
    assert found == wanted
    row = run.row()
    assert row["executions"] > 40
    assert row["crashes"] >= 1
    assert row["hangs"] >= 1
    assert row["unexpected"] >= 2
    died = row["crashes"] + row["hangs"]
    in_flight = row["executions"] - row["taken"] - row["refused"] - row["unexpected"]
    assert died <= in_flight
    assert row["next_batch"] > died


def test_a_child_that_cannot_start_is_said_at_once(run: fuzz.Run) -> None:
    """A child that ends before its first input is no finding but an error with what it said."""
    run.command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(SystemExit, match="no such thing"):
        run.go_on(60)


def test_the_same_seed_gives_the_same_batch() -> None:
    """A batch depends on the seed, the target and its number, and on each of them."""

    def batch(seed: int, name: str, number: int) -> list[int]:
        cases: list[int] = []
        fuzz_child._batch(
            st.integers(0, 1 << 60),
            lambda case: cases.append(case),  # noqa: PLW0108 (given() wants a function of Python)
            fuzz_child.batch_seed(seed, name, number),
            cases=30,
        )
        return cases

    first = batch(1, "a", 0)
    assert first == batch(1, "a", 0)
    assert len({str(batch(*k)) for k in ((1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1))}) == 4


def test_counts_survive_their_writer(tmp_path: Path) -> None:
    """Counters that one wrote are read by another, and an older file goes on counting."""
    Counts(tmp_path / "c").add("executions", "taken")
    Counts(tmp_path / "c").add("executions")
    counts = Counts(tmp_path / "c").read()
    assert (counts["executions"], counts["taken"], counts["batch"]) == (2, 1, 0)


def test_a_resumed_report_adds_up(run: fuzz.Run) -> None:
    """Counts and findings of the earlier report are in the later one; other targets' rows stay."""
    run._counts.write(executions=5, taken=3, refused=2, peak_kb=2048, batch=9)
    row = {**run.row(), "target": "numbers", "executions": 100, "peak_mb": 7.0}
    earlier = {"rows": [{**row, "target": "other"}, row], "findings": [{"kind": "hang"}]}
    document = fuzz.document_of([run], json.loads(json.dumps(earlier)), 3, Limits())
    rows = {row["target"]: row for row in document["rows"]}
    assert list(rows) == ["other", "numbers"]
    assert (rows["numbers"]["executions"], rows["numbers"]["taken"]) == (105, 6)
    assert (rows["numbers"]["peak_mb"], rows["numbers"]["next_batch"]) == (7.0, 10)
    assert document["findings"] == [{"kind": "hang"}]
    assert rows["other"]["executions"] == 100
