"""An ONNX file looked at before any backend reads it, without the onnx package.

Backends follow external-data paths even when they are given bytes (OpenVINO 2026.4 and ONNX Runtime
1.32 both read files below the working directory), and none minds a NaN. So the file's protobuf is
walked once here. Field numbers are those of onnx.proto (ONNX IR version 3 and later), the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from idrn_trt.errors import ModelError
from idrn_trt.types import Precision
from idrn_trt.zoo import Model

# Which of a model's files a precision may be computed from, the preferred one first.
FLOAT_FILES = ("fp32", "fp16")

_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType -> numpy
_UINT8, _FLOAT16, _BFLOAT16 = 2, 10, 16
# What no super-resolution graph needs; left out, the walk has a fixed depth.
_REFUSED_IN_MODEL = {20: "training information", 25: "local functions"}
_REFUSED_IN_GRAPH = {15: "sparse tensors"}
_REFUSED_IN_ATTRIBUTE = {6: "subgraphs", 10: "lists of tensors", 11: "subgraphs"} | dict.fromkeys(
    (22, 23), "sparse tensors"
)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file's verified bytes and what they were seen to be: fp32, fp16, int8-cpu or int8-trt."""

    data: bytes
    sha256: str
    kind: str


def load_onnx(model: Model, kinds: tuple[str, ...]) -> OnnxFile:
    """The first file of these kinds that the model has, verified and looked at.

    Raises ModelError: none there, altered, not what the manifest says, or unfit (see `inspect_onnx`).
    """
    if "bare" in model.files:
        named = "bare"
    else:
        usable = [kind for kind in kinds if model.has(kind)]
        named = next(iter([*usable, *(kind for kind in kinds if kind in model.files)]), kinds[0])
    data = model.read(named)
    path = model.folder / model.files[named].path
    try:
        kind = inspect_onnx(data)
    except ModelError as error:
        raise ModelError(f"model file {str(path)!r}: {error}") from error
    if kind not in kinds or named not in {"bare", kind}:
        expected = named if named != "bare" else " or ".join(kinds)
        raise ModelError(f"model file {str(path)!r} is {kind}, expected {expected}")
    return OnnxFile(data, hashlib.sha256(data).hexdigest(), kind)


def kinds_here(model: Model) -> set[str]:
    """The kinds of files of that model that are there. Raises ModelError for a bad bare file."""
    if "bare" in model.files:
        return {load_onnx(model, (*FLOAT_FILES, "int8-cpu", "int8-trt")).kind}
    return {kind for kind in model.files if model.has(kind)}


def precisions_from(kinds: set[str], files: dict[Precision, tuple[str, ...]]) -> list[Precision]:
    """The precisions that these kinds of files allow, in the order of `files`."""
    return [precision for precision, needed in files.items() if kinds.intersection(needed)]


@dataclass(slots=True)
class _Graph:
    tensor_types: dict[bytes, int] = field(default_factory=dict)  # initialisers and constants
    quantisers: list[list[bytes]] = field(default_factory=list)  # inputs of each QuantizeLinear


def inspect_onnx(data: bytes) -> str:
    """The kind of file these bytes are.

    Raises ModelError: not ONNX, weights outside the file, a weight that is NaN or infinite, or
    constructions that the model file contract has no use for.
    """
    graph = _Graph()
    found = False
    try:
        for number, value in message_fields(memoryview(data)):
            _refuse(number, _REFUSED_IN_MODEL)
            if number == 7:
                found = True
                _walk_graph(_message(value), graph)
    except IndexError:
        raise ModelError("not ONNX, or truncated") from None
    if not found:
        raise ModelError("not ONNX: it holds no graph")
    return _kind(graph)


def _kind(graph: _Graph) -> str:
    activations = [inputs for inputs in graph.quantisers if inputs[0] not in graph.tensor_types]
    if not activations:
        return "fp16" if _FLOAT16 in graph.tensor_types.values() else "fp32"
    unsigned = all(len(i) > 2 and graph.tensor_types.get(i[2]) == _UINT8 for i in activations)
    return "int8-cpu" if unsigned else "int8-trt"


