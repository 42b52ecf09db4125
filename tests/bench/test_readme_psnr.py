"""The README's PSNR is of the models as they are, whatever weights were timed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from idrn_trt.errors import SourceError


def report(sha256: str) -> dict[str, Any]:
    """A report of one row, timed with the file of that hash."""
    row = {
        "model": "m", "engine": "openvino", "precision": "int8", "sha256": sha256, "psnr_y_db": 31.0,
        "figures": {"p50_ms": 1.0, "p99_ms": 2.0}, "images_per_s": 1000.0, "blocks_ms": [[1.0]],
    }  # fmt: skip
    conditions = {"scenario": "single-stream", "batch": 1, "window_px": 32, "threads": 2}
    machine = {"model": "a processor", "instruction_sets": []}
    return {"mode": "engines", "rows": [row], "conditions": conditions, "machine": machine}


RECORDED = {
    "m": {"sha256": {"int8-cpu": "new"}, "on": {"int8 32 px": {"all": {"psnr_y_db": 32.0}}}}
}


def test_younger_weights_give_the_psnr_and_are_told(tables: ModuleType) -> None:
    """The column has the recorded figure of the file as it is, and the text says that times are older."""
    table = tables.speed_table({"a.json": report("old")}, RECORDED)
    assert "| 32.00 |" in table
    assert "31.00" not in table
    assert "timed with earlier weights" in table


def test_nothing_is_told_where_the_file_is_the_timed_one(tables: ModuleType) -> None:
    """Without younger weights, and without a record, there is nothing to say."""
    assert "earlier" not in tables.speed_table({"a.json": report("new")}, RECORDED)
    bare = tables.speed_table({"a.json": report("old")}, {})
    assert "| 31.00 |" in bare
    assert "earlier" not in bare


def test_a_damaged_record_is_named(tables: ModuleType, tmp_path: Path) -> None:
    """models.json that is not what cards.py writes is one line; a missing one is none recorded."""
    assert tables.recorded_models(tmp_path) == {}
    (tmp_path / "models.json").write_text(json.dumps([1]), encoding="utf-8")
    with pytest.raises(SourceError, match=r"models\.json"):
        tables.recorded_models(tmp_path)
