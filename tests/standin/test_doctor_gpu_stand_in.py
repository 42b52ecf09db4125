"""`idrn-trt doctor --gpu` on the stand-ins for TensorRT and the driver."""

# ruff: noqa: ARG001 (a fixture that puts a stand-in in its place is asked for by name)

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from make_models import quantised, tiny, write_folder
from trt_state import Driver, State

from idrn_trt.cli import main
from idrn_trt.engines._trt_profiles import BuildOptions, Profile, choose_options
from idrn_trt.zoo import find_model


@pytest.fixture
def few_shapes(trt: State, tiny_model: Path) -> None:
    """The user has built the tiny model for two shapes."""
    options = BuildOptions(profiles=(Profile(48, 40, 1), Profile(48, 40, 4)))
    model = find_model(tiny_model)
    for precision, kind in (("fp16", "fp16"), ("int8", "int8-trt")):
        assert choose_options(model.files[kind].sha256, precision, options)


def doctor(model: Path, folder: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """(exit code, the report as JSON, the report as Markdown)."""
    report = folder / "reports" / "gpu"
    code = main([
        "doctor", "--gpu", "--model", str(model), "--report", str(report), "--repeats", "5", *more,
    ])  # fmt: skip
    markdown = report.with_suffix(".md").read_text(encoding="utf-8")
    return code, json.loads(report.with_suffix(".json").read_text(encoding="utf-8")), markdown


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_doctor_passes_and_reports(
    trt: State, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both precisions are built, compared and timed in every shape, and the report has all of it."""
    code, document, markdown = doctor(tiny_model, tmp_path)
    out = capsys.readouterr().out
    assert (code, document["passed"]) == (0, True)
    assert document["gpu"]["name"] == "stand-in, no GPU"
    assert [r["precision"] for r in document["precisions"]] == ["fp16", "int8"]
    for result in document["precisions"]:
        assert result["error"] == ""
        shapes = [(s["height_px"], s["width_px"], s["batch"]) for s in result["shapes"]]
        assert shapes == [(48, 40, 1), (48, 40, 4)]
        assert len(result["layers"]) == 2
        for shape in result["shapes"]:
            assert shape["parity_db"] >= result["needed_db"]
            assert shape["graph"]
            names = {"run", "graph", "graph and copies", "queue", "queue and copies"}
            assert set(shape["times"]) == names
            for times in shape["times"].values():
                assert 0 < times["p50_ms"] <= times["p90_ms"] <= times["p99_ms"]
    assert markdown.startswith("# idrn-trt doctor --gpu: passed\n")
    assert markdown.count("| 40x48 | 4 |") == 4
    assert markdown.count("| 40x48 px, batch 4 |") == 2
    assert "fp16: passed" in out
    assert "attach" in out


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_doctor_fails_on_wrong_pictures(
    trt: State, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures far from ONNX Runtime's fail that precision by their PSNR, and the exit code says so."""
    trt.faults["wrong picture"] = lambda onnx: "inverted" if b"QuantizeLinear" in onnx else ""
    code, document, markdown = doctor(tiny_model, tmp_path)
    assert (code, document["passed"]) == (1, False)
    assert [r["passed"] for r in document["precisions"]] == [True, False]
    assert document["precisions"][1]["shapes"][0]["parity_db"] < 46
    assert "## int8: FAILED" in markdown
    assert "int8: FAILED" in capsys.readouterr().out


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_doctor_goes_on_after_a_failure(
    trt: State, tiny_model: Path, tmp_path: Path
) -> None:
    """A precision that cannot be built is reported with its reason, and the other is checked."""
    trt.faults["build"] = 1
    code, document, markdown = doctor(tiny_model, tmp_path)
    assert code == 1
    assert "out of memory" in document["precisions"][0]["error"]
    assert document["precisions"][1]["passed"]
    assert "Stopped: TensorRT cannot build the plan" in markdown


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_doctor_without_graphs(trt: State, tiny_model: Path, tmp_path: Path) -> None:
    """Where no graph can be had, its times are missing, the note says why, and the rest is there."""
    trt.faults["capture"] = 999
    code, document, markdown = doctor(tiny_model, tmp_path)
    assert code == 0
    (result, _) = document["precisions"]
    assert "without a CUDA graph" in result["notes"][-1]
    for shape in result["shapes"]:
        assert not shape["graph"]
        assert shape["times"]["graph"] is None
        assert shape["times"]["queue"]["p50_ms"] > 0
    assert "| - |" in markdown


def test_stand_in_doctor_names_missing_files(
    trt: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model without the files for TensorRT fails with the command that makes them."""
    folder = write_folder(tmp_path / "plain", {"fp32": tiny(), "int8-cpu": quantised(tiny())})
    code, _, markdown = doctor(folder, tmp_path)
    assert code == 1
    assert markdown.count("Stopped: ") == 2
    assert "fp16" in capsys.readouterr().out


def test_stand_in_doctor_without_a_gpu(
    trt: State, driver: Driver, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a GPU one line says so, the exit code is 1, and no report is written."""
    driver.devices(0)
    assert (
        main(["doctor", "--gpu", "--model", str(tiny_model), "--report", str(tmp_path / "r")]) == 1
    )
    error = capsys.readouterr().err
    assert "no CUDA-capable device" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("r.*"))


def test_doctor_without_tensorrt(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without TensorRT one line says how to get it."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main(["doctor", "--gpu", "--model", str(tiny_model)]) == 1
    error = capsys.readouterr().err
    assert "pip install 'idrn-trt[tensorrt]'" in error
    assert error.count("\n") == 1


def test_doctor_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    """A number of calls below 1 is wrong usage."""
    assert main(["doctor", "--gpu", "--repeats", "0"]) == 2
    assert "--repeats" in capsys.readouterr().err
