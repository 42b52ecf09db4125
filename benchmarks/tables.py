"""RESULTS.md and the README's tables, from the recorded reports in benchmarks/results/.

    python benchmarks/tables.py           write both
    python benchmarks/tables.py --check   exit 1 when either differs from what the reports say

The README's PSNR is that of the models' files as they are, as benchmarks/cards.py recorded it (models.json):
weights may be younger than times, which do not depend on them.

A report is what `idrn-trt bench`, benchmarks/pipeline.py, native.py, gpu.py, stream.py and
detection_targets.py and those of benchmarks/paper/ write with --json; other JSON files there are none of
this script's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from idrn_trt.bench import document as bench
from idrn_trt.bench.document import check_report, measured
from idrn_trt.bench.report import headline, markdown, markdown_table
from idrn_trt.errors import SourceError
from idrn_trt.files import write_text

sys.path.insert(0, str(Path(__file__).resolve().parent / "paper"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import _front as front  # these two are found in the first folder
import _report as experiments
import detection_report  # these five in the second
import gpu_report
import native_report
import pipeline_report
import stream_report

ROOT = Path(__file__).resolve().parents[1]
NOTHING = "No run is recorded yet.\n"


class Kind(NamedTuple):
    """How a kind of report is shown; check raises ValueError, KeyError or TypeError for a damaged one."""

    check: Callable[[dict[str, Any]], None]
    markdown: Callable[[dict[str, Any]], str]


# In the order of RESULTS.md: speed, what is around the network, how faces are found, the networks themselves.
KINDS = {
    bench.KIND: Kind(check_report, markdown),
    gpu_report.KIND: Kind(gpu_report.check, gpu_report.markdown),
    pipeline_report.KIND: Kind(pipeline_report.check, pipeline_report.markdown),
    native_report.KIND: Kind(native_report.check, native_report.markdown),
    stream_report.KIND: Kind(stream_report.check, stream_report.markdown),
    detection_report.KIND: Kind(detection_report.check, detection_report.markdown),
    front.KIND: Kind(front.check, front.markdown),
    experiments.KIND: Kind(experiments.check, experiments.markdown),
}

# What the README's table is taken from: the first report by name that was measured like this.
_README_CONDITIONS = {"scenario": "single-stream", "batch": 1, "window_px": 32}


def reports(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind -> file name -> report, both in RESULTS.md's order. Raises SourceError for a damaged one."""
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_bytes())
            kind = document.get("kind")
            if kind in KINDS:
                KINDS[kind].check(document)
                found[kind][path.name] = document
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{path.name!r} is no report that can be shown: {error}") from error
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


def speed_table(found: dict[str, dict[str, Any]], recorded: dict[str, Any]) -> str:
    """The README's first table, each engine's fastest precision, and where it was measured.

    recorded: the models of models.json.
    """
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
            _number(_psnr_y_db(row, recorded)), _number(row.get("paper_ms")),
        )
        for row in rows
    ]  # fmt: skip
    machine, conditions = chosen["machine"], chosen["conditions"]
    where = (
        f"One {conditions['window_px']} px face at a time on {conditions['threads']} cores of "
        f"{machine['model']} ({', '.join(machine['instruction_sets'])}), network alone, by "
        "`idrn-trt bench`. More in [benchmarks/RESULTS.md](benchmarks/RESULTS.md)."
    )
    if any(_is_older(row, recorded) for row in rows):
        where += (
            " PSNR-Y is that of the models as they are now (`benchmarks/cards.py`); some were timed with "
            "earlier weights, on which times do not depend."
        )
    quoted = f"\n{headline(chosen)}.\n" if headline(chosen) else ""
    return f"{markdown_table(heads, cells)}\n{quoted}\n{where}\n"


def _psnr_y_db(row: dict[str, Any], recorded: dict[str, Any]) -> float | None:
    """Of the row's file as it is now, where that is recorded; else what the row itself says."""
    measured_on = recorded.get(row["model"], {"on": {}})["on"]
    means = measured_on.get(f"{row['precision']} {_README_CONDITIONS['window_px']} px")
    return row.get("psnr_y_db") if means is None else float(means["all"]["psnr_y_db"])


def _is_older(row: dict[str, Any], recorded: dict[str, Any]) -> bool:
    """Whether the row was timed with a file that is none of the model's recorded ones."""
    model = recorded.get(row["model"])
    return model is not None and row.get("sha256") not in model["sha256"].values()


def recorded_models(folder: Path) -> dict[str, Any]:
    """Model -> sha256 of its files and what was measured with them. Raises SourceError when damaged."""
    path = folder / "models.json"
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_bytes())["models"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name!r} is no record of benchmarks/cards.py: {error}") from error


def detector_table(found: dict[str, dict[str, Any]]) -> str:
    """The README's table of face detectors, of the first report by name."""
    first = next(iter(found.values()), None)
    return NOTHING if first is None else detection_report.readme_table(first)


def _for_readme(report: dict[str, Any]) -> bool:
    conditions = report["conditions"]
    as_wanted = all(conditions.get(key) == value for key, value in _README_CONDITIONS.items())
    return report["mode"] == "engines" and as_wanted


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def with_table(document: str, part: str, table: str) -> str:
    """`document` with what stands between the part's markers replaced. Raises ValueError without them."""
    begin, end = (
        f"<!-- {word}: python benchmarks/tables.py, {part} -->" for word in ("begin", "end")
    )
    before, began, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if not began or not ended:
        raise ValueError(f"no place for the table: expected the lines {begin!r} and {end!r}")
    return f"{before}{begin}\n{table}{end}{after}"


def wanted(root: Path) -> dict[Path, str]:
    """Each generated document and what it should hold."""
    folder = root / "benchmarks" / "results"
    found, models = reports(folder), recorded_models(folder)
    readme = root / "README.md"
    speed = speed_table(found[bench.KIND], models)
    text = with_table(readme.read_text(encoding="utf-8"), "speed", speed)
    text = with_table(text, "detectors", detector_table(found[detection_report.KIND]))
    return {root / "benchmarks" / "RESULTS.md": results(found), readme: text}


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
