"""Cross-channel equalisation: an exact rewrite after which one int8 scale fits every channel.

All channels of an activation share a scale, so the channel with the largest values sets the rounding
noise of all. ReLU commutes with positive factors: a channel may be divided by one where it is made, and
the weights that read it multiplied by the same (Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.1). Channels that meet in an addition share their factor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.graph import INPUT, OUTPUT, Array, Graph, as_float32, attribute, layer_name

Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.intp]

_COLOURS = 3


def equalised(model: onnx.ModelProto, factors: Mapping[str, Float32]) -> onnx.ModelProto:
    """An equal model in which the output channels of each layer are divided by its factors.

    factors: layer -> (M,) float32, positive; a layer that is not named keeps its channels. Raises
    ModelError for a layer that does not exist, for a wrong number of factors, and for factors that
    differ where channels meet or at the picture.
    """
    if not factors:
        return model
    graph = Graph.of(model)
    names = [layer_name(c) for c in graph.convolutions()]
    if unknown := sorted(set(factors) - set(names)):
        raise ModelError(f"factors for {unknown[0]!r}, but the model has {', '.join(names)}")
    _flow(graph, lambda conv, read: _scaled(graph, conv, read, factors), _agreed, np.float32(1))
    return graph.model()


def channel_groups(model: onnx.ModelProto) -> dict[str, Ids]:
    """For each tensor the group of each channel, (C,): channels of one group share their factor.

    Group 0 must keep the factor 1: it holds the channels of the image and of the picture.
    """
    graph, groups = Graph.of(model), _Groups()
    made = _flow(
        graph,
        lambda conv, _: groups.fresh(len(graph.constants[conv.input[1]])),
        groups.joined,
        np.intp(0),
    )
    return {name: groups.roots(ids) for name, ids in made.items()}


def phases(shuffle: NodeProto, channels: Array) -> Array:
    """What a DepthToSpace makes of its channels: (C r^2,) -> (r^2, C), one row for each sub-pixel."""
    area = int(attribute(shuffle, "blocksize")) ** 2
    if attribute(shuffle, "mode") == b"CRD":
        return channels.reshape(-1, area).T
    return channels.reshape(area, -1)


def _flow(
    graph: Graph,
    made: Callable[[NodeProto, Array], Array],
    merged: Callable[[Array, Array], Array],
    ends: np.generic,
) -> dict[str, Array]:
    """One value a channel for every tensor, from the image to the picture.

    made: the values behind a convolution, from those that it reads. merged: the values where channels
    meet. ends: the value of the image's channels, with which those of the picture are merged.
    """
    known: dict[str, Array] = {INPUT: np.full(_COLOURS, ends)}
    for node in graph.nodes:
        read = [known[name] for name in node.input if name in known]
        if node.op_type == "Conv":
            _check_channels(graph, node, len(read[0]))
            result = made(node, read[0])
        elif node.op_type in _PASSED:
            result = reduce(merged, _PASSED[node.op_type](node, read))
        else:
            raise ModelError(
                f"operator {node.op_type!r} (node {node.name!r}) is not known to equalisation, "
                f"which knows Conv, {', '.join(_PASSED)}"
            )
        known[node.output[0]] = result
    merged(np.full_like(known[OUTPUT], ends), known[OUTPUT])
    return known


# Operator -> the rows of channels that meet in each channel of its result.
_PASSED: dict[str, Callable[[NodeProto, Sequence[Array]], Sequence[Array]]] = {
    "Relu": lambda _, read: read,
    "Add": lambda _, read: read,
    "Concat": lambda _, read: [np.concatenate(read)],
    "DepthToSpace": lambda node, read: list(phases(node, read[0])),
}


def _check_channels(graph: Graph, conv: NodeProto, channels: int) -> None:
    weights = graph.constants[conv.input[1]]
    if weights.ndim != 4 or weights.shape[1] != channels:
        raise ModelError(
            f"layer {layer_name(conv)!r} has weights of shape {weights.shape} for {channels} "
            "channels: equalisation takes two-dimensional convolutions without groups"
        )


def _scaled(
    graph: Graph, conv: NodeProto, read: Float32, factors: Mapping[str, Float32]
) -> Float32:
    """Divide a layer's rows by its own factors, multiply its columns by those of what it reads."""
    name = layer_name(conv)
    weights = as_float32(graph.constants[conv.input[1]])
    own = factors.get(name, np.ones(len(weights), np.float32))
    if own.shape != weights.shape[:1]:
        raise ModelError(f"layer {name!r} has {own.size} factors, expected {len(weights)}")
    graph.constants[conv.input[1]] = weights * (read[None, :] / own[:, None])[:, :, None, None]
    if len(conv.input) > 2:
        graph.constants[conv.input[2]] = as_float32(graph.constants[conv.input[2]]) / own
    return own


def _agreed(first: Float32, second: Float32) -> Float32:
    if not np.array_equal(first, second):
        raise ModelError("the factors of channels that meet in an addition or a shuffle differ")
    return first


class _Groups:
    """Disjoint sets of channels; 0 is one from the start, and the root of a set is its least."""

    def __init__(self) -> None:
        self._parents = [0]

    def fresh(self, count: int) -> Ids:
        """Channels that are alone so far."""
        ids = range(len(self._parents), len(self._parents) + count)
        self._parents.extend(ids)
        return np.array(ids, np.intp)

    def joined(self, first: Ids, second: Ids) -> Ids:
        """`first`, after each of its channels was put into one set with its partner."""
        for a, b in zip(self.roots(first), self.roots(second), strict=True):
            low, high = sorted((self._root(int(a)), self._root(int(b))))
            self._parents[high] = low
        return first

    def roots(self, ids: Ids) -> Ids:
        """The set of each channel."""
        return np.array([self._root(int(i)) for i in ids], np.intp)

    def _root(self, i: int) -> int:
        while self._parents[i] != i:
            i = self._parents[i]
        return i
