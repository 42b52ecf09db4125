"""A model file as lists that a graph pass can edit: nodes, and constants as arrays.

Every pass of the toolchain takes and returns an `onnx.ModelProto`; inside it works on a `Graph`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from onnx import NodeProto, helper, numpy_helper

from idrn_trt.errors import ModelError, reason_of
from idrn_trt.files import replacing

Array = npt.NDArray[Any]

INPUT, OUTPUT = "lr", "sr"
# ONNX stores a graph of at most 2 GiB; ours have at most some 30 MB of float32 weights.
_LARGEST_FILE = 512 << 20


@dataclass(slots=True)
class Graph:
    """The nodes in order, the constants by name, and the model they came from (ends, opset)."""

    nodes: list[NodeProto]
    constants: dict[str, Array]
    origin: onnx.ModelProto

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Graph:
        """A copy of `model`'s graph. Raises ModelError when it does not have the contract's ends."""
        _check_ends(model)
        nodes = [copy.deepcopy(node) for node in model.graph.node]
        try:
            constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"the model holds a constant that cannot be read: {error}") from error
        graph = cls(nodes, constants, model)
        graph._unshare()
        return graph

    def _unshare(self) -> None:
        """Give each convolution its own weights and bias: exporters merge equal ones into one."""
        taken: set[str] = set()
        for index, conv in enumerate(self.convolutions()):
            for place, name in enumerate(conv.input):
                if name in self.constants and name in taken:
                    conv.input[place] = f"{name}.{index}"
                    self.constants[conv.input[place]] = self.constants[name]
                taken.add(conv.input[place])

    def producer(self, tensor: str) -> NodeProto | None:
        """The node that computes `tensor`; None for the input and for constants."""
        return next((n for n in self.nodes if tensor in n.output), None)

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that read `tensor`, in order."""
        return [n for n in self.nodes if tensor in n.input]

    def only_consumer(self, tensor: str, op_type: str) -> NodeProto | None:
        """The one node that reads `tensor`, when there is just one and it is an `op_type`."""
        readers = self.consumers(tensor)
        sole = len(readers) == 1 and tensor != OUTPUT and readers[0].op_type == op_type
        return readers[0] if sole else None

    def convolutions(self) -> list[NodeProto]:
        """The Conv nodes, in order."""
        return [n for n in self.nodes if n.op_type == "Conv"]

    def model(self, *, opset: int | None = None) -> onnx.ModelProto:
        """A checked model of these nodes (sorted) and of the constants that they use."""
        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(
            _sorted(self.nodes, {INPUT, *self.constants}),
            "idrn",
            list(self.origin.graph.input),
            list(self.origin.graph.output),
            [numpy_helper.from_array(a, n) for n, a in self.constants.items() if n in used],
        )
        version = opset or opset_of(self.origin)
        model = helper.make_model(
            graph,
            producer_name="idrn_trt",
            ir_version=max(self.origin.ir_version, 9 if version >= 19 else 8),
            opset_imports=[helper.make_opsetid("", version)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the default operator set that `model` uses."""
    return next(int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx"))


def layer_name(conv: NodeProto) -> str:
    """A convolution's name in reports and options: its weights' name without ".weight"."""
    return str(conv.input[1]).removesuffix(".weight")


def attribute(node: NodeProto, name: str) -> Any:
    """The value of an attribute, None where the node has none of that name."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def read_model(path: Path) -> onnx.ModelProto:
    """The model in a file. Raises ModelError for a file that is none, or that refers to others.

    Weights outside the file (external data) are refused, wherever their path points.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelError(f"model file {str(path)!r} is above {_LARGEST_FILE >> 20} MiB")
        model = onnx.load_model_from_string(path.read_bytes())
        if any(_is_external(t) for t in model.graph.initializer):
            raise ModelError(
                f"model file {str(path)!r} keeps weights in other files, which is not supported: "
                "export it with the weights inside"
            )
        onnx.checker.check_model(model)
    except OSError as error:
        raise ModelError(f"cannot read model file {str(path)!r}: {reason_of(error)}") from error
    except ModelError:
        raise
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        # The last two: what onnx raises on names that are no UTF-8 and on sizes that do not fit.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{str(path)!r} is not a valid ONNX model: {reason}") from error
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model file all at once. Raises SinkError; an older file then stays as it was."""
    with replacing(path, "model file") as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


def _is_external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) > 0


def _check_ends(model: onnx.ModelProto) -> None:
    constants = {t.name for t in model.graph.initializer}
    ends = ([i.name for i in model.graph.input if i.name not in constants],
            [o.name for o in model.graph.output])  # fmt: skip
    if ends != ([INPUT], [OUTPUT]):
        raise ModelError(f"a model must have input {INPUT!r} and output {OUTPUT!r}, got {ends!r}")
    if any(_is_external(t) for t in model.graph.initializer):
        raise ModelError("the model keeps weights in other files, which is not supported")


def _sorted(nodes: list[NodeProto], known: set[str]) -> list[NodeProto]:
    """Nodes so that each comes after those it reads; otherwise in the order given."""
    known, waiting, done = set(known), list(nodes), []
    while waiting:
        ready = next((n for n in waiting if all(not i or i in known for i in n.input)), None)
        if ready is None:
            raise ModelError(f"node {waiting[0].name!r} reads a tensor that nothing computes")
        waiting.remove(ready)
        done.append(ready)
        known.update(ready.output)
    return done


def as_float32(array: Array) -> npt.NDArray[np.float32]:
    """`array` as float32, the type that every constant of an fp32 model has."""
    return np.asarray(array, np.float32)
