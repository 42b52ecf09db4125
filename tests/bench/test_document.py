"""The report as a file: what is written is read back, and nothing else is taken for a report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idrn_trt.bench.document import csv_text, dumps, read_report
from idrn_trt.errors import SourceError

Make = Callable[..., dict[str, Any]]


def test_a_report_is_read_back(make_report: Make, tmp_path: Path) -> None:
    """What dumps writes, read_report returns, value for value."""
    report = make_report([[1.5, 2.25], [3e-05, 4.0]])
    path = tmp_path / "report.json"
    path.write_text(dumps(report), encoding="utf-8")
    assert read_report(path) == report


def test_a_block_of_times_is_one_line() -> None:
    """Thousands of numbers do not become thousands of lines; words and empty lists stay as they are."""
    text = dumps({"blocks_ms": [[1.5, 2e-05], [-3, 4]], "words": ["1, 2", "x"], "none": []})
    assert "\n  [1.5, 2e-05],\n  [-3, 4]\n" in text
    assert json.loads(text)["words"] == ["1, 2", "x"]


def test_no_infinity_is_written() -> None:
    """JSON has none, so a figure that is not finite is a fault of ours and not a file."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"psnr": float("inf")})


def without(report: dict[str, Any], key: str) -> dict[str, Any]:
    """The report with one key less."""
    return {k: v for k, v in report.items() if k != key}


def damaged(report: dict[str, Any]) -> dict[str, str]:
    """Texts that are no report, and what is said of each."""
    row = report["rows"][0]
    return {
        "not a report": "no report",
        "[1, 2]": 'no "kind"',
        "{}": 'no "kind"',
        json.dumps({**report, "kind": "other"}): 'no "kind"',
        json.dumps({**report, "format": 99}): "format 99, this release reads 1",
        json.dumps(without(report, "machine")): "no 'machine'",
        json.dumps({**report, "rows": [3]}): "row 0 is no object",
        json.dumps({**report, "rows": [without(row, "reason")]}): "row 0 has no 'reason'",
        json.dumps({**report, "rows": [{**row, "blocks_ms": [[1, -2]]}]}): "no positive numbers",
        json.dumps({**report, "rows": [{**row, "blocks_ms": [[True]]}]}): "no positive numbers",
        json.dumps({**report, "rows": [{**row, "blocks_ms": [[1], [1, 2]]}]}): "different lengths",
        json.dumps({**report, "rows": [{**row, "blocks_ms": [[float("nan")]]}]}): "NaN is not JSON",
        "[" * 100_000: "no report",
    }


def test_anything_else_is_refused_in_one_line(make_report: Make, tmp_path: Path) -> None:
    """Not JSON, another document, another format, missing keys and impossible times: all say which."""
    path = tmp_path / "bad.json"
    for text, said in damaged(make_report([[1.0]])).items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SourceError) as refused:
            read_report(path)
        assert said in str(refused.value)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that is not there, or a folder, is named in the error."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SourceError, match="cannot read report"):
            read_report(path)


def test_the_csv_has_every_figure_and_no_single_call(make_report: Make) -> None:
    """One line a row; marked rows have their reason and no figures."""
    report = make_report([[1.0, 2.0]])
    report["rows"][0] |= {"figures": {"p50_ms": 1.5}, "notes": ["a", "b"]}
    report["rows"].append({**make_report([], reason="no, module")["rows"][0], "engine": "other"})
    first, second = csv.DictReader(io.StringIO(csv_text(report)))
    assert (first["p50_ms"], first["notes"], "blocks_ms" in first) == ("1.5", "a; b", False)
    assert (second["reason"], second["p50_ms"]) == ("no, module", "")
