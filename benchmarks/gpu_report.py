"""What benchmarks/gpu.py recorded, as Markdown. Standard library and this package's own report only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline_report import check_format, versions

from idrn_trt.bench.report import markdown_table

KIND = "idrn_trt gpu report"
FORMAT = 1
_PASSED = {True: "yes", False: "no", None: "not run"}
_TIMES = ("p50_ms", "p90_ms", "p99_ms")


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    check_format(document, FORMAT)
    markdown(document)


def markdown(document: Mapping[str, Any]) -> str:
    """The result below a heading of the caller's own: the parts that were run, and what is to be known."""
    machine = document["machine"]
    cards = "; ".join(
        f"{gpu['name']}, driver {gpu['driver_version']}, SM clock {gpu['clocks.sm']} of "
        f"{gpu['clocks.max.sm']}"
        for gpu in machine["gpus"]
    )
    checks: Mapping[str, Any] = document.get("checks", {})
    reference, detector = document.get("reference", []), document.get("detector", [])
    head = (
        f"On a GPU, by `python benchmarks/gpu.py`: {cards or 'a card unnamed'}; {machine['usable_cores']} "
        f"cores of {machine['model']}, {document['date']}, {versions(document)}."
    )
    parts = [
        head,
        _checks(checks) if checks else "",
        _reference([row for row in reference if "p50_ms" in row]),
        _detector([row for row in detector if "p50_ms" in row]),
        _remarks(checks, [*reference, *detector], document.get("notes", [])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _checks(checks: Mapping[str, Any]) -> str:
    """Each check with its figures and whether it passed."""
    cells = [
        (
            name,
            "; ".join(
                f"{key.replace('_', ' ')} {value}"
                for key, value in found.items()
                if key not in {"passed", "command"}
            ),
            _PASSED[found["passed"]],
        )
        for name, found in checks.items()
    ]
    return markdown_table(("check", "figures", "passed"), cells)


def _reference(rows: list[Mapping[str, Any]]) -> str:
    """The networks' times by the GPU's clock, the engine of ONNX Runtime's by the wall clock."""
    heads = ("network", "by", "precision", "window px", "batch", "dB to fp32", *_heads())
    cells = [
        (
            row.get("network", "the default model"), row["by"], row["precision"],
            f"{row['window_px']}", f"{row['batch']}", _db(row.get("psnr_fp32_db")), *_times(row),
        )
        for row in rows
    ]  # fmt: skip
    return markdown_table(heads, cells) if rows else ""


def _detector(rows: list[Mapping[str, Any]]) -> str:
    """The detector's times by the wall clock, and how far its scores lie from the first file's."""
    heads = ("by", "file", "height x width px", "scores apart", *_heads())
    cells = [
        (
            row["by"], row["file"], "x".join(map(str, row["height_width_px"])),
            f"{row['scores_apart']}", *_times(row),
        )
        for row in rows
    ]  # fmt: skip
    return markdown_table(heads, cells) if rows else ""


def _remarks(
    checks: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], notes: Iterable[str]
) -> str:
    """Which command gave what, why a row has no times, and the notes; each once."""
    gave: dict[str, list[str]] = {}
    for name, found in checks.items():
        gave.setdefault(found["command"], []).append(name)
    lines = []
    for row in rows:
        given = gave.setdefault(row["command"], [])
        if "p50_ms" in row:
            name = row.get("network", row["by"])
            given += [name] if name not in given else []
        else:
            what = (row["by"], row.get("network", ""), row.get("precision", row.get("file", "")))
            lines.append(f"{' '.join(part for part in what if part)}: {row['reason']}")
        lines += [f"{row['by']}: {note}" for note in row.get("notes", [])]
    from_where = [f"`{key}`: {', '.join(names) or 'no times'}" for key, names in gave.items()]
    return "\n".join(f"- {line}" for line in dict.fromkeys([*from_where, *lines, *notes]))


def _heads() -> list[str]:
    return [name.replace("_", " ") for name in _TIMES]


def _times(row: Mapping[str, Any]) -> list[str]:
    return [f"{row[name]:.3f}" for name in _TIMES]


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
