"""Names, automatic choice and refusals when an engine is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_models import (
    quantised,
    tiny,
    with_external_weight,
    with_weight,
    write_folder,
)

from idrn_trt.engines import ENGINES, describe_engines, open_engine
from idrn_trt.errors import BackendUnavailable, ModelError, OptionError
from idrn_trt.zoo import find_model

WINDOW = np.full((1, 16, 16, 3), 90, np.uint8)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes a package look as if it were not installed."""

    def hide(*packages: str) -> None:
        import idrn_trt.engines

        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)
            monkeypatch.delitem(sys.modules, f"idrn_trt.engines.{package}", raising=False)
            monkeypatch.delattr(idrn_trt.engines, package, raising=False)

    return hide


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "openvin"}, r"'openvin'.*openvino, onnxruntime, bicubic.*mean 'openvino'"),
        ({"engine": "cuda9"}, r"unknown engine 'cuda9'"),
        ({"precision": "fp23"}, r"'fp23'.*mean 'fp32'"),
        ({"threads": 0}, r"threads.*0"),
        ({"threads": True}, r"threads.*True"),
        ({"engine": "bicubic", "precision": "int8"}, r"bicubic.*'int8'"),
        ({"engine": "openvino", "precision": "fp16"}, r"'fp16'.*fp32, bf16, int8"),
        ({"engine": "onnxruntime", "precision": "bf16"}, r"'bf16'.*fp32, fp16, int8"),
    ],
)
def test_wrong_options(tiny_model: Path, options: dict[str, object], message: str) -> None:
    """An option outside what is documented is an OptionError that names what is expected."""
    with pytest.raises(OptionError, match=message):
        open_engine(tiny_model, **options)  # type: ignore[arg-type]


def test_auto_takes_openvino_first(tiny_model: Path) -> None:
    """Where OpenVINO works it is taken, without a note."""
    engine = open_engine(tiny_model, precision="fp32")
    assert (engine.spec.engine, engine.notes) == ("openvino", [])
    engine.close()


def test_auto_falls_back_and_says_why(tiny_model: Path, without) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Without OpenVINO the next engine is taken, and its notes name the reason and the remedy."""
    without("openvino")
    engine = open_engine(tiny_model, precision="fp32")
    assert engine.spec.engine == "onnxruntime"
    assert len(engine.notes) == 1
    assert "'openvino' is not usable" in engine.notes[0]
    assert "pip install openvino" in engine.notes[0]
    engine.close()


def test_a_named_engine_never_falls_back(tiny_model: Path, without) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Naming an engine that is not there is an error with its remedy."""
    without("openvino")
    with pytest.raises(BackendUnavailable, match="pip install openvino"):
        open_engine(tiny_model, engine="openvino")


def test_no_engine_at_all(tiny_model: Path, without) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """With neither network engine the reasons of both are given; bicubic is nobody's surprise."""
    without("openvino", "onnxruntime")
    with pytest.raises(BackendUnavailable, match=r"'openvino'.*'onnxruntime'"):
        open_engine(tiny_model)
    usable = {status.name: status.usable for status in describe_engines()}
    del usable["tensorrt"]  # as there is a GPU or not
    assert usable == {"openvino": False, "onnxruntime": False, "bicubic": True}


def test_a_bad_model_is_no_reason_to_fall_back(tmp_path: Path) -> None:
    """What is wrong with the model is said at once, not hidden behind another engine."""
    folder = write_folder(
        tmp_path / "nan", {"fp32": with_weight(tiny(), "head.bias", float("nan"))}
    )
    with pytest.raises(ModelError, match=r"head\.bias"):
        open_engine(folder)


