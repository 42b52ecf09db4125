"""The files that TensorRT is given of the shipped model: valid, placed by the rules, and true to fp32.

The rules are those of NVIDIA's guide to explicit quantisation and of its own quantiser
(https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/quantized-types-explicit-quantization.html);
those that tests/toolchain/test_qdq.py holds a small model to are not repeated.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from idrn_trt.engines._uint8_ends import INPUT, OUTPUT, with_uint8_ends
from idrn_trt.quality.metrics import psnr
from idrn_trt.toolchain.equalise import equalised
from idrn_trt.toolchain.graph import Graph, layer_name, read_model
from idrn_trt.toolchain.half import half
from idrn_trt.toolchain.qdq import int8_trt
from idrn_trt.toolchain.table import read_table

ROOT = Path(__file__).parents[2]
NAME = "idrn-d8-w64-x4"
UInt8 = npt.NDArray[np.uint8]

# PSNR to the fp32 file on uint8, dB: float16 rounds, int8 has the budget of `idrn-trt doctor --gpu`.
CLOSE_DB = {"fp16": 50, "int8-trt": 46}


@pytest.fixture(scope="module", name="files")
def _files() -> dict[str, onnx.ModelProto]:
    """The shipped model's fp32 file, and the two made from it as `idrn-trt quantise` makes them."""
    folder, calibration = ROOT / "models" / NAME, ROOT / "calib" / f"{NAME}.json"
    if not (folder.is_dir() and calibration.is_file()):
        pytest.skip("the default model and its calibration table are not in this tree")
    table = read_table(calibration)
    model = read_model(folder / "model.onnx")
    even = equalised(model, table.factors)
    return {
        "fp32": model, "fp16": half(model),
        "int8-trt": int8_trt(even, table, table.plans["int8-trt"]),
    }  # fmt: skip


@pytest.fixture(scope="module", name="graph")
def _graph(files: dict[str, onnx.ModelProto]) -> Graph:
    return Graph.of(files["int8-trt"])


@pytest.mark.parametrize("kind", ["fp16", "int8-trt"])
def test_these_are_the_files_of_the_manifest(kind: str, files: dict[str, onnx.ModelProto]) -> None:
    """What the tests here look at is, to the bit, what the model's manifest names."""
    manifest = json.loads((ROOT / "models" / NAME / "manifest.json").read_text(encoding="utf-8"))
    data = files[kind].SerializeToString(deterministic=True)
    assert hashlib.sha256(data).hexdigest() == manifest["files"][kind]["sha256"]


@pytest.mark.parametrize("kind", ["fp16", "int8-trt"])
@pytest.mark.parametrize("shape", [(None, None, None), (1, 32, 32), (16, 128, 128)])
def test_with_uint8_ends_the_checker_takes_them(
    kind: str, shape: tuple[int | None, ...], files: dict[str, onnx.ModelProto]
) -> None:
    """With dynamic and with fixed ends the file passes the full check, and stays in its operator set."""
    data = with_uint8_ends(files[kind].SerializeToString(), shape)
    made = onnx.load_from_string(data)
    onnx.checker.check_model(made, full_check=True)
    assert made.opset_import[0].version == files[kind].opset_import[0].version <= 20


@pytest.mark.parametrize("kind", ["fp16", "int8-trt"])
def test_every_tensor_inside_has_its_type(kind: str, files: dict[str, onnx.ModelProto]) -> None:
    """Strong typing computes what is written: float32 at the ends only, float16 or int8 inside."""
    made = onnx.load_from_string(with_uint8_ends(files[kind].SerializeToString()))
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True)
    floats = {
        v.name for v in inferred.graph.value_info
        if v.type.tensor_type.elem_type == TensorProto.FLOAT
    }  # fmt: skip
    assert floats
    assert all(name in {"lr", "sr"} or name.startswith((INPUT, OUTPUT)) for name in floats)


def test_int8_convolutions_have_the_channels_for_it(graph: Graph) -> None:
    """Channels in and out of each int8 convolution are multiples of 32, as its kernels need."""
    quantised = [c for c in graph.convolutions() if graph.producer(c.input[1]) is not None]
    assert len(quantised) == 18
    for conv in quantised:
        weights = graph.producer(conv.input[1])
        assert weights is not None
        out, into = graph.constants[weights.input[0]].shape[:2]
        assert (out % 32, into % 32) == (0, 0), layer_name(conv)


def test_weights_are_stored_as_int8(graph: Graph) -> None:
    """A DQ reads stored int8 values: no Q on weights is left for the builder to fold."""
    for node in graph.nodes:
        if node.op_type == "QuantizeLinear":
            assert node.input[0] not in graph.constants
    assert all(
        graph.constants[c.input[2]].dtype == np.float16
        for c in graph.convolutions()
        if len(c.input) > 2
    )


def test_scales_are_normal_float16(graph: Graph) -> None:
    """No scale is below float16's smallest normal number, where its precision fades."""
    scales = [
        graph.constants[n.input[1]] for n in graph.nodes
        if n.op_type in {"QuantizeLinear", "DequantizeLinear"}
    ]  # fmt: skip
    assert min(float(s.min()) for s in scales) >= np.finfo(np.float16).smallest_normal


def test_a_tensor_is_quantised_once(graph: Graph) -> None:
    """Several readers of a tensor share its Q: a residual's identity and the next convolution."""
    sources = [n.input[0] for n in graph.nodes if n.op_type == "QuantizeLinear"]
    assert len(sources) == len(set(sources))


def test_every_q_goes_to_a_dq_and_on_to_where_int8_is_read(graph: Graph) -> None:
    """Q is followed by DQ alone, and DQ feeds convolutions and residual additions, nothing else."""
    for node in graph.nodes:
        readers = {n.op_type for n in graph.consumers(node.output[0])}
        if node.op_type == "QuantizeLinear":
            assert readers == {"DequantizeLinear"}
        if node.op_type == "DequantizeLinear":
            assert readers <= {"Conv", "Add"}


def test_after_the_last_convolution_nothing_is_quantised(graph: Graph) -> None:
    """The float tail is shuffled once and cast: what follows it is DepthToSpace and Cast."""
    at, seen = "sr", []
    while (node := graph.producer(at)) is not None and node.op_type != "Conv":
        seen.append(node.op_type)
        at = node.input[0]
    assert seen == ["Cast", "DepthToSpace"]


def test_int8_layers_are_one_run(graph: Graph) -> None:
    """Between the first and the last int8 convolution there is no float one: no island, no reformats."""
    kinds = [graph.producer(c.input[1]) is not None for c in graph.convolutions()]
    assert kinds[0] is kinds[-1] is False
    assert all(kinds[1:-1])


def picture(data: bytes, batch: UInt8) -> UInt8:
    """What ONNX Runtime makes of the images."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    answer: UInt8 = session.run([OUTPUT], {INPUT: batch})[0]
    return answer


@pytest.mark.parametrize("kind", CLOSE_DB)
def test_pictures_are_close_to_fp32(
    kind: str, files: dict[str, onnx.ModelProto], astronaut: UInt8
) -> None:
    """With their uint8 ends the files answer on a face, byte for byte, as near to fp32 as they must."""
    face = np.ascontiguousarray(astronaut[60:188:4, 170:298:4])[None]
    answers = {
        name: picture(with_uint8_ends(files[name].SerializeToString()), face)
        for name in ("fp32", kind)
    }
    assert psnr(answers["fp32"][0], answers[kind][0]) >= CLOSE_DB[kind]
