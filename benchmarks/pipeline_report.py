"""What benchmarks/pipeline.py recorded, as Markdown. Standard library and this package's own report only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idrn_trt.bench.report import markdown_table

KIND = "idrn_trt pipeline report"
FORMAT = 1
HEADS = ("what", "figure", "to reach", "reached")


def row(what: str, figure: float, unit: str, to_reach: float, **parts: object) -> dict[str, Any]:
    """A line of the report; parts: the figures that it is made of."""
    return {
        "what": what, "figure": round(figure, 4), "unit": unit, "to_reach": to_reach,
        "parts": {key.replace("_", " "): value for key, value in parts.items()},
    }  # fmt: skip


def check_format(document: Mapping[str, Any], known: int) -> None:
    """Raise KeyError or ValueError unless a result is in the one format that is known here."""
    if document["format"] != known:
        raise ValueError(f"expected format {known}, got {document['format']!r}")


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    check_format(document, FORMAT)
    markdown(document)


def cells(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What, the figure, what to reach, and whether it is reached."""
    return [
        (row["what"], _figure(row), f"<= {row['to_reach']:g} {row['unit']}", _reached(row))
        for row in document["rows"]
    ]


def on_ratios(document: Mapping[str, Any]) -> str:
    """What is said of a report's ratios, where some were taken round by round."""
    if not any("interval" in row for row in document["rows"]):
        return ""
    return (
        " A ratio with an interval (90 %, in brackets) is the median of the rounds' own: what slows the "
        "machine slows both sides. Times in ms are this run's and not to be compared with another's."
    )


def _figure(row: Mapping[str, Any]) -> str:
    figure = f"{row['figure']:.2f} {row['unit']}"
    if "interval" not in row:
        return figure
    low, high = row["interval"]
    return f"{figure} ({low:.2f} to {high:.2f})"


def _reached(row: Mapping[str, Any]) -> str:
    """Nothing is claimed of a figure whose interval lies on both sides."""
    low, high = row.get("interval", [row["figure"]] * 2)
    if high <= row["to_reach"]:
        return "yes"
    return "no" if low > row["to_reach"] else "not certain"


def figures(document: Mapping[str, Any]) -> str:
    """The rows as Markdown: a table, and below it what each is made of."""
    lines = [
        f"- {row['what']}: {'; '.join(f'{key} {value}' for key, value in row['parts'].items())}\n"
        for row in document["rows"]
        if row["parts"]
    ]
    return f"{markdown_table(HEADS, cells(document))}\n\n{''.join(lines)}"


def versions(document: Mapping[str, Any]) -> str:
    """What it was measured with, in a few words."""
    return ", ".join(f"{name} {version}" for name, version in document["versions"].items())


def markdown(document: Mapping[str, Any]) -> str:
    """The result below a heading of the caller's own."""
    return (
        f"Around the network, by `python benchmarks/pipeline.py`: {document['threads']} threads of "
        f"{document['machine']['model']}, {document['date']}, {versions(document)}; control spread "
        f"{document['control_spread']:.0%}.{on_ratios(document)}\n\n{figures(document)}"
    )