def test_describe_engines() -> None:
    """Each engine is told of in the registry's order, with version and precisions or a reason."""
    statuses = describe_engines()
    assert tuple(status.name for status in statuses) == ENGINES
    for status in statuses:
        assert bool(status.version and status.precisions) == status.usable
        assert bool(status.reason) != status.usable


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_bare_file(tmp_path: Path, name: str, scale: int) -> None:
    """A file without manifest is taken; its scale and precision are read from it."""
    path = tmp_path / "own.onnx"
    path.write_bytes(tiny(scale).SerializeToString())
    engine = open_engine(path, engine=name, precision="fp32")
    assert (engine.spec.scale, engine.spec.model) == (scale, "own")
    assert engine.run(WINDOW).shape == (1, 16 * scale, 16 * scale, 3)
    engine.close()
    path.write_bytes(quantised(tiny(scale)).SerializeToString())
    engine = open_engine(path, engine=name)
    assert engine.spec.precision == "int8"
    engine.close()
    with pytest.raises(ModelError, match=r"is int8-cpu, expected fp32"):
        open_engine(path, engine=name, precision="fp32")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_external_data_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Weights outside the file are refused even where the backend itself would read them."""
    model = tiny()
    weight = next(w for w in model.graph.initializer if w.name == "tail.weight")
    (tmp_path / "weights.bin").write_bytes(weight.raw_data)
    path = tmp_path / "own.onnx"
    path.write_bytes(with_external_weight(model, "tail.weight", "weights.bin").SerializeToString())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="external data"):
        open_engine(path, engine=name)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_a_model_without_the_file_says_so(tmp_path: Path, name: str, precision: str) -> None:
    """Where the precision's file is not there the message names it and how it is made."""
    folder = write_folder(tmp_path / "empty", {"fp32": tiny()})
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match="idrn-trt quantise"):
        open_engine(folder, engine=name, precision=precision)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_manifest_with_another_scale_is_refused(tmp_path: Path, name: str) -> None:
    """Manifest and graph must agree on the scale."""
    folder = write_folder(tmp_path / "wrong", {"fp32": tiny(2)}, scale=4)
    with pytest.raises(ModelError, match=r"scale 2, its manifest says 4"):
        open_engine(folder, engine=name, precision="fp32")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_ends_outside_the_contract_are_refused(tmp_path: Path, name: str) -> None:
    """A graph that is no picture to picture network is a ModelError that shows its ends."""
    model = tiny()
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "x0"
    path = tmp_path / "two.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected"):
        open_engine(path, engine=name)


def test_bicubic_needs_no_model_file(tmp_path: Path) -> None:
    """The floor opens by the default model's name alone, or takes a model's scale."""
    engine = open_engine(engine="bicubic")
    assert engine.run(WINDOW).shape == (1, 64, 64, 3)
    engine.close()
    folder = write_folder(tmp_path / "x3", {"fp32": tiny(3)}, scale=3)
    (folder / "model.onnx").unlink()
    engine = open_engine(folder, engine="bicubic")
    assert engine.run(WINDOW).shape == (1, 48, 48, 3)
    engine.close()
    (tmp_path / "bare.onnx").write_bytes(b"x")
    with pytest.raises(OptionError, match="no scale"):
        open_engine(tmp_path / "bare.onnx", engine="bicubic")


def test_a_model_object_is_taken(tiny_model: Path) -> None:
    """What find_model returned can be opened without a second look-up."""
    engine = open_engine(find_model(tiny_model), precision="int8")
    assert engine.spec.precision == "int8"
    assert engine.spec.model == "tiny-x4"
    engine.close()


def test_a_file_altered_after_the_look_up_is_refused(tmp_path: Path) -> None:
    """The bytes that are used are the bytes that are checked."""
    folder = write_folder(tmp_path / "late", {"fp32": tiny()})
    model = find_model(folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-200] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="altered: sha256"):
        open_engine(model, precision="fp32")


def test_the_registry_imports_no_backend() -> None:
    """Importing the registry costs the standard library and nothing else."""
    code = (
        "import sys, idrn_trt.engines;"
        "print([m for m in ('numpy','cv2','openvino','onnxruntime','onnx','torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
