"""Calibration on pictures, and the table's reader on anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from idrn_trt.errors import IdrnError, ModelError, SourceError
from idrn_trt.toolchain.calibrate import (
    WINDOWS_PX,
    activations,
    calibrate,
    crop_files,
    model_sha256,
    observe,
    read_crops,
)
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import Graph
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.table import PERCENTILES, Plan, Table, read_table, write_table


@pytest.fixture(scope="module", name="model")
def _model() -> onnx.ModelProto:
    torch.manual_seed(3)
    return export_onnx(IDRN(NetConfig.parse("d1-w8-x2")))


@pytest.fixture(scope="module", name="table")
def _table(model: onnx.ModelProto, faces: Path) -> Table:
    table = calibrate(model, read_crops(crop_files(faces)))
    bias = {"head": np.array([0.1, -1e-7, 0, 3, 0, 0, 0, 0], np.float32)}
    table.plans.update({"int8-cpu": Plan(bias=bias), "int8-trt": Plan(keep_float=("tail",))})
    table.factors.update(head=np.array([1, 1 / 3, 3, 0.1, 7, 1e-1, 2, 31], np.float32))
    return table


def test_crops_cover_every_window_size(faces: Path) -> None:
    """The crops are square whole faces at each window size in turn."""
    crops = read_crops(crop_files(faces))
    assert [c.pixels.shape for c in crops[:4]] == [(s, s, 3) for s in WINDOWS_PX]
    assert len({c.sha256 for c in crops}) == len(crops) == 40


def test_only_crops_marked_in_a_manifest_are_used(faces: Path, tmp_path: Path) -> None:
    """With a manifest.csv above the folder, the pictures with calib=1 are the calibration set."""
    folder = tmp_path / "train"
    folder.mkdir()
    for file in faces.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    lines = [f"train/{k:03}.png,{int(k % 2 == 0)}" for k in range(40)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,calib", *lines]))
    assert [f.name for f in crop_files(folder)] == [f"{k:03}.png" for k in range(0, 40, 2)]


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    """A folder without pictures is refused; nothing is made up in their place."""
    with pytest.raises(SourceError, match="no picture below"):
        crop_files(tmp_path)


def test_too_few_crops_are_an_error(faces: Path) -> None:
    """Thirty-one crops are refused with the number that is needed."""
    with pytest.raises(SourceError, match=r"31 usable .* at least 32"):
        read_crops(crop_files(faces)[:31])


def test_crops_of_one_colour_are_an_error(tmp_path: Path) -> None:
    """Forty pictures without content do not count as crops."""
    for k in range(40):
        Image.new("RGB", (64, 64), (k, 100, 50)).save(tmp_path / f"{k}.png")
    with pytest.raises(SourceError, match="40 more are all one colour"):
        read_crops(crop_files(tmp_path))


def test_ranges_are_those_of_the_values(model: onnx.ModelProto, faces: Path) -> None:
    """Extremes equal numpy's, the percentiles of the magnitude to 0.1 % of the range."""
    crops = read_crops(crop_files(faces))
    table = calibrate(model, crops)
    names = activations(Graph.of(model))
    seen = list(observe(model, names, [c.pixels for c in crops], "test"))
    assert set(table.tensors) == set(names)
    for name, found in table.tensors.items():
        values = np.concatenate([s[name].ravel() for s in seen])
        assert (found.min, found.max) == (values.min(), values.max())
        exact = np.percentile(np.abs(values), PERCENTILES, method="inverted_cdf")
        assert np.abs(np.array(found.percentiles) - exact).max() <= 1e-3 * found.max


def test_every_convolution_input_is_covered(model: onnx.ModelProto, table: Table) -> None:
    """Concatenations are looked through: their sources are in the table, they and the image are not."""
    graph = Graph.of(model)
    assert "lr" not in table.tensors
    made_by = {graph.producer(t).op_type for t in table.tensors}  # type: ignore[union-attr]
    assert made_by == {"Relu", "Add"}


def test_the_table_names_what_it_was_made_from(
    model: onnx.ModelProto, table: Table, faces: Path
) -> None:
    """Model, crops, window sizes and tool versions are in the table."""
    assert table.model_sha256 == model_sha256(model)
    assert table.crops == tuple(c.sha256 for c in read_crops(crop_files(faces)))
    assert table.windows_px == WINDOWS_PX
    assert set(table.tools) == {"numpy", "onnx", "onnxruntime", "pillow"}


def test_calibrating_again_gives_the_same_table(
    model: onnx.ModelProto, table: Table, faces: Path
) -> None:
    """Calibration is deterministic."""
    again = calibrate(model, read_crops(crop_files(faces)))
    assert again.tensors == table.tensors


