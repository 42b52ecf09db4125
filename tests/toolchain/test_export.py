"""Exported graphs follow the model file contract and compute what the network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from nets import network

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.export import OPSET, TOLERANCE, check, export_onnx

KINDS = [
    "d2-w8-x2",
    "d2-w8-x3",
    "d2-w8-x4",
    "d2-w8-x2-fast",
    "d2-w8-x3-fast",
    "d2-w8-x4-fast",
]


def run(model: onnx.ModelProto, lr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`lr` through a model in ONNX Runtime, from its serialised bytes."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (sr,) = session.run(["sr"], {"lr": lr})
    return np.asarray(sr)


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    """A tensor's declared dimensions: numbers, or names where they are dynamic."""
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("name", KINDS)
def test_the_graph_computes_what_the_network_does(name: str, *, folded: bool) -> None:
    """For every scale and reconstruction, and sizes not traced with, the graph equals torch."""
    net = network(name)
    model = export_onnx(net, folded=folded)
    rng = np.random.default_rng(1)
    for size in ((1, 3, 16, 16), (2, 3, 8, 31), (5, 3, 33, 9)):
        lr = rng.random(size, dtype=np.float32)
        with torch.no_grad():
            expected = net(torch.from_numpy(lr)).numpy()
        got = run(model, lr)
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        assert np.abs(got - expected).max() <= TOLERANCE


@pytest.mark.parametrize("changes", [{"unit": "traditional"}, {"fusion": "global"}], ids=str)
def test_the_ablations_can_be_exported(changes: dict[str, str]) -> None:
    """Batch normalisation disappears into the convolutions, and the result is still the same."""
    net = network("d2-w8-x4", **changes)
    model = export_onnx(net)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert check(net, model) <= TOLERANCE


@pytest.mark.parametrize("name", KINDS)
def test_ends_follow_the_contract(name: str) -> None:
    """Input lr and output sr are float32 with dynamic N, height and width and three channels."""
    model = export_onnx(network(name))
    (lr,), (sr,) = model.graph.input, model.graph.output
    assert (lr.name, sr.name) == ("lr", "sr")
    for end in (lr, sr):
        assert end.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        dimensions = shape(end)
        assert dimensions[1] == 3
        assert all(isinstance(d, str) for k, d in enumerate(dimensions) if k != 1), dimensions
    assert shape(lr) == ["N", 3, "h", "w"]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_is_plain(name: str) -> None:
    """Only the network's own operators are left; shuffles are DepthToSpace in CRD mode."""
    model = export_onnx(network(name))
    nodes = model.graph.node
    kinds = {node.op_type for node in nodes}
    assert kinds <= {"Conv", "Relu", "Concat", "Add", "DepthToSpace"}
    stages = 1 if name.endswith("-fast") else {"2": 1, "3": 1, "4": 2}[name[-1]]
    shuffles = [node for node in nodes if node.op_type == "DepthToSpace"]
    assert len(shuffles) == stages
    for node in shuffles:
        mode = next(a.s for a in node.attribute if a.name == "mode")
        assert mode == b"CRD"
    convolutions = 1 + 2 * 2 + (0 if name.endswith("-fast") else stages) + 1
    assert sum(node.op_type == "Conv" for node in nodes) == convolutions


def test_folding_takes_the_last_convolution_off_the_large_grid() -> None:
    """Folded, the graph ends in a shuffle; unfolded, in the convolution to RGB."""
    net = network("d2-w8-x4")
    ends = {folded: export_onnx(net, folded=folded).graph.node[-1] for folded in (True, False)}
    assert ends[True].op_type == "DepthToSpace"
    assert ends[False].op_type == "Conv"


def test_the_file_says_nothing_about_where_it_was_made() -> None:
    """No path, no source line and no tool's name of this machine is left in the bytes."""
    model = export_onnx(network("d2-w8-x4"))
    data = model.SerializeToString()
    for trace in (str(Path(torch.__file__).parent), str(Path.cwd()), ".py", "pytorch"):
        assert trace.encode() not in data
    assert not any(node.doc_string for node in model.graph.node)
    assert model.producer_name == "idrn_trt"


def test_the_same_network_gives_the_same_bytes() -> None:
    """Exporting twice is bit-identical, so that a file's sha256 names its network."""
    net = network("d2-w8-x4")
    first, second = (export_onnx(net).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_weights_are_inside_as_float32() -> None:
    """All constants are float32 and carried by the file itself, as many as the network has."""
    net = network("d2-w8-x2-fast")
    model = export_onnx(net)
    assert all(t.data_type == onnx.TensorProto.FLOAT for t in model.graph.initializer)
    assert not any(t.external_data for t in model.graph.initializer)
    count = sum(int(np.prod(t.dims)) for t in model.graph.initializer)
    assert count == sum(parameter.numel() for parameter in net.parameters())


def test_a_graph_that_differs_is_refused() -> None:
    """`check` refuses a graph whose weights differ from the network's by a little."""
    net = network("d2-w8-x2")
    model = export_onnx(net)
    assert check(net, model) <= TOLERANCE
    with torch.no_grad():
        net.tail.bias[1] += 1e-3
    with pytest.raises(ModelError, match="differs from the network by"):
        check(net, model)


def test_weights_that_are_not_numbers_are_refused() -> None:
    """A network with a NaN in it cannot be exported."""
    net = network("d2-w8-x2")
    with torch.no_grad():
        net.head.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError):
        export_onnx(net)