def _walk_graph(message: memoryview, graph: _Graph) -> None:
    for number, value in message_fields(message):
        _refuse(number, _REFUSED_IN_GRAPH)
        if number == 1:
            _walk_node(_message(value), graph)
        elif number == 5:
            name, kind = _check_tensor(_message(value))
            graph.tensor_types[name] = kind
        elif number == 2:
            _text(value)
        elif number in {11, 12, 13}:  # inputs, outputs and others with a stated shape
            for part, content in message_fields(_message(value)):
                if part == 1:
                    _text(content)


def _walk_node(message: memoryview, graph: _Graph) -> None:
    inputs: list[bytes] = []
    outputs: list[bytes] = []
    operator = b""
    constant = None
    for number, value in message_fields(message):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operator = _text(value)
        elif number in {3, 7}:  # its name, its operator's domain
            _text(value)
        elif number == 5:
            found = _walk_attribute(_message(value))
            constant = found if found is not None else constant
    if operator == b"Constant" and outputs and constant is not None:
        graph.tensor_types[outputs[0]] = constant
    if operator == b"QuantizeLinear" and inputs:
        graph.quantisers.append(inputs)


def _walk_attribute(message: memoryview) -> int | None:
    """The element type of the tensor in an attribute, None where there is none."""
    kind = None
    for number, value in message_fields(message):
        _refuse(number, _REFUSED_IN_ATTRIBUTE)
        if number == 1:
            _text(value)
        elif number == 5:
            _, kind = _check_tensor(_message(value))
    return kind


def _check_tensor(message: memoryview) -> tuple[bytes, int]:
    """(name, element type) of a TensorProto whose values are in the file and finite."""
    name = b""
    kind = 0
    parts: dict[int, list[memoryview]] = {}
    for number, value in message_fields(message):
        if number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 13 or (number == 14 and value != 0):
            raise ModelError("weights outside the file (ONNX external data) are refused")
        elif number in {4, 5, 9, 10} and isinstance(value, memoryview):
            parts.setdefault(number, []).append(value)
    stored = {4: "<f4", 10: "<f8", 9: _FLOATS.get(kind, "u1")}
    for number, chunks in parts.items():
        for chunk in chunks:
            if not _finite(chunk, kind, stored.get(number)):
                raise ModelError(f"tensor {ascii(name)[1:]} holds NaN, infinite or cut-off values")
    return name, kind


def _finite(chunk: memoryview, kind: int, dtype: str | None) -> bool:
    """Whether the values are finite and whole; dtype None: 16-bit floats or integers as varints."""
    if kind in {_FLOAT16, _BFLOAT16} and dtype in {None, "u1"}:
        if dtype is not None and len(chunk) % 2:
            return False
        bits = (
            np.fromiter(_varints(chunk), np.uint16)
            if dtype is None
            else np.frombuffer(chunk, "<u2")
        )
        exponent = 0x7C00 if kind == _FLOAT16 else 0x7F80
        return bool(((bits & exponent) != exponent).all())
    if dtype is None:
        return True
    if len(chunk) % np.dtype(dtype).itemsize:
        return False
    return bool(np.isfinite(np.frombuffer(chunk, dtype)).all())


def _refuse(number: int, refused: dict[int, str]) -> None:
    if number in refused:
        raise ModelError(f"{refused[number]} are not part of the model file contract")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ModelError("not ONNX: a number where text or a message belongs")
    return value


def _text(value: int | memoryview) -> bytes:
    """A name. Backends trip over one that is not UTF-8."""
    text = bytes(_message(value))
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelError(f"not ONNX: name {ascii(text)[1:]:.60} is not UTF-8") from None
    return text


def message_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and content: an integer, or the bytes of anything else.

    Raises IndexError at a cut-off end, ModelError for what protobuf does not allow.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise ModelError(f"not ONNX: wire type {wire}")
        if size > len(message) - at:
            raise IndexError
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """(value, place after it) of the base-128 number at `at`."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ModelError("not ONNX: a number of more than 64 bits")


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value & 0xFFFF
