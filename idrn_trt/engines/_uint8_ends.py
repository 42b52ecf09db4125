"""The uint8 NHWC ends of a network, put around a model file without the onnx package.

A GPU's owner has TensorRT but not necessarily `onnx`; and what is written here is run by ONNX Runtime
in the tests, where an edit through TensorRT's network API could be run by nobody without a GPU
(docs/decisions/018). Only the outermost messages are rewritten: the model's nodes and weights are
passed on byte for byte. Field numbers are those of onnx.proto, the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from idrn_trt.engines._onnx_file import message_fields
from idrn_trt.errors import ModelError

INPUT, OUTPUT = "lr_uint8", "sr_uint8"

# From here on Clip takes its bounds as inputs and Round exists:
# https://github.com/onnx/onnx/blob/main/docs/Changelog.md
_OLDEST_OPSET = 11
_FLOAT, _UINT8 = 1, 2  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType

Value = int | bytes | memoryview


@dataclass(slots=True)
class _Parts:
    """A model file taken apart. The lists hold whole messages, ready to be written again."""

    ir_version: int = 0
    opsets: list[memoryview] = field(default_factory=list)
    name: bytes = b"idrn"
    nodes: list[memoryview] = field(default_factory=list)
    initialisers: list[memoryview] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[tuple[bytes, int]] = field(default_factory=list)  # name, number of axes


def with_uint8_ends(data: bytes, shape: Sequence[int | None] = (None, None, None)) -> bytes:
    """The model in `data` with uint8 NHWC ends: INPUT (N, h, w, 3) -> OUTPUT (N, s*h, s*w, 3).

    shape: N, h and w where they are fixed, None where they vary. The input is scaled by 1/255; the
    output is scaled by 255, clipped to 0..255 and rounded to the nearest level, halves to even. A cast
    stands at each very end, as TensorRT allows nothing else to touch uint8. Shapes stated for inner
    tensors are dropped. Raises ModelError unless the model has one input and one output and an
    operator set of 11 or newer.
    """
    parts = _take_apart(data)
    _check_opset(parts.opsets)
    lr, sr = _ends(parts)
    body = [*_entry(lr), *(_field(1, node) for node in parts.nodes), *_exit(sr)]
    constants = {_UNIT: 1 / 255, _BOTTOM: 0.0, _TOP: 255.0}
    outputs = [_value_info(OUTPUT, [None, None, None, 3])]
    return _put_together(parts, body, constants, _value_info(INPUT, [*shape, 3]), outputs)


def with_uint8_input(data: bytes, outputs: Sequence[str], unit: float) -> bytes:
    """The model in `data` with the input INPUT uint8 (1, h, w, 3), h and w of any size, and these outputs.

    unit: what a level is multiplied by. The outputs stay float32 as they are, in this order; others are
    left out. A size that the file states for its input or outputs is dropped, so the model must be one
    that takes any. Raises ModelError unless it has one input, these outputs and an operator set of 11 or
    newer.
    """
    parts = _take_apart(data)
    _check_opset(parts.opsets)
    body = [*_entry(_only_input(parts)), *(_field(1, node) for node in parts.nodes)]
    ranks = dict(parts.outputs)
    if missing := {name for name in outputs if name.encode() not in ranks}:
        raise ModelError(f"the model has no output {min(missing)!r}")
    ends = [_value_info(name, [None] * ranks[name.encode()], _FLOAT) for name in outputs]
    return _put_together(parts, body, {_UNIT: unit}, _value_info(INPUT, [1, None, None, 3]), ends)


def _put_together(
    parts: _Parts,
    nodes: Iterable[bytes],
    constants: dict[bytes, float],
    source: bytes,
    outputs: Iterable[bytes],
) -> bytes:
    """The model file: `nodes` as fields of the graph, the ends as ValueInfoProto."""
    graph = [
        *nodes,
        _field(2, parts.name),
        *(_field(5, tensor) for tensor in parts.initialisers),
        *(_field(5, _constant(name, value)) for name, value in constants.items()),
        _field(11, source),
        *(_field(12, output) for output in outputs),
    ]
    model = [
        _field(1, parts.ir_version),
        _field(7, b"".join(graph)),
        *(_field(8, opset) for opset in parts.opsets),
    ]
    return b"".join(model)


def _take_apart(data: bytes) -> _Parts:
    parts = _Parts()
    try:
        for number, value in message_fields(memoryview(data)):
            if number == 1 and isinstance(value, int):
                parts.ir_version = value
            elif isinstance(value, memoryview):
                if number == 7:
                    _take_graph_apart(value, parts)
                elif number == 8:
                    parts.opsets.append(value)
    except IndexError:
        raise ModelError("not ONNX, or truncated") from None
    return parts


def _take_graph_apart(graph: memoryview, parts: _Parts) -> None:
    for number, value in message_fields(graph):
        if isinstance(value, int):
            continue
        if number == 1:
            parts.nodes.append(value)
        elif number == 2:
            parts.name = bytes(value)
        elif number == 5:
            parts.initialisers.append(value)
        elif number == 11:
            parts.inputs.append(_content(value, 1))
        elif number == 12:
            parts.outputs.append((_content(value, 1), _rank(value)))


def _content(message: memoryview, wanted: int) -> bytes:
    """A text in a message, b"" where it has none of that number."""
    values = (v for number, v in message_fields(message) if number == wanted)
    return b"".join(bytes(v) for v in values if not isinstance(v, int))


def _rank(value_info: memoryview) -> int:
    """How many axes a ValueInfoProto states: the dimensions in its type's tensor type's shape."""
    messages = [value_info]
    for wanted in (2, 1, 2, 1):
        messages = [
            value
            for message in messages
            for number, value in message_fields(message)
            if number == wanted and not isinstance(value, int)
        ]
    return len(messages)


def _check_opset(opsets: Iterable[memoryview]) -> None:
    for opset in opsets:
        version = [v for number, v in message_fields(opset) if number == 2 and isinstance(v, int)]
        if _content(opset, 1) in {b"", b"ai.onnx"} and version and version[0] < _OLDEST_OPSET:
            raise ModelError(
                f"the model uses operator set {version[0]}, expected {_OLDEST_OPSET} or newer"
            )


def _ends(parts: _Parts) -> tuple[bytes, bytes]:
    if len(parts.outputs) != 1:
        raise ModelError(f"the model has {len(parts.outputs)} outputs, expected one")
    return _only_input(parts), parts.outputs[0][0]


def _only_input(parts: _Parts) -> bytes:
    # Older files list their weights among the inputs too.
    weights = {_content(tensor, 8) for tensor in parts.initialisers}
    inputs = [name for name in parts.inputs if name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"the model has {len(inputs)} inputs, expected one")
    return inputs[0]


def _entry(lr: bytes) -> list[bytes]:
    floats, scaled = (f"{INPUT}.{step}".encode() for step in ("float", "scaled"))
    return [
        _node("Cast", [INPUT.encode()], floats, _integer("to", _FLOAT)),
        _node("Mul", [floats, _UNIT], scaled),
        _node("Transpose", [scaled], lr, _integers("perm", (0, 3, 1, 2))),
    ]


def _exit(sr: bytes) -> list[bytes]:
    scaled, clipped, rounded, rows = (
        f"{OUTPUT}.{step}".encode() for step in ("scaled", "clipped", "rounded", "rows")
    )
    return [
        _node("Mul", [sr, _TOP], scaled),
        _node("Clip", [scaled, _BOTTOM, _TOP], clipped),
        _node("Round", [clipped], rounded),
        _node("Transpose", [rounded], rows, _integers("perm", (0, 2, 3, 1))),
        _node("Cast", [rows], OUTPUT.encode(), _integer("to", _UINT8)),
    ]


_UNIT, _BOTTOM, _TOP = (f"{INPUT}.{what}".encode() for what in ("unit", "bottom", "top"))


def _constant(name: bytes, value: float) -> bytes:
    return _field(2, _FLOAT) + _field(8, name) + _field(9, struct.pack("<f", value))


def _value_info(name: str, shape: Sequence[int | None], kind: int = _UINT8) -> bytes:
    """An end; an axis of None gets a name, which makes it dynamic."""
    axes = (
        _field(2, f"{name}.{axis}".encode()) if size is None else _field(1, size)
        for axis, size in enumerate(shape)
    )
    tensor = _field(1, kind) + _field(2, b"".join(_field(1, axis) for axis in axes))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _node(kind: str, inputs: Iterable[bytes], output: bytes, attribute: bytes = b"") -> bytes:
    """A node as a field of the graph, named after its output."""
    body = [_field(1, name) for name in inputs]
    body += [_field(2, output), _field(3, output), _field(4, kind.encode()), attribute]
    return _field(1, b"".join(body))


def _integer(name: str, value: int) -> bytes:
    return _field(5, _field(1, name.encode()) + _field(3, value) + _field(20, _INT))


def _integers(name: str, values: Iterable[int]) -> bytes:
    listed = b"".join(_field(8, value) for value in values)
    return _field(5, _field(1, name.encode()) + listed + _field(20, _INTS))


def _field(number: int, value: Value) -> bytes:
    """One protobuf field: a number as a varint, anything else with its length before it."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + bytes(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
