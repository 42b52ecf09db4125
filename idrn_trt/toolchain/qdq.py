"""Quantised files in the Q/DQ form: one table of ranges, two emitters.

Common to both: weights int8 per output channel, biases in float, nothing between a convolution and its
ReLU. `int8_cpu` is for OpenVINO and ONNX Runtime on the CPU, `int8_trt` for TensorRT; what differs is
written at each. docs/decisions has the measurements behind the choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper

from idrn_trt.errors import ModelError, OptionError
from idrn_trt.toolchain.calibrate import MOVERS, sources
from idrn_trt.toolchain.graph import INPUT, Array, Graph, as_float32, layer_name
from idrn_trt.toolchain.half import halve
from idrn_trt.toolchain.rewrite import shuffles_by_block
from idrn_trt.toolchain.table import Plan, Table

KNOWN = frozenset({"Conv", "Relu", "Add", *MOVERS})
# TensorRT's int8 kernels want channels by the dozen; head and tail (3 and 3 r^2 channels) stay in float16.
TRT_FEWEST_CHANNELS = 16
# The first operator set whose QuantizeLinear takes float16, and the one TensorRT is documented with.
TRT_OPSET = 19
# The smallest scale float16 holds at full precision.
_SMALLEST_HALF = float(np.finfo(np.float16).tiny)


def int8_cpu(model: onnx.ModelProto, table: Table, plan: Plan) -> onnx.ModelProto:
    """uint8 activations with zero point 0 over the full range, float32 elsewhere.

    Every source of a convolution's input is quantised where it is made (after its ReLU, before shuffles
    and concatenations), so that only bytes move; tensors that meet in a concatenation share one scale,
    because a convolution takes one scale for its whole input. The image has scale 1/255: its uint8
    pixels are the quantised tensor. Additions read the floats: that costs OpenVINO nothing measurable and
    keeps the rounding out of the residual stream and the sum of Eq. (1).
    """
    graph = Graph.of(shuffles_by_block(model))
    quantiser = _Quantiser(graph, np.dtype(np.uint8), plan)
    convolutions = quantiser.chosen(graph.convolutions())
    for group in joined([sources(graph, c.input[0]) for c in convolutions]):
        limit = max(_limit(table, plan, t, signed=False) for t in group)
        for tensor in group:
            readers = [n for n in graph.consumers(tensor) if n.op_type != "Add"]
            quantiser.activation(tensor, limit, readers)
    quantiser.finish(convolutions)
    return graph.model()


def int8_trt(model: onnx.ModelProto, table: Table, plan: Plan) -> onnx.ModelProto:
    """int8 activations, symmetric, on convolution inputs; float16 elsewhere, float32 ends, opset 19.

    A residual addition reads the quantised identity (the tensor the next convolution reads too) and the
    convolution's float output; the running sum reads floats. A shuffle carries no Q/DQ. Convolutions with
    fewer than TRT_FEWEST_CHANNELS in or out stay float16. With plan.shared_concat the tensors that
    meet in a concatenation are quantised before it at one scale, instead of the result after it.
    """
    graph = Graph.of(model)
    quantiser = _Quantiser(graph, np.dtype(np.int8), plan)
    wide = [c for c in graph.convolutions() if _narrowest(graph, c) >= TRT_FEWEST_CHANNELS]
    convolutions = quantiser.chosen(wide)
    readers = _trt_readers(graph, convolutions, shared=plan.shared_concat)
    groups = [[t] for t in readers]
    if plan.shared_concat:
        meeting = [list(n.input) for n in graph.nodes if n.op_type == "Concat"]
        groups = joined([g for g in meeting if set(g) <= set(readers)] + groups)
    for group in groups:
        limit = max(_limit(table, plan, s, signed=True) for t in group for s in sources(graph, t))
        for tensor in group:
            quantiser.activation(tensor, limit, readers[tensor])
    quantiser.finish(convolutions)
    halve(graph)
    return graph.model(opset=TRT_OPSET)


def _trt_readers(
    graph: Graph, convolutions: Sequence[NodeProto], *, shared: bool
) -> dict[str, list[NodeProto]]:
    """Each tensor to quantise for TensorRT, with the nodes that shall read it quantised."""
    readers: dict[str, list[NodeProto]] = {}
    for conv in convolutions:
        producer = graph.producer(conv.input[0])
        if shared and producer is not None and producer.op_type == "Concat":
            for tensor in producer.input:
                readers.setdefault(tensor, []).append(producer)
        else:
            readers.setdefault(conv.input[0], []).append(conv)
    for node in graph.nodes:
        if node.op_type == "Add" and (identity := _identity(graph, node)) in readers:
            readers[identity].append(node)
    return readers


def _identity(graph: Graph, add: NodeProto) -> str:
    """The input of a residual addition that is not a convolution's output; "" for other additions."""
    made = [graph.producer(t) for t in add.input]
    by_conv = [p is not None and p.op_type == "Conv" for p in made]
    return str(add.input[by_conv.index(False)]) if by_conv.count(True) == 1 else ""


