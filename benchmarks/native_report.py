"""What benchmarks/native.py recorded, as Markdown. Standard library and this package's own report only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_report import check_format, figures, on_ratios, versions

KIND = "idrn_trt native report"
FORMAT = 1


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    check_format(document, FORMAT)
    markdown(document)


def markdown(document: Mapping[str, Any]) -> str:
    """The result below a heading of the caller's own."""
    return (
        f"The C library and the GStreamer element, by `python benchmarks/native.py`: {document['model']} in "
        f"int8, {document['threads']} threads of {document['machine']['model']}, {document['date']}, "
        f"{versions(document)}; control spread {document['control_spread']:.0%}.{on_ratios(document)}\n\n"
        f"{figures(document)}"
    )
