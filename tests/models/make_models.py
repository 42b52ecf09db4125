"""Tiny model files for tests: IDRN of depth 1 and width 8 written node by node, and broken ones.

Seeded, so that every run tests the same weights. The tail is scaled until pictures of noise come out
with a spread of colours: a network that made everything grey would hide faults.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

WIDTH = 8
_FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}


def tiny(scale: int = 4, seed: int = 0) -> onnx.ModelProto:
    """The network in float32, opset 17, dynamic N, h and w, staged reconstruction."""
    model = _network(scale, seed)
    noise = np.random.default_rng(1).random((1, 3, 32, 32), np.float32)
    sr = evaluate(model, noise)
    weights = {w.name: w for w in model.graph.initializer}
    gain = 0.15 / sr.std()
    _set(weights["tail.weight"], numpy_helper.to_array(weights["tail.weight"]) * gain)
    mean = sr.mean(axis=(0, 2, 3))
    _set(weights["tail.bias"], (0.5 - gain * mean).astype(np.float32))
    return model


def evaluate(model: onnx.ModelProto, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The network's own answer, float32 NCHW, computed by ONNX Runtime without graph rewriting."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"lr": lr})[0]


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float16 with float32 ends."""
    model = copy.deepcopy(model)
    graph = model.graph
    for weight in graph.initializer:
        _set(weight, numpy_helper.to_array(weight).astype(np.float16))
    for node in graph.node:
        _rename(node.input, "lr", "lr.half")
        _rename(node.output, "sr", "sr.half")
    graph.node.insert(0, helper.make_node("Cast", ["lr"], ["lr.half"], to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", ["sr.half"], ["sr"], to=TensorProto.FLOAT))
    return model


def quantised(model: onnx.ModelProto, *, signed: bool = False) -> onnx.ModelProto:
    """Q/DQ on every convolution's input and int8 weights per output channel.

    Activations are uint8 with zero point 0 (int8-cpu), or int8 with zero point 0 (int8-trt): signed.
    """
    ranges = _ranges(model)
    model = copy.deepcopy(model)
    graph = model.graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    zero = np.int8(0) if signed else np.uint8(0)
    steps = 127 if signed else 255
    constants: dict[str, npt.NDArray[Any]] = {"zero": np.array(zero)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "Conv":
            source, weight = node.input[0], node.input[1]
            array = weights.pop(weight)
            scale = np.abs(array).max(axis=(1, 2, 3)) / 127
            constants[f"{weight}.q"] = np.rint(array / scale[:, None, None, None]).astype(np.int8)
            constants[f"{weight}.scale"] = scale.astype(np.float32)
            constants[f"{weight}.zero"] = np.zeros(len(scale), np.int8)
            top = 1.0 if source == "lr" else ranges[source]
            constants[f"{weight}.step"] = np.array(top / steps, np.float32)
            activation = [f"{weight}.step", "zero"]
            nodes += [
                helper.make_node(
                    "DequantizeLinear",
                    [f"{weight}.q", f"{weight}.scale", f"{weight}.zero"],
                    [f"{weight}.dq"],
                    axis=0,
                ),
                helper.make_node("QuantizeLinear", [source, *activation], [f"{weight}.xq"]),
                helper.make_node(
                    "DequantizeLinear", [f"{weight}.xq", *activation], [f"{weight}.x"]
                ),
            ]
            node.input[0], node.input[1] = f"{weight}.x", f"{weight}.dq"
        nodes.append(node)
    del graph.initializer[:], graph.node[:]
    graph.node.extend(nodes)
    for name, array in {**weights, **constants}.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def with_weight(model: onnx.ModelProto, name: str, value: float) -> onnx.ModelProto:
    """The model with one element of one weight replaced."""
    model = copy.deepcopy(model)
    for weight in model.graph.initializer:
        if weight.name == name:
            array = numpy_helper.to_array(weight).copy()
            array.flat[0] = value
            _set(weight, array)
            return model
    raise KeyError(name)


def with_external_weight(model: onnx.ModelProto, name: str, location: str) -> onnx.ModelProto:
    """The model with one weight said to lie in the file `location`."""
    model = copy.deepcopy(model)
    weight = next(w for w in model.graph.initializer if w.name == name)
    length = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return model


def pointwise(weights: npt.NDArray[np.float32], bias: float = 0.0) -> onnx.ModelProto:
    """An x2 model without a picture in it: sr = lr * weights[c, i] + bias in sub-pixel i of channel c.

    weights: (3, 4). What comes out can be computed by hand, so this tests an engine's ends.
    """
    kernel = np.zeros((12, 3, 1, 1), np.float32)
    for channel in range(3):
        kernel[4 * channel : 4 * channel + 4, channel, 0, 0] = weights[channel]
    nodes = [
        helper.make_node("Conv", ["lr", "weight", "bias"], ["x"], kernel_shape=[1, 1]),
        helper.make_node("DepthToSpace", ["x"], ["sr"], blocksize=2, mode="CRD"),
    ]
    constants = {"weight": kernel, "bias": np.full(12, bias, np.float32)}
    return _model(nodes, constants)


def write_folder(folder: Path, files: Mapping[str, onnx.ModelProto], scale: int = 4) -> Path:
    """A model folder named as `folder`, with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for kind, model in files.items():
        name = "model.onnx" if kind == "fp32" else f"model.{kind}.onnx"
        data = model.SerializeToString()
        (folder / name).write_bytes(data)
        entries[kind] = {
            "path": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "parents": [] if kind == "fp32" else ["fp32"],
        }
    if "fp32" not in entries:
        for entry in entries.values():
            entry["parents"] = []
    network = {"depth": 1, "width": WIDTH, "scale": scale}
    write_manifest(folder, {"scale": scale, "network": network, "files": entries})
    return folder


def write_manifest(folder: Path, changes: Mapping[str, Any]) -> None:
    """manifest.json of `folder`: a valid one, but for these changes."""
    manifest = {
        "format_version": 1,
        "name": folder.name,
        "data": [{"name": "noise", "licence": "none", "sha256": "0" * 64}],
        "recipe": {"steps": 0},
        "quality": {},
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _network(scale: int, seed: int) -> onnx.ModelProto:
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, npt.NDArray[np.float32]] = {}

    def conv(name: str, source: str, channels_in: int, channels_out: int, target: str) -> None:
        spread = np.sqrt(2 / (9 * channels_in))
        shape = (channels_out, channels_in, 3, 3)
        constants[f"{name}.weight"] = rng.normal(0, spread, shape).astype(np.float32)
        constants[f"{name}.bias"] = rng.normal(0, 0.05, channels_out).astype(np.float32)
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        nodes.append(
            helper.make_node("Conv", inputs, [target], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        )

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    conv("head", "lr", 3, WIDTH, "head.out")
    node("Relu", ["head.out"], "x0")
    conv("conv1", "x0", WIDTH, WIDTH, "conv1.out")
    node("Relu", ["conv1.out"], "hidden")
    node("Concat", ["x0", "hidden"], "both", axis=1)
    conv("conv2", "both", 2 * WIDTH, WIDTH, "conv2.out")
    node("Add", ["x0", "conv2.out"], "residual")
    node("Relu", ["residual"], "x1")
    node("Add", ["x0", "x1"], "total")
    current = "total"
    for number, factor in enumerate(_FACTORS[scale]):
        conv(f"stage{number}", current, WIDTH, WIDTH * factor**2, f"stage{number}.out")
        shuffled, current = f"stage{number}.shuffled", f"stage{number}.relu"
        node("DepthToSpace", [f"stage{number}.out"], shuffled, blocksize=factor, mode="CRD")
        node("Relu", [shuffled], current)
    conv("tail", current, WIDTH, 3, "sr")
    return _model(nodes, constants)


def _model(
    nodes: list[onnx.NodeProto], constants: Mapping[str, npt.NDArray[Any]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["N", 3, "h", "w"])],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _ranges(model: onnx.ModelProto) -> dict[str, float]:
    """The largest value of each convolution's input over a few pictures of noise."""
    probe = copy.deepcopy(model)
    names = [n.input[0] for n in probe.graph.node if n.op_type == "Conv" and n.input[0] != "lr"]
    for name in names:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(2).random((4, 3, 32, 32), np.float32)
    found = session.run(names, {"lr": noise})
    return {name: float(value.max()) for name, value in zip(names, found, strict=True)}


def _set(weight: TensorProto, array: npt.NDArray[Any]) -> None:
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), weight.name))


def _rename(names: Any, old: str, new: str) -> None:
    for place, name in enumerate(names):
        if name == old:
            names[place] = new