class _Quantiser:
    """Inserts Q/DQ pairs of one integer type into a graph."""

    def __init__(self, graph: Graph, dtype: np.dtype[np.integer], plan: Plan) -> None:
        unknown = next((n for n in graph.nodes if n.op_type not in KNOWN), None)
        if unknown is not None:
            raise ModelError(
                f"operator {unknown.op_type!r} (node {unknown.name!r}) is not known to the "
                f"quantisation pass, which knows {', '.join(sorted(KNOWN))}"
            )
        self.graph, self.dtype, self.plan = graph, dtype, plan

    def chosen(self, convolutions: Iterable[NodeProto]) -> list[NodeProto]:
        """Those not kept in float. Raises OptionError for a layer that does not exist."""
        names = [layer_name(c) for c in self.graph.convolutions()]
        for name in (*self.plan.keep_float, *self.plan.bias):
            if name not in names:
                raise OptionError(f"no layer {name!r} in the model: it has {', '.join(names)}")
        return [c for c in convolutions if layer_name(c) not in self.plan.keep_float]

    def activation(self, tensor: str, limit: float, readers: Sequence[NodeProto]) -> None:
        """Q/DQ after `tensor` for magnitudes up to `limit`, read by `readers` in its place."""
        scale, zero = f"{tensor}/scale", f"{tensor}/zero"
        self.graph.constants[scale] = np.asarray(self._scale(limit))
        self.graph.constants[zero] = np.zeros((), self.dtype)
        for node in readers:
            for index, name in enumerate(node.input):
                if name == tensor:
                    node.input[index] = f"{tensor}/dequantised"
        self._pair("QuantizeLinear", tensor, f"{tensor}/quantised", (scale, zero))
        self._pair(
            "DequantizeLinear", f"{tensor}/quantised", f"{tensor}/dequantised", (scale, zero)
        )

    def finish(self, convolutions: Iterable[NodeProto]) -> None:
        """Quantise the weights of `convolutions` and add the plan's bias corrections."""
        for conv in convolutions:
            self._weights(conv.input[1])
        for conv in self.graph.convolutions():
            self._bias(conv)

    def _weights(self, name: str) -> None:
        weights = as_float32(self.graph.constants.pop(name))
        limits = in_pairs(weights) if self.dtype == np.uint8 else np.abs(weights).max((1, 2, 3))
        scales = self._scale(limits, np.int8)
        steps = np.rint(weights / scales[:, None, None, None])
        stored, scale, zero = f"{name}/int8", f"{name}/scale", f"{name}/zero"
        self.graph.constants[stored] = np.clip(steps, -127, 127).astype(np.int8)
        self.graph.constants[scale] = scales
        self.graph.constants[zero] = np.zeros(len(scales), np.int8)
        self._pair("DequantizeLinear", stored, name, (scale, zero), axis=0)

    def _bias(self, conv: NodeProto) -> None:
        name = layer_name(conv)
        correction = self.plan.bias.get(name)
        if correction is None:
            return
        if len(conv.input) < 3:
            conv.input.append(f"{name}.bias")
            self.graph.constants[conv.input[2]] = np.zeros(correction.shape, np.float32)
        bias = as_float32(self.graph.constants[conv.input[2]])
        if correction.shape != bias.shape:
            raise ModelError(
                f"bias correction of layer {name!r} has {correction.size} values, "
                f"expected {bias.size}"
            )
        self.graph.constants[conv.input[2]] = bias + correction

    def _scale(self, limit: float | Array, dtype: type | None = None) -> npt.NDArray[np.float32]:
        """The step that maps 0..limit onto the type's positive values; for float16 one that it holds."""
        steps = np.iinfo(dtype or self.dtype).max
        scale = np.asarray(limit, np.float32) / np.float32(steps)
        if self.dtype == np.int8:
            scale = np.maximum(scale, _SMALLEST_HALF).astype(np.float16)
        return np.maximum(scale.astype(np.float32), np.finfo(np.float32).tiny)

    def _pair(
        self, kind: str, source: str, result: str, grid: tuple[str, str], axis: int | None = None
    ) -> None:
        node = helper.make_node(kind, [source, *grid], [result], name=result)
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.graph.nodes.append(node)


def in_pairs(weights: Array) -> Array:
    """The largest magnitude that two neighbours' weights of one sign add up to, (M, C, h, w) -> (M,).

    Neighbours are input channels 2k and 2k + 1 at one tap. On that scale two weights stay within 128 once
    rounded, and with activations of 255 two products within 16 bits: a processor without VNNI adds them
    there (vpmaddubsw) and cuts off what does not fit (docs/decisions/032).
    """
    odd = weights.shape[1] % 2
    padded = np.pad(weights, ((0, 0), (0, odd), (0, 0), (0, 0)))
    sums = [np.maximum(sign * padded, 0) for sign in (1, -1)]
    return np.asarray(np.maximum(*(s[:, ::2] + s[:, 1::2] for s in sums)).max((1, 2, 3)))


def _limit(table: Table, plan: Plan, tensor: str, *, signed: bool) -> float:
    if tensor == INPUT:
        return 1.0
    if tensor not in table.tensors:
        raise ModelError(f"the calibration table has no tensor {tensor!r}: calibrate this model")
    seen = table.tensors[tensor]
    if not signed and seen.min < 0:
        raise ModelError(
            f"tensor {tensor!r} goes down to {seen.min:g}, but the CPU file's uint8 activations "
            "start at 0: it takes networks whose convolutions read what a ReLU made"
        )
    # A percentile may be 0 where nearly all values are.
    return seen.limit(plan.clip) or seen.limit("max")


def _narrowest(graph: Graph, conv: NodeProto) -> int:
    outputs, inputs = graph.constants[conv.input[1]].shape[:2]
    return int(min(outputs, inputs))


def joined(lists: Iterable[Sequence[str]]) -> list[list[str]]:
    """The lists of tensors that share one, joined: they get one scale. In order of first appearance."""
    groups: list[list[str]] = []
    for names in lists:
        touching = [g for g in groups if set(g) & set(names)]
        groups = [g for g in groups if g not in touching]
        groups.append(list(dict.fromkeys([n for g in (*touching, names) for n in g])))
    return groups
