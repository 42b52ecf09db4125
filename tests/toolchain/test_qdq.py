"""Where the two emitters put their Q/DQ pairs: each placement rule is a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from idrn_trt.errors import ModelError, OptionError
from idrn_trt.quality.metrics import psnr
from idrn_trt.toolchain.calibrate import calibrate, crop_files, read_crops
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import Graph, layer_name, read_model
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.qdq import in_pairs, int8_cpu, int8_trt
from idrn_trt.toolchain.table import Plan, Table
from idrn_trt.zoo import find_model, list_models


@pytest.fixture(scope="module", name="model")
def _model() -> onnx.ModelProto:
    torch.manual_seed(4)
    return export_onnx(IDRN(NetConfig.parse("d2-w16-x4")))


@pytest.fixture(scope="module", name="table")
def _table(model: onnx.ModelProto, faces: Path) -> Table:
    return calibrate(model, read_crops(crop_files(faces)))


@pytest.fixture(scope="module", name="cpu")
def _cpu(model: onnx.ModelProto, table: Table) -> Graph:
    return Graph.of(int8_cpu(model, table, Plan()))


@pytest.fixture(scope="module", name="trt")
def _trt(model: onnx.ModelProto, table: Table) -> Graph:
    return Graph.of(int8_trt(model, table, Plan()))


@pytest.fixture(scope="module", name="shared")
def _shared(model: onnx.ModelProto, table: Table) -> Graph:
    return Graph.of(int8_trt(model, table, Plan(shared_concat=True)))


def kind_before(graph: Graph, tensor: str) -> str:
    """The operator that makes a tensor, "" for an input or constant."""
    node = graph.producer(tensor)
    return "" if node is None else node.op_type


def quantisers(graph: Graph) -> list[onnx.NodeProto]:
    """The QuantizeLinear nodes."""
    return [n for n in graph.nodes if n.op_type == "QuantizeLinear"]


def scale_read(graph: Graph, tensor: str) -> float:
    """The scale of a tensor that a DequantizeLinear makes."""
    node = graph.producer(tensor)
    assert node is not None
    assert node.op_type == "DequantizeLinear"
    return float(graph.constants[node.input[1]])


def run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    """The picture that ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["sr"], {"lr": lr})[0]


