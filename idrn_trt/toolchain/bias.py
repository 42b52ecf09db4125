"""Bias correction: channel means of the quantised network made equal to the float network's.

Rounding weights shifts each channel's mean (Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.2); in super-resolution that is a change of brightness. Here
the shift is measured over calibration crops, layer after layer: correcting all layers from one
measurement counts a shift again in every layer behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import NodeProto, helper
from tqdm import tqdm

from idrn_trt.toolchain.calibrate import UInt8, observe, planes, session_of
from idrn_trt.toolchain.graph import INPUT, Array, Graph, layer_name

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

# All of them are in memory at once: at width 64 about 15 MB of the widest layer for each.
MOST_PICTURES = 32


def bias_corrections(
    model: onnx.ModelProto, quantised: onnx.ModelProto, pictures: Sequence[UInt8]
) -> dict[str, Float32]:
    """For each convolution what to add to its bias: layer name -> (M,) float32.

    model: the float network, with its channels in `quantised`'s order. pictures: uint8 RGB (h, w, 3),
    of which at most MOST_PICTURES, spread evenly, are used with equal weight.
    """
    used = [pictures[k * len(pictures) // MOST_PICTURES] for k in range(MOST_PICTURES)]
    pictures = used if len(pictures) > MOST_PICTURES else pictures
    wanted = channel_means(model, pictures)
    graph = Graph.of(quantised)
    uses = Counter(name for node in graph.nodes for name in node.input)
    values: dict[str, list[Array]] = {INPUT: [planes(p) for p in pictures]}
    corrections = {}
    for node in tqdm(graph.nodes, desc="correcting biases", leave=False, disable=None):
        results = _run_node(graph, node, values)
        if node.op_type == "Conv":
            name = layer_name(node)
            corrections[name] = (wanted[name] - _mean(results)).astype(np.float32)
            step = corrections[name][:, None, None].astype(results[0].dtype)
            results = [r + step for r in results]
        values[str(node.output[0])] = results
        uses.subtract(node.input)
        values = {name: v for name, v in values.items() if uses[name] > 0}
    return corrections


def channel_means(model: onnx.ModelProto, pictures: Sequence[UInt8]) -> dict[str, Float64]:
    """The mean of every convolution's output channels over the pictures, before any ReLU."""
    layers = {layer_name(c): str(c.output[0]) for c in Graph.of(model).convolutions()}
    means: dict[str, list[Float64]] = {name: [] for name in layers}
    for values in observe(model, list(layers.values()), pictures, "channel means"):
        for name, tensor in layers.items():
            means[name].append(_mean([values[tensor]]))
    return {name: np.mean(parts, axis=0) for name, parts in means.items()}


def _mean(tensors: Sequence[Array]) -> Float64:
    """(1, M, h, w) of any sizes -> (M,): each tensor has equal weight."""
    parts = [t.mean(axis=(0, 2, 3), dtype=np.float64) for t in tensors]
    mean: Float64 = np.mean(parts, axis=0)
    return mean


def _run_node(graph: Graph, node: NodeProto, values: dict[str, list[Array]]) -> list[Array]:
    """The node's result for each picture."""
    inputs = [str(name) for name in dict.fromkeys(node.input) if name not in graph.constants]
    if not inputs:  # weights through DequantizeLinear: the same for all pictures
        return [_session(graph, node, {}).run(None, {})[0]]
    session = _session(graph, node, {name: values[name][0] for name in inputs})
    count = max(len(values[name]) for name in inputs)
    return [
        session.run(None, {name: values[name][k % len(values[name])] for name in inputs})[0]
        for k in range(count)
    ]


def _session(
    graph: Graph, node: NodeProto, inputs: dict[str, Array]
) -> onnxruntime.InferenceSession:
    """A session that computes this node alone."""
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
        )
        for name, value in inputs.items()
    ]
    constants = [
        onnx.numpy_helper.from_array(graph.constants[name], name)
        for name in dict.fromkeys(node.input)
        if name in graph.constants
    ]
    output = helper.make_empty_tensor_value_info(node.output[0])
    body = helper.make_graph([node], "node", infos, [output], constants)
    model = helper.make_model(
        body, ir_version=graph.origin.ir_version, opset_imports=list(graph.origin.opset_import)
    )
    return session_of(model)