def test_a_table_survives_its_file(table: Table, tmp_path: Path) -> None:
    """What is read equals what was written, to the last bit of each float, and leaves no other file."""
    write_table(table, tmp_path / "t.json")
    back = read_table(tmp_path / "t.json")
    assert (back.tensors, back.crops, back.tools) == (table.tensors, table.crops, table.tools)
    assert back.plans["int8-trt"] == table.plans["int8-trt"]
    bias = back.plans["int8-cpu"].bias["head"]
    assert bias.dtype == np.float32
    assert bias.tobytes() == table.plans["int8-cpu"].bias["head"].tobytes()
    assert back.factors["head"].dtype == np.float32
    assert back.factors["head"].tobytes() == table.factors["head"].tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]


def _first(document: dict[str, Any]) -> dict[str, Any]:
    return next(iter(document["tensors"].values()))


CHANGES: dict[str, Any] = {
    "format of another version": lambda d: d.update(format=2),
    "format as text": lambda d: d.update(format="1"),
    "a missing key": lambda d: d.pop("crops"),
    "a key too many": lambda d: d.update(more=1),
    "a sha256 that is none": lambda d: d.update(model_sha256="../../etc"),
    "crops as text": lambda d: d.update(crops="x"),
    "a negative window": lambda d: d.update(windows_px=[-32]),
    "a boolean window": lambda d: d.update(windows_px=[True]),
    "a NaN range": lambda d: _first(d).update(max=float("nan")),
    "an infinite range": lambda d: _first(d).update(max=float("inf")),
    "a range as text": lambda d: _first(d).update(max="3"),
    "a range beyond reason": lambda d: _first(d).update(max=1e30),
    "a whole number beyond float": lambda d: _first(d).update(max=10**400),
    "min above max": lambda d: _first(d).update(min=1.0, max=0.5),
    "percentiles out of order": lambda d: _first(d).update(p99=1e5),
    "a negative percentile": lambda d: _first(d).update(p99=-1.0),
    "a range of zero": lambda d: _first(d).update(dict.fromkeys(_first(d), 0.0)),
    "an unknown clip": lambda d: d["plans"]["int8-cpu"].update(clip="p50"),
    "an unknown kind": lambda d: d["plans"].update({"int4": d["plans"]["int8-cpu"]}),
    "a NaN bias": lambda d: d["plans"]["int8-cpu"]["bias"].update(head=[float("nan")]),
    "a bias that is no list": lambda d: d["plans"]["int8-cpu"]["bias"].update(head=1),
    "a boolean bias": lambda d: d["plans"]["int8-cpu"]["bias"].update(head=[True]),
    "no factors": lambda d: d.pop("factors"),
    "a factor of zero": lambda d: d["factors"].update(head=[0.0]),
    "a negative factor": lambda d: d["factors"].update(head=[-1.0]),
    "a factor beyond float16's reach": lambda d: d["factors"].update(head=[33]),
    "a NaN factor": lambda d: d["factors"].update(head=[float("nan")]),
    "a factor as text": lambda d: d["factors"].update(head=["1"]),
    "factors that are no list": lambda d: d["factors"].update(head=1.0),
    "factors without layers": lambda d: d.update(factors=[1.0]),
    "a tensor name without end": lambda d: d["tensors"].update({"x" * 1000: _first(d)}),
    "an array for a table": lambda d: [d],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_wrong_table_is_refused_in_one_line(change: Any, table: Table, tmp_path: Path) -> None:
    """Each altered table raises ModelError with a message of one line."""
    path = tmp_path / "t.json"
    write_table(table, path)
    document = json.loads(path.read_text())
    changed = change(document)
    path.write_text(json.dumps(changed if isinstance(changed, list) else document))
    with pytest.raises(ModelError) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000, '{"format": 1, "format": 1}'])
def test_what_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    """Empty, truncated, deeply nested and doubled input is a ModelError, never another exception."""
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(ModelError):
        read_table(path)


def test_a_missing_or_binary_table_is_refused(tmp_path: Path) -> None:
    """A path without a file, and bytes that are no text, are a ModelError."""
    (tmp_path / "t.json").write_bytes(bytes(range(256)))
    for path in (tmp_path / "none.json", tmp_path / "t.json", tmp_path):
        with pytest.raises(ModelError):
            read_table(path)


def test_damaged_tables_never_escape(table: Table, tmp_path: Path) -> None:
    """A thousand seeded mutations of a valid file either read as a table or raise ModelError."""
    path = tmp_path / "t.json"
    write_table(table, path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(data)))
            kind = int(rng.integers(3))
            if kind == 0:
                data[at] = int(rng.integers(256))
            elif kind == 1:
                del data[at : at + int(rng.integers(1, 40))]
            else:
                data[at:at] = bytes(rng.choice(list(b'-0e9",:{}[]n\\')) for _ in range(3))
        path.write_bytes(data)
        try:
            read_table(path)
        except ModelError:
            refused += 1
    assert refused > 500


def test_a_model_with_values_that_are_not_finite_is_refused(
    model: onnx.ModelProto, faces: Path
) -> None:
    """A NaN weight ends calibration with the tensor's name."""
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    tensor = next(t for t in broken.graph.initializer if t.name == "head.bias")
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[:] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, "head.bias"))
    with pytest.raises(IdrnError, match="not finite"):
        calibrate(broken, read_crops(crop_files(faces)))
