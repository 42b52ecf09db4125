"""What is seen of every channel over pictures, and how strongly its rounding noise shows in the picture.

For a random vector z of signs the square of d(z . picture) / d(element) is, in the mean over z, the
energy that unit noise in the element puts into the picture: one backward pass a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import NodeProto
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.calibrate import UInt8, activations, planes
from idrn_trt.toolchain.equalise import phases
from idrn_trt.toolchain.graph import INPUT, OUTPUT, Graph, as_float32, attribute


@dataclass(slots=True)
class Channels:
    """Means over pictures for a tensor's channels, each (C,) float32.

    noise: energy in one element of the picture for unit noise in each element of the channel, zero for
    tensors that are not rounded; without what additions pass on, because those read floats.
    """

    mean: Tensor
    square: Tensor
    noise: Tensor

    @property
    def variance(self) -> Tensor:
        """Without the mean, whose part in the noise of weights the bias correction removes."""
        return self.square - self.mean**2

    def add(self, other: Channels, share: float) -> None:
        """Count another picture's figures with a weight of `share`."""
        self.mean = self.mean + share * other.mean
        self.square = self.square + share * other.square
        self.noise = self.noise + share * other.noise


def sensitivities(model: onnx.ModelProto, pictures: Sequence[UInt8]) -> dict[str, Channels]:
    """The channels of every tensor but the image.

    Raises ModelError for an operator or a convolution that is not known.
    """
    graph, seen = Graph.of(model), dict[str, Channels]()
    signs = torch.Generator().manual_seed(0)
    for picture in tqdm(pictures, desc="sensitivities", leave=False, disable=None):
        for name, channels in _of_picture(graph, picture, signs).items():
            if name not in seen:
                zero = torch.zeros_like(channels.mean)
                seen[name] = Channels(zero, zero, zero)
            seen[name].add(channels, 1 / len(pictures))
    return seen


def _of_picture(graph: Graph, picture: UInt8, signs: torch.Generator) -> dict[str, Channels]:
    values, noise = _forward(graph, picture)
    sr = values[OUTPUT]
    z = torch.randint(0, 2, sr.shape, generator=signs) * 2.0 - 1
    gradients = torch.autograd.grad((sr * z).sum(), list(noise.values()))
    by_name = dict(zip(noise, gradients, strict=True))
    return {
        name: _channels(value.detach(), by_name.get(name), sr.numel())
        for name, value in values.items()
        if name != INPUT
    }


def _channels(value: Tensor, gradient: Tensor | None, elements: int) -> Channels:
    others = (0, 2, 3)
    energy = torch.zeros_like(value) if gradient is None else gradient**2
    return Channels(
        value.mean(others),
        (value**2).mean(others),
        energy.sum(others) / elements,
    )


def _forward(graph: Graph, picture: UInt8) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every tensor's value, and the zeros that were added where rounding will add noise."""
    values = {INPUT: torch.from_numpy(planes(picture))}
    rounded = dict(values)
    noise: dict[str, Tensor] = {}
    quantised = set(activations(graph))
    for node in graph.nodes:
        source = values if node.op_type == "Add" else rounded
        name = str(node.output[0])
        values[name] = _computed(graph, node, [source[i] for i in node.input if i in source])
        if node.op_type == "Conv" or name in quantised:
            noise[name] = torch.zeros_like(values[name], requires_grad=True)
        rounded[name] = values[name] + noise[name] if name in noise else values[name]
        if node.op_type == "Conv":  # its weights' noise reaches additions too
            values[name] = rounded[name]
    return values, noise


def _computed(graph: Graph, node: NodeProto, read: Sequence[Tensor]) -> Tensor:
    if node.op_type == "Conv":
        return _convolved(graph, node, read[0])
    if node.op_type == "Relu":
        return read[0].relu()
    if node.op_type == "Add" and len(read) == 2:
        return read[0] + read[1]
    if node.op_type == "Concat":
        return torch.cat(list(read), 1)
    if node.op_type == "DepthToSpace":
        order = phases(node, np.arange(read[0].shape[1])).T.ravel()
        return functional.pixel_shuffle(
            read[0][:, torch.from_numpy(order)], int(attribute(node, "blocksize"))
        )
    raise ModelError(f"operator {node.op_type!r} (node {node.name!r}) is not known to equalisation")


def _convolved(graph: Graph, conv: NodeProto, read: Tensor) -> Tensor:
    pads = attribute(conv, "pads") or [0, 0, 0, 0]
    strides, dilations = (attribute(conv, a) or [1, 1] for a in ("strides", "dilations"))
    if pads[:2] != pads[2:] or dilations != [1, 1]:
        raise ModelError(
            f"convolution {conv.name!r} has pads {pads} and dilations {dilations}: equalisation takes "
            "equal pads on both sides and no dilation"
        )
    weights, *bias = (torch.tensor(as_float32(graph.constants[name])) for name in conv.input[1:])
    return functional.conv2d(
        read, weights, bias[0] if bias else None, stride=tuple(strides), padding=tuple(pads[:2])
    )
