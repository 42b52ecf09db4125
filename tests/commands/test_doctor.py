"""`idrn-trt doctor`: what it says of the choices that were measured here."""

from __future__ import annotations

import pytest

from idrn_trt.cli import main
from idrn_trt.commands.doctor import _probes_text
from idrn_trt.engines import open_engine
from idrn_trt.zoo import list_models

pytest.importorskip("openvino")


def test_a_choice_is_told_with_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Each remembered choice has a row that names the model it was measured with."""
    open_engine("idrn-d8-w64-x4", engine="openvino", threads=1).close()
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = next(line for line in lines if "auto takes" in line)
    rows = lines[lines.index(heads) + 2 :]
    assert [row.split()[:3] for row in rows if row.startswith("idrn-d8-w64-x4 ")] == [
        ["idrn-d8-w64-x4", "openvino", "1"]
    ]


def test_a_choice_for_a_model_that_is_gone() -> None:
    """A choice measured with files of no model here is told as that."""
    key = {"engine": "openvino", "threads": None, "files": {"fp32": "0" * 64}}
    probe = {"key": key, "times_ms": {"fp32": 2.0, "int8": 1.0}, "chosen": "int8"}
    assert "one not listed here  openvino  all      int8" in _probes_text([probe], list_models())