@pytest.mark.parametrize("name", ["cpu", "trt", "shared"])
def test_weights_are_symmetric_int8_per_output_channel(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Each quantised convolution reads int8 weights through DQ on axis 0, zero points 0."""
    graph = request.getfixturevalue(name)
    quantised = [c for c in graph.convolutions() if kind_before(graph, c.input[1])]
    assert quantised
    for conv in quantised:
        dq = graph.producer(conv.input[1])
        stored, scales, zeros = (graph.constants[n] for n in dq.input)
        assert stored.dtype == zeros.dtype == np.int8
        assert scales.shape == (len(stored),)
        assert not zeros.any()
        # A scale that float16 had to round up may leave the last step unused.
        if name == "cpu":
            assert set(largest_pairs(stored)) <= {126, 127, 128}
        else:
            assert set(np.abs(stored.astype(int)).reshape(len(stored), -1).max(1)) <= {126, 127}
        assert [a.i for a in dq.attribute if a.name == "axis"] == [0]


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_pairs_of_weights_stay_within_128(channels: int) -> None:
    """On the grid of in_pairs no two neighbours of one sign add up to more, and some come within 2 of it."""
    weights = np.random.default_rng(channels).normal(size=(32, channels, 3, 3)).astype(np.float32)
    stored = np.rint(weights * 127 / in_pairs(weights)[:, None, None, None])
    sums = largest_pairs(stored)
    assert sums.max() <= 128
    assert sums.min() >= 126
    assert 2**15 - 1 - 255 < 255 * 128 <= 2**15 - 1  # the most of which products of 255 fit 16 bits


@pytest.mark.parametrize("name", [m.name for m in list_models(task=None)])
def test_shipped_cpu_files_keep_to_it(name: str) -> None:
    """So every shipped CPU file gives the same picture on a processor without VNNI."""
    graph = Graph.of(read_model(find_model(name).file("int8-cpu")))
    read = [graph.producer(c.input[1]) for c in graph.convolutions()]
    stored = [graph.constants[dq.input[0]] for dq in read if dq is not None]
    assert stored
    for weights in stored:
        assert largest_pairs(weights).max() <= 128


@pytest.mark.parametrize("channels", [3, 64, 128])
def test_openvino_adds_up_weights_at_the_limit(channels: int) -> None:
    """Pairs of 127 and 1 under activations of 255 are summed rightly on any processor."""
    weights = np.ones((16, channels, 3, 3), np.int8)
    weights[:, ::2] = 127
    picture = np.ones((1, channels, 8, 8), np.float32)
    got = run_openvino_of(one_convolution(weights), picture)
    # The middle of the picture, where all taps lie inside.
    assert got[0, :, 4, 4] == pytest.approx(float(weights[0].sum()), rel=1e-5)


def largest_pairs(stored: np.ndarray) -> np.ndarray:
    """What neighbours at one tap add up to at most, positive and negative weights apart, (M,)."""
    found = []
    for part in (np.clip(stored, 0, None), np.clip(-stored.astype(int), 0, None)):
        wide = np.concatenate([part, np.zeros_like(part[:, :1])], axis=1).astype(int)
        count = wide.shape[1] // 2 * 2
        found.append((wide[:, 0:count:2] + wide[:, 1:count:2]).max((1, 2, 3)))
    return np.maximum(*found)


def one_convolution(weights: np.ndarray) -> onnx.ModelProto:
    """A Q/DQ pair of scale 1/255 and a convolution by these weights, of scale 1."""
    outputs, channels = weights.shape[:2]
    made = {
        "scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "int8": weights,
        "scales": np.ones(outputs, np.float32),
        "zeros": np.zeros(outputs, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["lr", "scale", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["read"]),
        helper.make_node("DequantizeLinear", ["int8", "scales", "zeros"], ["weights"], axis=0),
        helper.make_node("Conv", ["read", "weights"], ["sr"], pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "one convolution",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, (1, channels, 8, 8))],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, (1, outputs, 8, 8))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in made.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def run_openvino_of(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    """OpenVINO's answer with the hint that the engine gives it."""
    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return np.asarray(compiled([values])[0])


@pytest.mark.parametrize("name", ["cpu", "trt", "shared"])
def test_biases_stay_float(name: str, request: pytest.FixtureRequest) -> None:
    """No bias is quantised."""
    graph = request.getfixturevalue(name)
    for conv in graph.convolutions():
        assert graph.constants[conv.input[2]].dtype in (np.float32, np.float16)


@pytest.mark.parametrize("name", ["cpu", "trt", "shared"])
def test_nothing_stands_between_a_convolution_and_its_relu(
    name: str, request: pytest.FixtureRequest
) -> None:
    """A convolution's output goes to a ReLU, a residual addition, a shuffle or the end; never to Q."""
    graph = request.getfixturevalue(name)
    for conv in graph.convolutions():
        kinds = {n.op_type for n in graph.consumers(conv.output[0])}
        assert kinds <= {"Relu", "Add", "DepthToSpace", "Cast"}


def test_cpu_activations_are_uint8_from_zero(cpu: Graph) -> None:
    """Every activation is uint8 with zero point 0 and comes from a ReLU, the sum of some, or the image."""
    for node in quantisers(cpu):
        zero = cpu.constants[node.input[2]]
        assert zero.dtype == np.uint8
        assert zero == 0
        assert kind_before(cpu, node.input[0]) in {"Relu", "Add", ""}


def test_cpu_scales_use_the_full_range(cpu: Graph, table: Table) -> None:
    """The largest value of a concatenation's members is level 255 of their scale."""
    for conv in cpu.convolutions():
        source = cpu.producer(conv.input[0])
        assert source is not None
        if source.op_type == "Concat":
            members = [t.removesuffix("/dequantised") for t in source.input]
            largest = max(table.tensors[m].max for m in members)
            assert scale_read(cpu, source.input[0]) == pytest.approx(largest / 255)


def test_cpu_image_is_its_own_quantised_form(cpu: Graph) -> None:
    """The image's scale is 1/255, so quantising uint8 pixels over 255 gives those pixels."""
    scale = cpu.constants["lr/scale"]
    assert scale == np.float32(1) / np.float32(255)
    pixels = np.arange(256, dtype=np.float32)
    assert (np.rint(pixels / np.float32(255) / scale) == pixels).all()


def test_cpu_every_convolution_reads_quantised_values(cpu: Graph) -> None:
    """Head and tail are int8 too."""
    for conv in cpu.convolutions():
        kind = kind_before(cpu, conv.input[0])
        assert kind in {"DequantizeLinear", "Concat", "DepthToSpace"}
        assert kind_before(cpu, conv.input[1]) == "DequantizeLinear"


def test_cpu_concatenated_tensors_share_one_scale(cpu: Graph) -> None:
    """What meets in a concatenation is quantised before it at one scale."""
    for node in cpu.nodes:
        if node.op_type == "Concat":
            assert len({scale_read(cpu, t) for t in node.input}) == 1


def test_cpu_shuffles_move_bytes(cpu: Graph) -> None:
    """An inner shuffle stands after the quantisation and works on whole blocks of channels."""
    inner = [n for n in cpu.nodes if n.op_type == "DepthToSpace" and n.output[0] != "sr"]
    assert inner
    for node in inner:
        assert kind_before(cpu, node.input[0]) == "DequantizeLinear"
        assert [a.s for a in node.attribute if a.name == "mode"] == [b"DCR"]


def test_cpu_additions_read_floats(cpu: Graph) -> None:
    """The residual additions and the running sum are free of activation rounding."""
    kinds = {kind_before(cpu, t) for n in cpu.nodes if n.op_type == "Add" for t in n.input}
    assert kinds == {"Relu", "Add", "Conv"}


def test_a_convolution_without_bias_gets_one_where_it_is_corrected(
    model: onnx.ModelProto, table: Table
) -> None:
    """A foreign model without biases takes corrections too."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    head = next(n for n in bare.graph.node if n.op_type == "Conv")
    del head.input[2]
    shift = np.full(16, 0.25, np.float32)
    graph = Graph.of(int8_cpu(bare, table, Plan(bias={"head": shift})))
    assert (graph.constants[graph.convolutions()[0].input[2]] == shift).all()


def test_trt_is_symmetric_int8_in_opset_19(model: onnx.ModelProto, table: Table) -> None:
    """Zero points are int8 zeros, scales float16, and the operator set is 19."""
    made = int8_trt(model, table, Plan())
    assert [o.version for o in made.opset_import] == [19]
    graph = Graph.of(made)
    for node in graph.nodes:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert graph.constants[node.input[1]].dtype == np.float16
            assert graph.constants[node.input[2]].dtype == np.int8
            assert not graph.constants[node.input[2]].any()


def test_trt_ends_are_float32_and_the_rest_float16(model: onnx.ModelProto, table: Table) -> None:
    """Between the casts at the two ends no tensor is float32."""
    made = onnx.shape_inference.infer_shapes(int8_trt(model, table, Plan()), strict_mode=True)
    inner = {v.type.tensor_type.elem_type for v in made.graph.value_info}
    assert inner == {TensorProto.FLOAT16, TensorProto.INT8}
    kinds = [n.op_type for n in made.graph.node]
    assert kinds.count("Cast") == 2


def test_trt_quantises_convolution_inputs_directly(trt: Graph) -> None:
    """Each wide convolution reads a DQ of its own input: after the concatenation and the shuffle."""
    for conv in trt.convolutions():
        if kind_before(trt, conv.input[1]):
            assert kind_before(trt, conv.input[0]) == "DequantizeLinear"
    assert "DequantizeLinear" not in {
        kind_before(trt, t) for n in trt.nodes if n.op_type == "DepthToSpace" for t in n.input
    }


def test_trt_head_and_tail_stay_float(trt: Graph) -> None:
    """Three-channel ends have too few channels for int8 kernels."""
    unquantised = {layer_name(c) for c in trt.convolutions() if not kind_before(trt, c.input[1])}
    assert unquantised == {"head", "tail"}


def test_trt_residual_reads_the_identity_quantised_and_the_branch_float(trt: Graph) -> None:
    """Q/DQ stands on the identity input only, and it is the one the next convolution reads."""
    residual = [n for n in trt.nodes if n.op_type == "Add"
                and "Conv" in {kind_before(trt, t) for t in n.input}]  # fmt: skip
    assert len(residual) == 2
    for add in residual:
        identity = next(t for t in add.input if kind_before(trt, t) != "Conv")
        assert kind_before(trt, identity) == "DequantizeLinear"
        assert "Conv" in {n.op_type for n in trt.consumers(identity)}


def test_trt_running_sum_stays_float(trt: Graph) -> None:
    """The additions of Eq. (1) read float values."""
    for add in trt.nodes:
        kinds = {kind_before(trt, t) for t in add.input}
        if add.op_type == "Add" and "Conv" not in kinds:
            assert "DequantizeLinear" not in kinds


def test_trt_shared_concatenation_has_one_scale_before_it(shared: Graph) -> None:
    """With the option each concatenation joins tensors quantised at one scale, and is not quantised."""
    joins = [n for n in shared.nodes if n.op_type == "Concat"]
    for node in joins:
        assert len({scale_read(shared, t) for t in node.input}) == 1
        assert {n.op_type for n in shared.consumers(node.output[0])} == {"Conv"}
    assert joins


@pytest.mark.parametrize("emit", [int8_cpu, int8_trt])
def test_the_quantised_picture_is_close(emit: object, model: onnx.ModelProto, table: Table) -> None:
    """Either file answers at least 35 dB close to float on a non-square batch."""
    lr = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 17)).astype(np.float32) / 255
    made = emit(model, table, Plan())  # type: ignore[operator]
    assert psnr(run(model, lr) * 255, run(made, lr) * 255) >= 35


@pytest.mark.parametrize("emit", [int8_cpu, int8_trt])
def test_a_layer_kept_in_float_is_not_quantised(
    emit: object, model: onnx.ModelProto, table: Table
) -> None:
    """keep_float leaves a layer's weights as they were."""
    made = Graph.of(emit(model, table, Plan(keep_float=("units.1.conv2",))))  # type: ignore[operator]
    kept = next(c for c in made.convolutions() if layer_name(c) == "units.1.conv2")
    assert kind_before(made, kept.input[1]) == ""
    other = next(c for c in made.convolutions() if layer_name(c) == "units.1.conv1")
    assert kind_before(made, other.input[1]) == "DequantizeLinear"


def test_a_layer_that_does_not_exist_is_named(model: onnx.ModelProto, table: Table) -> None:
    """A mistyped layer is an OptionError that lists the layers there are."""
    with pytest.raises(OptionError, match=r"units\.9.*head"):
        int8_cpu(model, table, Plan(keep_float=("units.9.conv1",)))


@pytest.mark.parametrize("emit", [int8_cpu, int8_trt])
def test_an_unknown_operator_is_named(emit: object, model: onnx.ModelProto, table: Table) -> None:
    """A graph with a Sigmoid is refused by that name."""
    foreign = onnx.ModelProto()
    foreign.CopyFrom(model)
    relu = next(n for n in foreign.graph.node if n.op_type == "Relu")
    relu.op_type = "Sigmoid"
    with pytest.raises(ModelError, match="'Sigmoid'"):
        emit(foreign, table, Plan())  # type: ignore[operator]


def test_a_quantised_file_is_not_quantised_again(model: onnx.ModelProto, table: Table) -> None:
    """The pass names QuantizeLinear as an operator that it does not take."""
    with pytest.raises(ModelError, match=r"QuantizeLinear|DequantizeLinear"):
        int8_cpu(int8_cpu(model, table, Plan()), table, Plan())


def test_another_models_table_is_refused(model: onnx.ModelProto, table: Table) -> None:
    """A tensor without a range is named."""
    part = replace(table, tensors=dict(list(table.tensors.items())[1:]))
    with pytest.raises(ModelError, match="no tensor '/Relu_output_0'"):
        int8_cpu(model, part, Plan())


def test_signed_activations_do_not_fit_the_cpu_file(faces: Path) -> None:
    """The traditional unit ends without ReLU: the CPU emitter says so, the other one takes it."""
    torch.manual_seed(0)
    model = export_onnx(IDRN(NetConfig.parse("d1-w16-x2", unit="traditional")))
    table = calibrate(model, read_crops(crop_files(faces)))
    with pytest.raises(ModelError, match="start at 0"):
        int8_cpu(model, table, Plan())
    int8_trt(model, table, Plan())


def test_a_bias_of_the_wrong_size_is_refused(model: onnx.ModelProto, table: Table) -> None:
    """A correction for other channels than the layer's is named with both sizes."""
    with pytest.raises(ModelError, match=r"'head' has 3 values, expected 16"):
        int8_cpu(model, table, Plan(bias={"head": np.zeros(3, np.float32)}))


def test_dead_channels_keep_finite_scales(model: onnx.ModelProto, table: Table) -> None:
    """A channel whose weights are all zero gets a positive scale and answers its bias."""
    dead = onnx.ModelProto()
    dead.CopyFrom(model)
    tensor = next(t for t in dead.graph.initializer if t.name == "units.0.conv1.weight")
    array = numpy_helper.to_array(tensor).copy()
    array[5] = 0
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    lr = np.full((1, 3, 8, 8), 0.5, np.float32)
    for emit in (int8_cpu, int8_trt):
        made = emit(dead, table, Plan())
        assert all(
            (a > 0).all() for n, a in Graph.of(made).constants.items() if n.endswith("/scale")
        )
        assert np.isfinite(run(made, lr)).all()
