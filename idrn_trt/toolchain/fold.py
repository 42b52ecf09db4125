"""The sub-pixel fold: the last convolution moves in front of the last shuffle, exactly.

conv3x3(shuffle(z)) = shuffle(conv3x3'(z)): output phase (a, b) of the folded convolution takes tap (i, j)
of the original from sub-pixel ((a+i-1) mod r, (b+j-1) mod r) at the low-resolution offset
(floor((a+i-1)/r), floor((b+j-1)/r)). Zero padding carries over, because the sub-pixels outside the picture
belong to low-resolution pixels outside it. The 3-channel convolution then leaves the full-resolution grid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto

from idrn_trt.toolchain.graph import OUTPUT, Array, Graph, as_float32, attribute


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal model with the last sub-pixel stage folded, and every ReLU before its shuffle.

    A model that ends otherwise than in DepthToSpace (CRD), [Relu,] 3x3 Conv keeps its end: direct
    reconstruction has nothing to fold, and folding twice is folding once. Only the last stage is
    folded: for an earlier one the work would grow r^2-fold. Raises ModelError for foreign ends.
    """
    graph = Graph.of(model)
    for node in [n for n in graph.nodes if n.op_type == "DepthToSpace"]:
        _relu_before(graph, node)
    tail = graph.producer(OUTPUT)
    if tail is not None and tail.op_type == "Conv":
        shuffle = graph.producer(tail.input[0])
        if shuffle is not None and _foldable(graph, shuffle, tail):
            _fold_tail(graph, shuffle, tail)
    return graph.model()


def folded_kernel(kernel: Array, r: int) -> npt.NDArray[np.float32]:
    """(M, C, 3, 3) at full resolution -> (M r^2, C r^2, 3, 3) before a CRD shuffle of factor r."""
    m, c = kernel.shape[:2]
    out = np.zeros((m, r, r, c, r, r, 3, 3), np.float32)
    for a in range(r):
        for b in range(r):
            for i in range(3):
                for j in range(3):
                    dy, pa = divmod(a + i - 1, r)
                    dx, pb = divmod(b + j - 1, r)
                    out[:, a, b, :, pa, pb, dy + 1, dx + 1] = kernel[:, :, i, j]
    return out.reshape(m * r * r, c * r * r, 3, 3)


def _relu_before(graph: Graph, shuffle: NodeProto) -> None:
    """shuffle, ReLU becomes ReLU, shuffle: the same values, and ReLU can fuse with the convolution."""
    relu = graph.only_consumer(shuffle.output[0], "Relu")
    if relu is None:
        return
    before, between, after = shuffle.input[0], shuffle.output[0], relu.output[0]
    relu.input[0], relu.output[0] = before, between
    shuffle.input[0], shuffle.output[0] = between, after


def _foldable(graph: Graph, shuffle: NodeProto, tail: NodeProto) -> bool:
    kernel = graph.constants.get(tail.input[1])
    return (
        shuffle.op_type == "DepthToSpace"
        and attribute(shuffle, "mode") == b"CRD"
        and graph.only_consumer(shuffle.output[0], "Conv") is not None
        and kernel is not None
        and kernel.shape[2:] == (3, 3)
        and attribute(tail, "pads") == [1, 1, 1, 1]
        and (attribute(tail, "strides") or [1, 1]) == [1, 1]
        and (attribute(tail, "dilations") or [1, 1]) == [1, 1]
        and (attribute(tail, "group") or 1) == 1
    )


def _fold_tail(graph: Graph, shuffle: NodeProto, tail: NodeProto) -> None:
    r = int(attribute(shuffle, "blocksize"))
    graph.constants[tail.input[1]] = folded_kernel(as_float32(graph.constants[tail.input[1]]), r)
    if len(tail.input) > 2:
        bias = as_float32(graph.constants[tail.input[2]])
        graph.constants[tail.input[2]] = np.repeat(bias, r * r)
    before, between = shuffle.input[0], shuffle.output[0]
    tail.input[0], tail.output[0] = before, between
    shuffle.input[0], shuffle.output[0] = between, OUTPUT
