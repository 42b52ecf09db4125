"""Quantisation-aware fine-tuning: the network in training as its int8 file computes it.

The graph that is run is the one that the emitters of `qdq` write, node by node, so that quantisers stand
where the file has them. Activations have the file's scales; weights' scales follow the weights, as in the
quantiser. Rounding has the gradient of the identity, and clipping none outside the range: the
straight-through estimator (Bengio et al. 2013, https://arxiv.org/abs/1308.3432, in quantisation Jacob et
al. 2018, https://arxiv.org/abs/1712.05877, section 3).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import torch
from onnx import NodeProto
from torch import Tensor, nn

from idrn_trt.errors import ModelError
from idrn_trt.options import QatTarget, TrainOptions
from idrn_trt.toolchain.calibrate import activations, model_sha256
from idrn_trt.toolchain.equalise import equalised
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import INPUT, OUTPUT, Graph, attribute, layer_name, read_model
from idrn_trt.toolchain.net import IDRN
from idrn_trt.toolchain.qat_layers import Layer, layers_of
from idrn_trt.toolchain.qdq import int8_cpu, int8_trt
from idrn_trt.toolchain.quantise import fitting_table
from idrn_trt.toolchain.table import Table
from idrn_trt.toolchain.weights import weights_file, weights_of_onnx

Operation = Callable[[nn.Module, Sequence[Tensor]], Tensor]

_EMIT = {"int8-cpu": int8_cpu, "int8-trt": int8_trt}


def read_grid(options: TrainOptions, net: nn.Module) -> Grid | None:
    """The grid that --qat names, for `net`, which started from --init; None without --qat.

    Raises ModelError for an unusable table, and for weights that are not those that it was made for.
    """
    if options.qat is None:
        return None
    assert options.init is not None
    file = weights_file(options.init)
    if file.suffix != ".onnx":
        raise ModelError(
            f"a calibration table is made for an exported model, but --init is {str(file)!r}: export "
            "and quantise it first"
        )
    path = options.qat / "calib.json" if options.qat.is_dir() else options.qat
    table = fitting_table(path, hashlib.sha256(file.read_bytes()).hexdigest())
    model = read_model(file)
    config, _ = weights_of_onnx(model)
    if config != net.config:
        raise ModelError(
            f"the calibration table {str(path)!r} is of {config}, expected {net.config}, the network "
            "that is trained"
        )
    return Grid(net, model, table, options.qat_target)


def deployed(net: nn.Module, grid: Grid | None) -> nn.Module:
    """What a run trains and validates: `net` as its int8 file computes it, or itself without a grid."""
    return net if grid is None else FakeQuantised(net, grid)


class FakeQuantised(nn.Module):
    """`net` with the roundings of `grid`: lr (N, 3, h, w) -> sr (N, 3, s*h, s*w), as the file answers.

    Its parameters are the network's own, in float.
    """

    def __init__(self, net: nn.Module, grid: Grid) -> None:
        super().__init__()
        self.net, self.grid = net, grid

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.grid(self.net, lr)
        return sr


class Grid(nn.Module):
    """Where and in what steps an int8 file rounds: everything of the file but the weights.

    net and model: a network and the fp32 file that was exported from it. table: the calibration of
    that file, with a plan for `target`. digest: the sha256 of the int8 file that they make. Raises
    ModelError where they do not belong together.
    """

    def __init__(
        self, net: nn.Module, model: onnx.ModelProto, table: Table, target: QatTarget
    ) -> None:
        super().__init__()
        plan, factors = table.plans[target], table.factors
        made = _EMIT[target](equalised(model, factors), table, plan)
        graph, self.digest = Graph.of(made), model_sha256(made)
        layers = layers_of(net, model, graph, factors, plan, half=target == "int8-trt")
        self._model, self._table = model, table
        self.layers = nn.ModuleList(layers.values())
        self.steps = [
            _Step(_operation(graph, node, layers), tuple(node.input), node.output[0])
            for node in graph.nodes
            if node.input[0] not in graph.constants  # int8 weights: see Layer
        ]

    def forward(self, net: nn.Module, lr: Tensor) -> Tensor:
        """The picture that `net` gives in int8."""
        values = {INPUT: lr}
        # bfloat16 would round as coarsely as int8 does, in other places.
        with torch.autocast(lr.device.type, enabled=False):
            for step in self.steps:
                read = [values[name] for name in step.reads if name in values]
                values[step.result] = step.operation(net, read)
        return values[OUTPUT]

    def table_of(self, net: IDRN) -> Table:
        """The same ranges, factors and plans, as the calibration of the file that is exported from `net`."""
        last = Graph.of(self._model).producer(OUTPUT)
        model = export_onnx(net, folded=last is not None and last.op_type != "Conv")
        # An exporter of another version may name tensors otherwise, in the same order.
        names = zip(*(activations(Graph.of(m)) for m in (model, self._model)), strict=True)
        tensors = {name: self._table.tensors[before] for name, before in names}
        return dataclasses.replace(self._table, model_sha256=model_sha256(model), tensors=tensors)


@dataclass(frozen=True, slots=True)
class _Step:
    """A node: what it computes from the tensors among `reads`, and the result's name."""

    operation: Operation
    reads: tuple[str, ...]
    result: str


def _operation(graph: Graph, node: NodeProto, layers: dict[str, Layer]) -> Operation:
    if node.op_type == "Conv":
        return partial(_convolution, layers[layer_name(node)])
    if node.op_type == "QuantizeLinear":
        scale, zero = (graph.constants[name] for name in node.input[1:])
        return _rounding(float(scale), zero.dtype)
    if node.op_type == "DepthToSpace":
        r = int(attribute(node, "blocksize"))
        return _crd_shuffle(r) if attribute(node, "mode") == b"CRD" else _dcr_shuffle(r)
    return _PLAIN[node.op_type]


def _convolution(layer: Layer, net: nn.Module, read: Sequence[Tensor]) -> Tensor:
    weights, bias = layer(net)
    return nn.functional.conv2d(read[0], weights, bias, padding=1)


# QuantizeLinear's result is rounded values already. That activations between the int8 parts of the
# TensorRT file are float16 is not imitated: its constants are.
_PLAIN: dict[str, Operation] = {
    "Relu": lambda _, read: torch.relu(read[0]),
    "Add": lambda _, read: read[0] + read[1],
    "Concat": lambda _, read: torch.cat(list(read), dim=1),
    "DequantizeLinear": lambda _, read: read[0],
    "Cast": lambda _, read: read[0],
}


def _rounding(scale: float, dtype: np.dtype[np.integer]) -> Operation:
    """To the grid of an integer type with zero point 0."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return lambda _, read: torch.fake_quantize_per_tensor_affine(
        read[0], scale, 0, int(low), int(high)
    )


def _crd_shuffle(r: int) -> Operation:
    """DepthToSpace of channels that lie as (C, r^2)."""
    return lambda _, read: nn.functional.pixel_shuffle(read[0], r)


def _dcr_shuffle(r: int) -> Operation:
    """DepthToSpace of channels that lie as (r^2, C)."""

    def shuffle(_net: nn.Module, read: Sequence[Tensor]) -> Tensor:
        n, c, h, w = read[0].shape
        by_phase = read[0].reshape(n, r * r, c // r**2, h, w)
        return nn.functional.pixel_shuffle(by_phase.transpose(1, 2).flatten(1, 2), r)

    return shuffle
