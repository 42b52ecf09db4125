"""The uint8 ends put around a model file, run in ONNX Runtime and held against the engine contract."""

from __future__ import annotations

from pathlib import Path

import make_models
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from idrn_trt.engines._uint8_ends import INPUT, OUTPUT, with_uint8_ends, with_uint8_input
from idrn_trt.engines.onnxruntime import OnnxRuntimeEngine
from idrn_trt.errors import ModelError
from idrn_trt.zoo import find_model

UInt8 = npt.NDArray[np.uint8]

KINDS = {
    "fp32": lambda model: model,
    "fp16": make_models.halved,
    "int8-trt": lambda model: make_models.quantised(model, signed=True),
}


def run(data: bytes, batch: UInt8) -> UInt8:
    """What ONNX Runtime makes of a batch of images."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    answer: UInt8 = session.run([OUTPUT], {INPUT: batch})[0]
    return answer


def picture(count: int, height: int, width: int) -> UInt8:
    """Seeded noise, uint8 RGB (N, h, w, 3)."""
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 3), np.uint8)


def by_hand(model: onnx.ModelProto, batch: UInt8) -> UInt8:
    """The engine contract on the model's own float ends: scale, run, scale, clip, round to even."""
    lr = batch.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(1 / 255)
    sr = make_models.evaluate(model, np.ascontiguousarray(lr)) * np.float32(255)
    return np.rint(np.clip(sr, 0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_images_in_images_out(kind: str, scale: int) -> None:
    """A batch of non-square windows comes out s times larger, equal to the contract done by hand."""
    model = KINDS[kind](make_models.tiny(scale))
    batch = picture(3, 20, 12)
    sr = run(with_uint8_ends(model.SerializeToString()), batch)
    assert sr.shape == (3, 20 * scale, 12 * scale, 3)
    assert sr.dtype == np.uint8
    difference = np.abs(sr.astype(int) - by_hand(model, batch).astype(int))
    # ONNX Runtime fuses what it runs, so that a value near a half, or a Q step, may fall to either side.
    assert difference.max() <= (8 if kind == "int8-trt" else 1)
    assert difference.mean() < 0.05


def test_it_answers_as_the_engine_does(tiny_model: Path) -> None:
    """The fp32 file with its ends answers what the ONNX Runtime engine answers, to one level."""
    model = find_model(tiny_model)
    batch = picture(2, 32, 32)
    engine = OnnxRuntimeEngine(model, "fp32", threads=1)
    expected = engine.run(batch).copy()
    engine.close()
    sr = run(with_uint8_ends(model.read("fp32")), batch)
    assert np.abs(sr.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_valid_onnx(kind: str) -> None:
    """The onnx checker, shape inference included, takes it, and its ends are uint8 NHWC."""
    made = onnx.load_from_string(
        with_uint8_ends(KINDS[kind](make_models.tiny()).SerializeToString())
    )
    onnx.checker.check_model(made, full_check=True)
    for end in (made.graph.input[0], made.graph.output[0]):
        assert end.type.tensor_type.elem_type == TensorProto.UINT8
        assert end.type.tensor_type.shape.dim[3].dim_value == 3
    assert [e.name for e in [*made.graph.input, *made.graph.output]] == [INPUT, OUTPUT]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_inside_is_touched(kind: str) -> None:
    """Between the ends stand the model's nodes and weights, unchanged and in order."""
    model = KINDS[kind](make_models.tiny())
    made = onnx.load_from_string(with_uint8_ends(model.SerializeToString()))
    assert list(made.graph.node)[3:-5] == list(model.graph.node)
    assert list(made.graph.initializer)[:-3] == list(model.graph.initializer)
    assert list(made.opset_import) == list(model.opset_import)
    assert made.ir_version == model.ir_version


def test_only_casts_touch_uint8() -> None:
    """TensorRT allows uint8 at the ends only: each is read or written by a Cast and nothing else."""
    made = onnx.load_from_string(with_uint8_ends(make_models.tiny().SerializeToString()))
    readers = [n.op_type for n in made.graph.node if INPUT in n.input]
    writers = [n.op_type for n in made.graph.node if OUTPUT in n.output]
    assert (readers, writers) == (["Cast"], ["Cast"])


def test_fixed_axes_are_fixed() -> None:
    """A shape given is in the file and everything inside becomes static; None leaves an axis open."""
    data = make_models.tiny().SerializeToString()
    fixed = onnx.load_from_string(with_uint8_ends(data, (4, 48, 48)))
    inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    axes = [d for v in inferred.graph.value_info for d in v.type.tensor_type.shape.dim]
    assert axes
    assert all(axis.HasField("dim_value") for axis in axes)
    part = onnx.load_from_string(with_uint8_ends(data, (None, 48, 48)))
    dims = part.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [0, 48, 48, 3]
    assert run(part.SerializeToString(), picture(2, 48, 48)).shape == (2, 192, 192, 3)


def test_a_shape_stated_inside_is_dropped() -> None:
    """A file that states inner shapes for another window is taken at any."""
    model = make_models.tiny()
    model.graph.value_info.append(
        helper.make_tensor_value_info(
            model.graph.node[0].output[0], TensorProto.FLOAT, (1, 8, 7, 7)
        )
    )
    assert run(with_uint8_ends(model.SerializeToString()), picture(1, 16, 16)).shape[1] == 64


def affine(gain: float, shift: float) -> onnx.ModelProto:
    """A model whose answer is gain x + shift, at scale 1."""
    nodes = [
        helper.make_node("Mul", ["lr", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["sr"]),
    ]
    lr, sr = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])
        for name in ("lr", "sr")
    )
    constants = [
        helper.make_tensor("gain", TensorProto.FLOAT, [], [gain]),
        helper.make_tensor("shift", TensorProto.FLOAT, [], [shift]),
    ]
    graph = helper.make_graph(nodes, "affine", [lr], [sr], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("gain", "shift"), [(0.5, 0.0), (2.0, -0.5)])
def test_levels_are_clipped_and_rounded_to_even(gain: float, shift: float) -> None:
    """Every level comes out as NumPy rounds it: halves to even, and what is beyond the range at its end."""
    batch = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    scaled = batch.astype(np.float32) * np.float32(1 / 255)
    exact = (scaled * np.float32(gain) + np.float32(shift)) * np.float32(255)
    down = (exact % 2 == 0.5) & (exact > 0) & (exact < 255)
    assert down.any() or exact.min() < 0
    sr = run(with_uint8_ends(affine(gain, shift).SerializeToString()), batch)
    np.testing.assert_array_equal(sr, np.rint(np.clip(exact, 0, 255)).astype(np.uint8))


@pytest.mark.parametrize("cut", [1, 10, 1000])
def test_a_truncated_file_is_refused(cut: int) -> None:
    """Bytes that end too early are a ModelError."""
    data = make_models.tiny().SerializeToString()
    with pytest.raises(ModelError):
        with_uint8_ends(data[:-cut])


def test_an_old_operator_set_is_refused() -> None:
    """Clip and Round as used here exist from operator set 11 on."""
    model = make_models.tiny()
    model.opset_import[0].version = 10
    with pytest.raises(ModelError, match="operator set 10, expected 11"):
        with_uint8_ends(model.SerializeToString())


def test_two_outputs_are_refused() -> None:
    """A graph with more ends than the contract has is refused with their numbers."""
    model = make_models.tiny()
    model.graph.output.append(model.graph.output[0])
    with pytest.raises(ModelError, match="2 outputs, expected one"):
        with_uint8_ends(model.SerializeToString())


def two_ends() -> onnx.ModelProto:
    """A model stated for 32x32 only: "twice" is what comes in by two, "mean" its mean, rank 4 and 2."""
    nodes = [
        helper.make_node("Add", ["lr", "lr"], ["twice"]),
        helper.make_node("ReduceMean", ["lr"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Identity", ["means"], ["mean"]),
    ]
    lr, twice = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 32, 32])
        for name in ("lr", "twice")
    )
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "two", [lr], [twice, mean])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_outputs_stay_as_they_are() -> None:
    """With the input alone made uint8, any size is taken and the named outputs come in their order."""
    data = with_uint8_input(two_ends().SerializeToString(), ["mean", "twice"], 0.5)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    batch = picture(1, 64, 96)
    mean, twice = session.run(None, {INPUT: batch})
    np.testing.assert_array_equal(twice, batch.transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(mean, batch.mean(axis=(1, 2)) * 0.5, rtol=1e-5)


def test_outputs_not_asked_for_are_left_out() -> None:
    """One of two outputs can be had alone; one that there is not is named."""
    data = two_ends().SerializeToString()
    made = onnx.load_from_string(with_uint8_input(data, ["twice"], 1.0))
    assert [output.name for output in made.graph.output] == ["twice"]
    with pytest.raises(ModelError, match="no output 'thrice'"):
        with_uint8_input(data, ["twice", "thrice"], 1.0)


def test_two_inputs_are_refused() -> None:
    """A graph with another input than the picture is refused with their number."""
    model = two_ends()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(ModelError, match="2 inputs, expected one"):
        with_uint8_input(model.SerializeToString(), ["twice"], 1.0)
