"""What benchmarks/stream.py recorded, as Markdown. Standard library and this package's own report only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_report import check_format, figures, versions

KIND = "idrn_trt stream report"
FORMAT = 1


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    check_format(document, FORMAT)
    markdown(document)


def markdown(document: Mapping[str, Any]) -> str:
    """The result below a heading of the caller's own."""
    load = ", ".join(f"{load:g}" for load in document["load_average"]["before"])
    return (
        f"Streams, by `python benchmarks/stream.py`: {document['model']} on {document['engine']}, faces "
        f"found by {document['detector']}, {document['threads']} threads of {document['machine']['model']}, "
        f"{document['date']}, {versions(document)}; load average before: {load or 'unknown'}.\n\n"
        f"{figures(document)}"
    )
