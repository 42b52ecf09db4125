"""What benchmarks/pipeline.py recorded, as Markdown. Standard library and this package's own report only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idrn_trt.bench.report import markdown_table
from idrn_trt.errors import SourceError

KIND = "idrn_trt pipeline report"
FORMAT = 1
HEADS = ("what", "figure", "to reach", "reached")


def row(what: str, figure: float, unit: str, to_reach: float, **parts: object) -> dict[str, Any]:
    """A line of the report; parts: the figures that it is made of."""
    return {
        "what": what, "figure": round(figure, 4), "unit": unit, "to_reach": to_reach,
        "parts": {key.replace("_", " "): value for key, value in parts.items()},
    }  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """The document in a file. Raises SourceError for anything else."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["kind"] != KIND or found["format"] != FORMAT:
            raise ValueError(f"kind {found['kind']!r}, format {found['format']!r}")
        cells(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path.name!r} is no result of benchmarks/pipeline.py in format {FORMAT}: {error}"
        ) from error
    return found


def cells(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What, the figure, what to reach, and whether it is reached."""
    return [
        (
            row["what"],
            f"{row['figure']:.2f} {row['unit']}",
            f"<= {row['to_reach']:g} {row['unit']}",
            "yes" if row["figure"] <= row["to_reach"] else "no",
        )
        for row in document["rows"]
    ]


def markdown(document: Mapping[str, Any]) -> str:
    """The result below a heading of the caller's own."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"- {row['what']}: {'; '.join(f'{key} {value}' for key, value in row['parts'].items())}"
        for row in document["rows"]
    ]
    void = "\n\nVoid: the control varied by more than a tenth." if document["void"] else ""
    return (
        f"Around the network, by `python benchmarks/pipeline.py`: {document['threads']} threads of "
        f"{machine['model']}, {document['date']}, {versions}; control spread "
        f"{document['control_spread']:.0%}.{void}\n\n"
        f"{markdown_table(HEADS, cells(document))}\n\n" + "\n".join(lines) + "\n"
    )
