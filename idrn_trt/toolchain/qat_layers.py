"""A convolution's weights on their way from the network in training into an int8 file, with gradients.

The exporter and the quantiser work on arrays: they fold the tail, divide channels by their factors, put
channels in another order, correct biases and round. This does the same to tensors that are trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.equalise import equalised
from idrn_trt.toolchain.graph import Array, Graph, layer_name
from idrn_trt.toolchain.qdq import in_pairs
from idrn_trt.toolchain.rewrite import shuffles_by_block
from idrn_trt.toolchain.table import Plan

Float32 = npt.NDArray[np.float32]

_LEVELS = 127
_SMALLEST_HALF = float(np.finfo(np.float16).tiny)


class Layer(nn.Module):
    """What happens to the weights and bias of the convolution `name`: (M, C, 3, 3) and (M,) in the file.

    fold: the factor of the shuffle that the layer was folded through, 1 for none. gains: what
    equalisation multiplies the weights by, (M, C). factors: what it divides the bias by, (M,). order:
    which output channel each one of the int8 file is, (M,). correction: what is added to the bias, (M,),
    in that order. rounded: whether the weights are int8. half: whether all else is float16.
    """

    gains: Tensor
    factors: Tensor
    order: Tensor
    correction: Tensor

    def __init__(self, name: str, *, fold: int, rounded: bool, half: bool, **arrays: Array) -> None:
        super().__init__()
        self.name, self.fold, self.rounded, self.half_floats = name, fold, rounded, half
        for key, array in arrays.items():
            self.register_buffer(key, torch.from_numpy(np.array(array)), persistent=False)

    def forward(self, net: nn.Module) -> tuple[Tensor, Tensor]:
        """The weights and the bias with the values that they have in the file."""
        weights: Tensor = net.get_parameter(f"{self.name}.weight")
        bias: Tensor = net.get_parameter(f"{self.name}.bias")
        if self.fold > 1:
            weights, bias = folded(weights, self.fold), bias.repeat_interleave(self.fold**2)
        # index_select, whose gradient has one order of additions on any number of threads.
        weights = (weights * self.gains[:, :, None, None]).index_select(0, self.order)
        bias = (bias / self.factors).index_select(0, self.order) + self.correction
        if self.rounded:
            weights = self._rounded(weights)
        elif self.half_floats:
            weights = _as_half(weights)
        return weights, _as_half(bias) if self.half_floats else bias

    def scales(self, weights: Tensor) -> Tensor:
        """The step of each output channel, (M,), taken from the weights as the quantiser does."""
        own = weights.detach()
        if self.half_floats:
            scales = own.abs().amax((1, 2, 3)) / _LEVELS
            scales = scales.clamp(min=_SMALLEST_HALF).half().float()
        else:
            scales = torch.from_numpy(in_pairs(own.cpu().numpy())).to(own) / _LEVELS
        return scales.clamp(min=torch.finfo(torch.float32).tiny)

    def _rounded(self, weights: Tensor) -> Tensor:
        scales = self.scales(weights)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weights, scales, zeros, 0, -_LEVELS, _LEVELS)


def layers_of(
    net: nn.Module,
    model: onnx.ModelProto,
    made: Graph,
    factors: Mapping[str, Float32],
    plan: Plan,
    *,
    half: bool,
) -> dict[str, Layer]:
    """For each convolution of `made`, the int8 form of `model`, how its weights come from `net`'s.

    factors and plan: those that it was made with. half: whether it is the TensorRT file. Raises
    ModelError when `model` is not `net`'s file.
    """
    probe = Graph.of(model)
    stored = {layer_name(c): _demand_layer(net, probe, c) for c in probe.convolutions()}
    for conv in probe.convolutions():
        weights, bias = conv.input[1:]
        probe.constants[weights] = np.ones_like(probe.constants[weights])
        probe.constants[bias] = np.arange(len(probe.constants[bias]), dtype=np.float32)
    gains = Graph.of(equalised(probe.model(), factors)).constants
    order = (probe if half else Graph.of(shuffles_by_block(probe.model()))).constants
    rounded = {layer_name(c) for c in made.convolutions() if made.producer(c.input[1])}
    return {
        name: Layer(
            name,
            fold=math.isqrt(size // len(net.get_parameter(f"{name}.bias"))),
            rounded=name in rounded,
            half=half,
            gains=gains[f"{name}.weight"][:, :, 0, 0],
            factors=factors.get(name, np.ones(size, np.float32)),
            order=order[f"{name}.bias"].astype(np.int64),
            correction=plan.bias.get(name, np.zeros(size, np.float32)),
        )
        for name, size in stored.items()
    }


def folded(kernel: Tensor, r: int) -> Tensor:
    """fold.folded_kernel for a tensor with a gradient: (M, C, 3, 3) -> (M r^2, C r^2, 3, 3).

    On the grid of sub-pixels of 3x3 low-resolution pixels, output phase (a, b) has the kernel at (r + a - 1,
    r + b - 1).
    """
    m, c = kernel.shape[:2]
    places = [
        nn.functional.pad(kernel, (r + b - 1, 2 * r - 2 - b, r + a - 1, 2 * r - 2 - a))
        for a in range(r)
        for b in range(r)
    ]
    grid = torch.stack(places, 1).reshape(m * r * r, c, 3, r, 3, r)
    return grid.permute(0, 1, 3, 5, 2, 4).reshape(m * r * r, c * r * r, 3, 3)


def _as_half(values: Tensor) -> Tensor:
    """Rounded to float16, with the gradient of the identity."""
    return values + (values.half().float() - values).detach()


def _demand_layer(net: nn.Module, graph: Graph, conv: onnx.NodeProto) -> int:
    """The number of output channels in the file of a layer that `net` has too."""
    name, parameters = layer_name(conv), dict(net.named_parameters())
    known = list(conv.input[1:]) == [f"{name}.weight", f"{name}.bias"]
    if not known or not parameters.keys() >= set(conv.input[1:]):
        raise ModelError(
            f"layer {name!r} of the model file is none of the network's with weights and bias of its "
            "own: expected the file that was exported from these weights"
        )
    return len(graph.constants[conv.input[1]])
