"""Exact rewrites of a float graph that a particular engine runs faster."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper

from idrn_trt.toolchain.graph import OUTPUT, Graph, attribute


def shuffles_by_block(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal model whose inner shuffles are DepthToSpace in DCR mode, the last one left as it is.

    The channels of the convolution before the shuffle change places instead. In channels-last memory,
    which CPU engines use for int8, a DCR shuffle moves whole pixels where a CRD shuffle moves bytes
    (docs/performance.md has the difference). A shuffle that does not follow [ReLU of] a convolution is
    left alone.
    """
    graph = Graph.of(model)
    for node in graph.nodes:
        if node.op_type == "DepthToSpace" and OUTPUT not in node.output:
            _by_block(graph, node)
    return graph.model()


def _by_block(graph: Graph, shuffle: NodeProto) -> None:
    source = graph.producer(shuffle.input[0])
    if source is not None and source.op_type == "Relu":
        source = graph.producer(source.input[0])
    if source is None or source.op_type != "Conv" or attribute(shuffle, "mode") != b"CRD":
        return
    if any(len(graph.consumers(n.output[0])) != 1 for n in (source, shuffle)):
        return
    order = block_order(len(graph.constants[source.input[1]]), int(attribute(shuffle, "blocksize")))
    for name in source.input[1:]:
        graph.constants[name] = np.ascontiguousarray(graph.constants[name][order])
    mode = next(a for a in shuffle.attribute if a.name == "mode")
    mode.CopyFrom(helper.make_attribute("mode", "DCR"))


def block_order(channels: int, r: int) -> npt.NDArray[np.intp]:
    """Which CRD channel (c r^2 + phase) each DCR channel (phase * C + c) is."""
    return np.arange(channels).reshape(channels // r**2, r**2).T.ravel()
