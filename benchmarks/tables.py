"""RESULTS.md and the README's table, from the recorded reports in benchmarks/results/.

    python benchmarks/tables.py           write both
    python benchmarks/tables.py --check   exit 1 when either differs from what the reports say

A report is what `idrn-trt bench`, benchmarks/pipeline.py and those of benchmarks/paper/ write with --json;
other JSON files there are none of this script's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from idrn_trt.bench import document as bench
from idrn_trt.bench.document import measured, read_report
from idrn_trt.bench.report import headline, markdown, markdown_table
from idrn_trt.files import write_text

sys.path.insert(0, str(Path(__file__).resolve().parent / "paper"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import _front as front  # these two are found in the first folder
import _report as experiments
import pipeline_report  # found in the second

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- begin: python benchmarks/tables.py -->"
END = "<!-- end: python benchmarks/tables.py -->"
NOTHING = "No run is recorded yet.\n"


class Kind(NamedTuple):
    """How a kind of report is read and shown; read raises SourceError for a damaged one."""

    read: Callable[[Path], dict[str, Any]]
    markdown: Callable[[dict[str, Any]], str]


# In the order of RESULTS.md: speed, what is around the network, and the networks themselves.
KINDS = {
    bench.KIND: Kind(read_report, markdown),
    pipeline_report.KIND: Kind(pipeline_report.read, pipeline_report.markdown),
    front.KIND: Kind(front.read, front.markdown),
    experiments.KIND: Kind(experiments.read, experiments.markdown),
}

# What the README's table is taken from: the first report by name that was measured like this.
_README_CONDITIONS = {"scenario": "single-stream", "batch": 1, "window_px": 32}


def reports(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind -> file name -> report, both in RESULTS.md's order. Raises SourceError for a damaged one."""
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for path in sorted(folder.glob("*.json")):
        kind = json.loads(path.read_bytes()).get("kind")
        if kind in KINDS:
            found[kind][path.name] = KINDS[kind].read(path)
    return found


def results(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The text of RESULTS.md."""
    head = (
        "# Recorded results\n\n"
        "Written by `python benchmarks/tables.py` from the JSON in `results/`; do not edit. Every number "
        "is of the machine named above it.\n\n"
    )
    parts = [
        f"## {name.removesuffix('.json')}\n\n{KINDS[kind].markdown(report)}"
        for kind, some in found.items()
        for name, report in some.items()
    ]
    return head + ("\n".join(parts) or NOTHING)


def readme_table(found: dict[str, dict[str, Any]]) -> str:
    """The README's table, each engine's fastest precision, with the line that says where it was measured."""
    chosen = next((r for r in found.values() if _for_readme(r)), None)
    if chosen is None:
        return NOTHING
    heads = ("network", "engine", "p50 ms", "p99 ms", "faces/s", "PSNR-Y dB", "the paper's GPU, ms")
    by_speed = sorted(measured(chosen), key=lambda row: float(row["figures"]["p50_ms"]))
    fastest: dict[tuple[str, str], Any] = {}
    for row in by_speed:  # of each model on each engine
        fastest.setdefault((row["model"], row["engine"]), row)
    rows = list(fastest.values())
    cells = [
        (
            row["model"], f"{row['engine']} {row['precision']}", f"{row['figures']['p50_ms']:.2f}",
            f"{row['figures']['p99_ms']:.2f}", f"{row['images_per_s']:.0f}",
            _number(row.get("psnr_y_db")), _number(row.get("paper_ms")),
        )
        for row in rows
    ]  # fmt: skip
    machine, conditions = chosen["machine"], chosen["conditions"]
    where = (
        f"One {conditions['window_px']} px face at a time on {conditions['threads']} cores of "
        f"{machine['model']} ({', '.join(machine['instruction_sets'])}), network alone, by "
        "`idrn-trt bench`. More in [benchmarks/RESULTS.md](benchmarks/RESULTS.md)."
    )
    quoted = f"\n{headline(chosen)}.\n" if headline(chosen) else ""
    return f"{markdown_table(heads, cells)}\n{quoted}\n{where}\n"


def _for_readme(report: dict[str, Any]) -> bool:
    conditions = report["conditions"]
    as_wanted = all(conditions.get(key) == value for key, value in _README_CONDITIONS.items())
    return report["mode"] == "engines" and as_wanted


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def with_table(document: str, table: str) -> str:
    """`document` with what stands between the markers replaced. Raises ValueError without them."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the table: expected the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def wanted(root: Path) -> dict[Path, str]:
    """Each generated document and what it should hold."""
    found = reports(root / "benchmarks" / "results")
    readme = root / "README.md"
    return {
        root / "benchmarks" / "RESULTS.md": results(found),
        readme: with_table(readme.read_text(encoding="utf-8"), readme_table(found[bench.KIND])),
    }


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    args = parser.parse_args(argv)
    different = [
        (path, text)
        for path, text in wanted(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in different:
        if args.check:
            print(f"{path.name} is not what the reports say: run python benchmarks/tables.py")
        else:
            write_text(path, text)
            print(f"written: {path.name}")
    return 1 if args.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
