"""Untrusted input of every kind, for as long as you like: files, command lines, options, geometry.

    python benchmarks/fuzz.py --minutes 30 --json benchmarks/results/fuzz.json
    python benchmarks/fuzz.py --minutes 30 --json benchmarks/results/fuzz.json --resume   goes on from there
    python benchmarks/fuzz.py --targets images,videos --minutes 5 --seed 7

The targets are those of tests/fuzz/. Each has a process of its own with a limit on its address space and on
the time of an input, so that a crash of a native decoder, an endless loop or a decompression bomb ends that
process only: it is counted, the input is kept in --findings, and a new process goes on with the next batch.
The same seed gives the same inputs, batch by batch. Ctrl-C ends it with what was done. Exit code 1 when
anything was found.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzz_child import Counts, Limits

from idrn_trt.files import write_text
from idrn_trt.tables import table

FORMAT = 1
KIND = "idrn_trt fuzzing report"
NAMES = ("images", "videos", "geometry", "options", "json", "arguments")
# How the system ends a child that ran out of its time.
_HANGS = {signal.SIGPROF: "cpu", signal.SIGALRM: "wall"}
_CHILD = Path(__file__).with_name("fuzz_child.py")


class Run:
    """One target's children, one after another.

    findings: what was found, as in the report. command: starts a child; the tests have another.
    """

    def __init__(self, name: str, seed: int, first_batch: int, limits: Limits, kept: Path) -> None:
        self.name = name
        self.seed = seed
        self.limits = limits
        self.findings: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.command = [sys.executable, str(_CHILD)]
        self._kept = kept
        self._scratch = Path(tempfile.mkdtemp(prefix="idrn-fuzz-"))
        self._counts = Counts(self._scratch / "counts")
        self._counts.write(batch=first_batch)

    def go_on(self, seconds: float, most_deaths: int | None = None) -> None:
        """Fuzz for so long, or until so many children died. KeyboardInterrupt ends it sooner."""
        start = time.monotonic()
        deaths = 0
        try:
            while deaths != most_deaths and (left := seconds - (time.monotonic() - start)) > 0:
                code = self._child(left)
                if code is None:
                    return
                self._died(code)
                deaths += 1
        finally:
            self.seconds += time.monotonic() - start
            self._take_unexpected()

    def row(self) -> dict[str, Any]:
        """Counters, for the report."""
        counts = self._counts.read()
        kinds = [finding["kind"] for finding in self.findings]
        return {
            "target": self.name,
            **{key: counts[key] for key in ("executions", "taken", "refused", "unexpected")},
            "crashes": kinds.count("crash"),
            "hangs": kinds.count("hang"),
            "first_mb": round(counts["first_kb"] / 1024, 1),
            "last_mb": round(counts["last_kb"] / 1024, 1),
            "peak_mb": round(counts["peak_kb"] / 1024, 1),
            "seconds": round(self.seconds, 1),
            "next_batch": counts["batch"] + 1,
        }

    def close(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _child(self, seconds: float) -> int | None:
        """The exit code of a child that ended by itself; None for one that was still going."""
        batch = self._counts.read()["batch"]
        arguments = [self.name, str(self._scratch), str(self.seed), str(batch)]
        limits = json.dumps(dataclasses.asdict(self.limits))
        with (self._scratch / "stderr").open("wb") as stderr:
            # A group and a temporary folder of its own: Ctrl-C is ours to pass on, and what a killed child
            # had in that folder goes with ours.
            process = subprocess.Popen(
                [*self.command, *arguments, limits], start_new_session=True, stderr=stderr,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(self._scratch), "PYTHONFAULTHANDLER": "1"},
            )  # fmt: skip
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _died(self, code: int) -> None:
        counts = self._counts.read()
        said = (self._scratch / "stderr").read_text(errors="replace")[-4000:]
        if code >= 0 and not counts["executions"]:
            raise SystemExit(f"the target {self.name!r} does not start:\n{said}")
        kind = "hang" if -code in _HANGS else "crash"
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._found(kind, by, (self._scratch / "current").read_bytes(), said)
        self._counts.write(batch=counts["batch"] + 1)

    def _take_unexpected(self) -> None:
        for path in sorted(self._scratch.glob("unexpected-*.txt")):
            text = path.read_text(encoding="utf-8")
            data = path.with_suffix(".input").read_bytes()
            self._found("unexpected", text.strip().splitlines()[-1][:300], data, text)
            path.unlink()

    def _found(self, kind: str, by: str, data: bytes, text: str) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in self._kept.glob(f"{self.name}-{kind}-*.input"))
        path = self._kept / f"{self.name}-{kind}-{number}.input"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(f"{by}\n\n{text}", encoding="utf-8")
        batch = self._counts.read()["batch"]
        self.findings.append({
            "target": self.name, "kind": kind, "by": by, "batch": batch, "bytes": len(data),
            "input": path.name,
        })  # fmt: skip


def added(row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """A row with the counts of an earlier run of the same target in it."""
    if before is None:
        return row
    sums = ("executions", "taken", "refused", "unexpected", "crashes", "hangs", "seconds")
    merged = {**row, **{key: round(row[key] + before[key], 1) for key in sums}}
    return {**merged, "peak_mb": max(row["peak_mb"], before["peak_mb"])}


def report_text(document: dict[str, Any]) -> str:
    """The table, and a line for each thing that was found."""
    heads = (
        "target", "executions", "taken", "refused", "unexpected", "crashes", "hangs", "MB at first",
        "last", "peak", "minutes",
    )  # fmt: skip
    rows = [
        (
            row["target"], f"{row['executions']:,}", f"{row['taken']:,}", f"{row['refused']:,}",
            row["unexpected"], row["crashes"], row["hangs"], row["first_mb"], row["last_mb"],
            row["peak_mb"], f"{row['seconds'] / 60:.1f}",
        )
        for row in document["rows"]
    ]  # fmt: skip
    lines = [table(heads, rows)]
    lines += [
        f"{found['target']}: {found['kind']} ({found['by']}), kept as {found['input']}"
        for found in document["findings"]
    ]
    return "\n".join(lines)


def document_of(
    runs: list[Run], earlier: dict[str, Any], seed: int, limits: Limits
) -> dict[str, Any]:
    """The report of everything that was done, earlier runs included."""
    from idrn_trt.bench.machine import cpu, versions

    before = {row["target"]: row for row in earlier.get("rows", [])}
    now = {run.name: added(run.row(), before.get(run.name)) for run in runs}
    return {
        "format": FORMAT, "kind": KIND, "seed": seed,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "limits": dataclasses.asdict(limits), "machine": cpu(), "versions": versions(),
        "rows": list({**before, **now}.values()),
        "findings": [*earlier.get("findings", []), *(f for run in runs for f in run.findings)],
    }  # fmt: skip


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="all together (default: 30)")
    parser.add_argument("--targets", default=",".join(NAMES), metavar="A,B", help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--resume", action="store_true", help="go on with what --json FILE holds")
    parser.add_argument(
        "--findings", type=Path, default=Path("out/fuzz"), metavar="DIR",
        help="inputs that crash, hang or raise what they may not (default: out/fuzz)",
    )  # fmt: skip
    parser.add_argument("--cpu-seconds", type=float, default=Limits.cpu_s, help="for one input")
    parser.add_argument("--memory-mb", type=int, default=Limits.memory_mb, help="of growth")
    args = parser.parse_args()
    args.targets = [name.strip() for name in args.targets.split(",")]
    unknown = set(args.targets) - set(NAMES)
    if unknown or args.minutes <= 0 or (args.resume and args.json is None):
        parser.error(
            f"unknown targets {sorted(unknown)}: expected {', '.join(NAMES)}" if unknown
            else "--minutes must be above 0, and --resume needs --json"
        )  # fmt: skip
    return args


def main() -> int:
    """Give every target its share of the time, and report."""
    args = parsed()
    earlier = json.loads(args.json.read_text()) if args.resume and args.json.exists() else {}
    seed = earlier.get("seed", args.seed)
    first = {row["target"]: row["next_batch"] for row in earlier.get("rows", [])}
    limits = Limits(cpu_s=args.cpu_seconds, memory_mb=args.memory_mb)
    runs: list[Run] = []
    interrupted = False
    with contextlib.ExitStack() as stack:
        try:
            for name in args.targets:
                print(f"{name} ...", file=sys.stderr)
                runs.append(Run(name, seed, first.get(name, 0), limits, args.findings))
                stack.callback(runs[-1].close)
                runs[-1].go_on(60 * args.minutes / len(args.targets))
        except KeyboardInterrupt:
            interrupted = True
        document = document_of(runs, earlier, seed, limits)
    print(report_text(document))
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n", "report")
    if interrupted:
        return 130
    return 1 if document["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
