"""The report as a file: JSON is what is kept, every table and plot is made from it. Standard library only."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idrn_trt.errors import SourceError, reason_of

FORMAT = 1
KIND = "idrn_trt latency report"
_LARGEST_BYTES = 256 << 20
# A nanosecond and eleven days: any ratio of two is a number to reckon with.
_SHORTEST_MS, _LONGEST_MS = 1e-6, 1e9

Document = dict[str, Any]

# What every row of a report has, and of which type; the figures are there when `reason` is "".
_ROW = {"model": str, "engine": str, "precision": str, "reason": str, "blocks_ms": list}
_TOP = {"conditions": dict, "machine": dict, "rows": list, "label": str}


def dumps(document: Mapping[str, Any]) -> str:
    """The report as JSON text; lists of numbers stand in one line. NaN and infinity are refused."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    numbers = re.compile(r"\[\s+(-?\d[-+.,\d\seE]*?)\s+\]")
    return numbers.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def read_report(path: Path) -> Document:
    """The report in a file. Raises SourceError, one line, for anything else."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SourceError(f"{str(path)!r} is no report: above {_LARGEST_BYTES >> 20} MiB")
        document = json.loads(path.read_bytes(), parse_constant=_no_constant)
        check_report(document)
    except SourceError:
        raise
    except OSError as error:
        reason = reason_of(error)
        raise SourceError(f"cannot read report {str(path)!r}: {reason}") from error
    except (ValueError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise SourceError(
            f"{str(path)!r} is no report of `idrn-trt bench --json`: {reason}"
        ) from error
    found: Document = document
    return found


def check_report(document: Any) -> None:
    """Raise ValueError, saying what is missing, unless this is a report that can be shown and compared."""
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError(f'it has no "kind": {json.dumps(KIND)}')
    if document.get("format") != FORMAT:
        raise ValueError(f"format {document.get('format')!r}, this release reads {FORMAT}")
    _demand(document, _TOP, "the report")
    for number, row in enumerate(document["rows"]):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is no object")  # noqa: TRY004 (a bad value of JSON)
        _demand({"sha256": "", **row}, {**_ROW, "sha256": str}, f"row {number}")
        _check_blocks(row["blocks_ms"], f"row {number}")
    _demand({"versions": {}, **document}, {"versions": dict}, "the report")
    if document.get("control") is not None:
        _demand(document, {"control": dict}, "the report")
        _demand(document["control"], {"blocks_ms": list}, "the control")
        _check_blocks(document["control"]["blocks_ms"], "the control", fewest=1)


def measured(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that have times."""
    return [row for row in document["rows"] if row["blocks_ms"]]


def row_name(row: Mapping[str, Any]) -> str:
    """What tells a row from the others."""
    return f"{row['model']} {row['engine']} {row['precision']}"


def csv_text(document: Mapping[str, Any]) -> str:
    """The rows as CSV: one line each, every figure a column, no times of single calls."""
    rows = [_flat(row) for row in document["rows"]]
    heads = list(dict.fromkeys(key for row in rows for key in row))
    target = io.StringIO()
    writer = csv.DictWriter(target, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat = {k: v for k, v in row.items() if k not in {"blocks_ms", "figures", "notes"}}
    return {**flat, **row.get("figures", {}), "notes": "; ".join(row.get("notes", []))}


def _demand(value: Mapping[str, Any], fields: Mapping[str, type], where: str) -> None:
    for name, kind in fields.items():
        if not isinstance(value.get(name), kind):
            raise ValueError(f"{where} has no {name!r} of type {kind.__name__}")  # noqa: TRY004


def _check_blocks(blocks: list[Any], where: str, fewest: int = 0) -> None:
    if len(blocks) < fewest:
        raise ValueError(f"{where} has no times")
    if not all(_is_block(block) for block in blocks):
        raise ValueError(f"{where} has times that are no positive numbers from 1e-6 to 1e9 ms")
    if len({len(block) for block in blocks}) > 1:
        raise ValueError(f"{where} has blocks of different lengths")


def _is_block(block: Any) -> bool:
    return (
        isinstance(block, list)
        and len(block) > 0
        and all(type(v) in {int, float} and _SHORTEST_MS <= v <= _LONGEST_MS for v in block)
    )


def _no_constant(text: str) -> float:
    raise ValueError(f"number {text} is not JSON")
