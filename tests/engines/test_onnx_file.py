"""What is found out about an ONNX file before a backend sees it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from make_models import halved, pointwise, quantised, tiny, with_external_weight, write_folder
from onnx import TensorProto, helper, numpy_helper

from idrn_trt.engines._onnx_file import inspect_onnx, load_onnx
from idrn_trt.errors import ModelError
from idrn_trt.zoo import find_model

KINDS = {
    "fp32": tiny,
    "fp16": lambda: halved(tiny()),
    "int8-cpu": lambda: quantised(tiny()),
    "int8-trt": lambda: quantised(tiny(), signed=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str) -> None:
    """The kind is read from the weights' and zero points' types."""
    assert inspect_onnx(KINDS[kind]().SerializeToString()) == kind


def test_an_unstated_zero_point_counts_as_signed() -> None:
    """A quantiser whose zero point is not there to see is not taken for an unsigned one."""
    model = quantised(tiny())
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            del node.input[2]
    assert inspect_onnx(model.SerializeToString()) == "int8-trt"


def test_zero_points_in_constant_nodes() -> None:
    """A zero point given by a Constant node is seen like an initialiser."""
    model = quantised(tiny())
    zero = next(w for w in model.graph.initializer if w.name == "zero")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["zero"], value=zero))
    model.graph.initializer.remove(zero)
    assert inspect_onnx(model.SerializeToString()) == "int8-cpu"


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd"])
def test_external_data_is_refused(location: str) -> None:
    """Weights outside the file are refused wherever they are said to be."""
    model = with_external_weight(tiny(), "tail.weight", location)
    with pytest.raises(ModelError, match="external data"):
        inspect_onnx(model.SerializeToString())


def test_external_data_in_a_constant_node_is_refused() -> None:
    """The check reaches tensors that are attributes."""
    model = with_external_weight(tiny(), "tail.weight", "weights.bin")
    tensor = next(w for w in model.graph.initializer if w.name == "tail.weight")
    node = helper.make_node("Constant", [], ["tail.weight"])
    attribute = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(tensor)
    node.attribute.append(attribute)
    model.graph.node.insert(0, node)
    model.graph.initializer.remove(tensor)
    with pytest.raises(ModelError, match="external data"):
        inspect_onnx(model.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (TensorProto.FLOAT, True),
        (TensorProto.FLOAT, False),
        (TensorProto.FLOAT16, True),
        (TensorProto.FLOAT16, False),
        (TensorProto.BFLOAT16, True),
        (TensorProto.BFLOAT16, False),
        (TensorProto.DOUBLE, True),
        (TensorProto.DOUBLE, False),
    ],
)
def test_values_that_are_no_numbers_in_every_storage(kind: int, *, raw: bool) -> None:
    """NaN and infinity are found in each float type and each field ONNX has for values."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    for value, fits in ((1.5, True), (-0.0, True), (np.nan, False), (-np.inf, False)):
        array = np.array([0.5, value, 2], dtype)
        content = array.tobytes() if raw else array.astype(np.float64)
        model = pointwise(np.ones((3, 4), np.float32))
        model.graph.initializer.append(helper.make_tensor("extra", kind, [3], content, raw=raw))
        data = model.SerializeToString()
        if fits:
            inspect_onnx(data)
        else:
            with pytest.raises(ModelError, match=r"extra.*NaN"):
                inspect_onnx(data)


def test_integers_may_look_like_nan() -> None:
    """Bits of integer tensors are not taken for floats."""
    model = pointwise(np.ones((3, 4), np.float32))
    bits = np.array([0x7FC00000, -1], np.int32)
    model.graph.initializer.append(numpy_helper.from_array(bits, "integers"))
    assert inspect_onnx(model.SerializeToString()) == "fp32"


@pytest.mark.parametrize("construction", ["subgraphs", "local functions", "sparse tensors"])
def test_constructions_outside_the_contract_are_named(construction: str) -> None:
    """Subgraphs, functions and sparse tensors are refused by name."""
    model = tiny()
    if construction == "subgraphs":
        node = helper.make_node("If", ["x0"], ["y"], then_branch=model.graph)
        model.graph.node.append(node)
    elif construction == "local functions":
        opset = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("d", "f", [], [], [], opset))
    else:
        model.graph.sparse_initializer.add()
    with pytest.raises(ModelError, match=construction):
        inspect_onnx(model.SerializeToString())


def test_truncated_files() -> None:
    """A file cut anywhere either is refused or is still one that ends between two weights."""
    data = pointwise(np.ones((3, 4), np.float32)).SerializeToString()
    refused = 0
    for length in range(len(data)):
        try:
            inspect_onnx(data[:length])
        except ModelError:
            refused += 1
    assert refused > 0.95 * len(data)


def test_fuzz() -> None:
    """Damaged bytes give a kind or a ModelError, never another exception."""
    rng = random.Random(0)  # noqa: S311 (a fixed sequence is wanted)
    whole = [make().SerializeToString() for make in KINDS.values()]
    outcomes = set()
    for _ in range(1500):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            action = rng.randrange(4)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                del data[at : at + rng.randint(1, 40)]
            elif action == 2:
                data[at:at] = rng.randbytes(rng.randint(1, 12))
            else:
                data[at : at + 10] = b"\xff" * 10
        try:
            outcomes.add(inspect_onnx(bytes(data)))
        except ModelError as error:
            outcomes.add("refused" if "\n" not in str(error) else "two lines")
    assert {"refused", "fp32"} <= outcomes <= {"refused", *KINDS}


@pytest.mark.parametrize("name", [b"conv1.out", b"tail.weight", b"Relu", b"blocksize", b"lr"])
def test_names_that_are_not_utf8(name: bytes) -> None:
    """A name that no backend could quote is refused, wherever it stands."""
    data = tiny().SerializeToString().replace(name, b"\xff" + name[1:])
    with pytest.raises(ModelError, match="not UTF-8"):
        inspect_onnx(data)


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a model", b"\x08", bytes(1000)])
def test_not_onnx(data: bytes) -> None:
    """Bytes that are something else are refused as not ONNX."""
    with pytest.raises(ModelError, match="not ONNX"):
        inspect_onnx(data)


def test_a_swapped_file_is_named(tmp_path: Path) -> None:
    """A manifest that calls a file by another kind's name is refused, with both kinds."""
    folder = write_folder(tmp_path / "swapped", {"int8-cpu": quantised(tiny(), signed=True)})
    with pytest.raises(ModelError, match=r"is int8-trt, expected int8-cpu"):
        load_onnx(find_model(folder), ("int8-cpu",))
