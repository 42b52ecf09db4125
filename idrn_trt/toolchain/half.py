"""The graph itself in float16, with float32 ends: TensorRT 11 computes in the types that it reads."""

from __future__ import annotations

from collections.abc import MutableSequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.graph import INPUT, OUTPUT, Graph

LARGEST = float(np.finfo(np.float16).max)


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` computing in float16; its input and output stay float32.

    Raises ModelError for a weight that float16 cannot hold.
    """
    graph = Graph.of(model)
    halve(graph)
    return graph.model()


def halve(graph: Graph) -> None:
    """Make every float32 constant of the graph float16 and cast at its two ends, in place."""
    for name, array in graph.constants.items():
        if array.dtype == np.float32:
            largest = float(np.abs(array).max(initial=0.0))
            if not largest <= LARGEST:  # a NaN must fail too
                raise ModelError(
                    f"constant {name!r} holds {largest!r}, beyond float16's {LARGEST:g}: "
                    "keep this model in float32"
                )
            graph.constants[name] = array.astype(np.float16)
    for node in graph.nodes:
        _rename(node.input, INPUT, f"{INPUT}/half")
        _rename(node.output, OUTPUT, f"{OUTPUT}/half")
    ends = (
        (INPUT, f"{INPUT}/half", TensorProto.FLOAT16),
        (f"{OUTPUT}/half", OUTPUT, TensorProto.FLOAT),
    )
    graph.nodes.extend(
        helper.make_node("Cast", [a], [b], name=f"{b}/cast", to=to) for a, b, to in ends
    )


def _rename(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new
