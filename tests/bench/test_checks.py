"""Nothing is timed before it is right, and what is wrong is marked instead of fatal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import idrn_trt.engines
from idrn_trt.bench.cases import Case, Row, engine_cases, models_of, recorded_psnr_y
from idrn_trt.bench.checks import check
from idrn_trt.bench.options import BenchOptions
from idrn_trt.errors import ModelError
from idrn_trt.zoo import Model, find_model

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(name="opened")
def _opened(tiny_model: Path) -> Iterator[list[Case]]:
    """The tiny model in every engine and precision of this machine."""
    found = engine_cases([find_model(tiny_model)], BenchOptions(), 1)
    cases = [item for item in found if isinstance(item, Case)]
    yield cases
    for case in cases:
        case.close()


def broken(case: Case, answer: Callable[[UInt8], UInt8]) -> Case:
    """The case with another answer under the name "broken"."""
    row = Row(model=case.row.model, engine="broken", precision="int8")
    return Case(
        row=row, answer=answer, timed=case.timed, close=lambda: None, most_windows=64,
        source=case.source,
    )  # fmt: skip


def test_every_engine_here_is_right(opened: list[Case]) -> None:
    """All of them pass, and each network's PSNR to fp32 is known; bicubic has none."""
    right, wrong = check(opened, 32, 1)
    assert [(case.row.name, case.row.reason) for case in wrong] == []
    known = {case.row.engine for case in right if case.row.psnr_fp32_db is not None}
    assert known == {"openvino", "onnxruntime"}
    exact = next(c.row for c in right if (c.row.engine, c.row.precision) == ("openvino", "fp32"))
    assert exact.psnr_fp32_db == 99


def test_a_wrong_answer_is_marked_and_not_timed(opened: list[Case]) -> None:
    """An engine that answers the negative is left out, with both figures in its reason."""
    right, wrong = check([*opened, broken(opened[0], lambda w: 255 - opened[0].answer(w))], 32, 1)
    assert [case.row.engine for case in wrong] == ["broken"]
    assert wrong[0].row.reason.startswith("wrong: ")
    assert "expected 25 or more" in wrong[0].row.reason
    assert len(right) == len(opened)


def test_a_failing_answer_is_marked(opened: list[Case]) -> None:
    """Whatever is raised becomes the row's reason, in one line."""

    def fail(_: UInt8) -> UInt8:
        raise RuntimeError("no memory\nfor this")

    _, wrong = check([broken(opened[0], fail)], 32, 1)
    assert wrong[0].row.reason == "fails: no memory for this"


def test_another_size_is_marked(opened: list[Case]) -> None:
    """A result of the wrong shape is named by both shapes."""
    _, wrong = check([broken(opened[0], lambda windows: windows)], 32, 1)
    assert wrong[0].row.reason == "answers (8, 32, 32, 3), expected (8, 128, 128, 3)"


def test_an_engine_or_precision_that_cannot_be_is_a_marked_row(tiny_model: Path) -> None:
    """fp16 is nothing OpenVINO offers: its row says so, and the other rows are there."""
    options = BenchOptions(engines=("openvino",), precisions=("fp16", "fp32"))
    items = list(engine_cases([find_model(tiny_model)], options, 1))
    marked = [item for item in items if isinstance(item, Row)]
    assert [(row.precision, "no precision 'fp16'" in row.reason) for row in marked] == [
        ("fp16", True)
    ]
    assert [item.row.precision for item in items if isinstance(item, Case)] == ["fp32"]


def test_an_engine_that_is_not_installed_is_a_marked_row(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its package an engine has one row, with what to install."""
    monkeypatch.setitem(sys.modules, "idrn_trt.engines.onnxruntime", None)
    monkeypatch.delattr(idrn_trt.engines, "onnxruntime", raising=False)
    options = BenchOptions(engines=("onnxruntime",))
    [row] = engine_cases([find_model(tiny_model)], options, 1)
    assert isinstance(row, Row)
    assert (row.engine, row.precision) == ("onnxruntime", "-")
    assert "pip install 'idrn-trt[onnxruntime]'" in row.reason


def test_a_broken_model_is_a_marked_row(zoo: Path) -> None:
    """A damaged model beside a good one does not stop the run."""
    (zoo / "bad").mkdir()
    (zoo / "bad" / "manifest.json").write_text("{", encoding="utf-8")
    usable, marked = models_of(BenchOptions())
    assert [model.name for model in usable] == ["tiny-x4"]
    assert [(row.model, "not JSON" in row.reason) for row in marked] == [("bad", True)]


def test_an_unknown_model_is_an_error(zoo: Path) -> None:
    """A name that nothing has is a slip of the user, with the nearest name."""
    assert zoo.is_dir()
    with pytest.raises(ModelError, match="Did you mean 'tiny-x4'"):
        models_of(BenchOptions(models=("tiny-x3",)))


def with_quality(folder: Path, quality: dict[str, Any]) -> Model:
    """The model in `folder` with another record of its quality."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "quality": quality}), encoding="utf-8")
    return find_model(folder)


def test_recorded_quality_is_quoted_with_its_pictures(zoo: Path) -> None:
    """fp32 and bicubic as recorded; int8 less what it loses on the same crops; bf16 has no record."""
    means = {"count": 9, "psnr_y_db": 31.0, "bicubic_psnr_y_db": 27.5}
    model = with_quality(
        zoo / "tiny-x4",
        {
            "fp32": {"lr_px": 32, "psnr_y": {"all": means}},
            "int8-cpu": {"crops": 9, "psnr_y_drop_db": 0.25},
            "fp16": {"crops": 8, "psnr_y_drop_db": 0.25},
        },
    )
    on = "9 crops, LR 32 px, recorded with tiny-x4"
    assert recorded_psnr_y(model, "fp32", floor=False) == (31.0, on)
    assert recorded_psnr_y(model, "fp32", floor=True) == (27.5, on)
    assert recorded_psnr_y(model, "int8", floor=False) == (30.75, on)
    assert recorded_psnr_y(model, "fp16", floor=False) == (None, "")
    assert recorded_psnr_y(model, "bf16", floor=False) == (None, "")


@pytest.mark.parametrize(
    "quality",
    [{}, {"fp32": 3}, {"fp32": {"psnr_y": [1]}}, {"fp32": {"psnr_y": {"all": {"psnr_y_db": "x"}}}}],
)
def test_a_record_of_another_form_is_no_record(zoo: Path, quality: dict[str, Any]) -> None:
    """A manifest is not trusted to be as expected."""
    model = with_quality(zoo / "tiny-x4", quality)
    assert recorded_psnr_y(model, "int8", floor=False) == (None, "")
    assert recorded_psnr_y(model, "fp32", floor=True) == (None, "")
