"""Weights read back from model files: exactly those that were exported, the fold undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import network, same
from onnx import numpy_helper

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.checkpoint import Checkpoint, save_checkpoint
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import read_model, write_model
from idrn_trt.toolchain.half import half
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.weights import read_weights, weights_of_onnx


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("name", [f"d2-w8-x{s}{f}" for s in (2, 3, 4) for f in ("", "-fast")])
def test_exported_weights_come_back(name: str, *, folded: bool) -> None:
    """Configuration and weights of every scale and reconstruction come back to the bit."""
    net = network(name)
    config, weights = weights_of_onnx(export_onnx(net, folded=folded))
    assert config == net.config
    assert same(weights, dict(net.state_dict()))


def test_the_fusion_is_seen_in_the_graph() -> None:
    """A network that adds only the last unit's output is told from the paper's."""
    net = network("d3-w8-x2", fusion="global")
    config, weights = weights_of_onnx(export_onnx(net))
    assert config == net.config
    assert same(weights, dict(net.state_dict()))


def test_weights_come_from_a_folder_a_file_or_a_checkpoint(tmp_path: Path) -> None:
    """A model folder, its ONNX file, and a checkpoint give one set of weights."""
    net = network("d2-w8-x4")
    write_model(export_onnx(net), tmp_path / "model.onnx")
    weights = dict(net.state_dict())
    save_checkpoint(Checkpoint(net.config, weights, {}, {}, {}), tmp_path / "c.safetensors")
    for path in (tmp_path, tmp_path / "model.onnx", tmp_path / "c.safetensors"):
        config, got = read_weights(path)
        assert config == net.config
        assert same(got, weights)


def test_a_running_average_is_preferred(tmp_path: Path) -> None:
    """Of a checkpoint that keeps an average, the average is what is started from."""
    net, other = network("d1-w8-x2"), IDRN(NetConfig.parse("d1-w8-x2"))
    state = Checkpoint(
        net.config, dict(net.state_dict()), {}, {}, {}, average=dict(other.state_dict())
    )
    save_checkpoint(state, tmp_path / "c.safetensors")
    assert same(read_weights(tmp_path / "c.safetensors")[1], dict(other.state_dict()))


def altered(model: onnx.ModelProto, name: str, change: object) -> onnx.ModelProto:
    """The model with one constant changed."""
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    value = change(numpy_helper.to_array(tensor).copy())  # type: ignore[operator]
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return model


def test_a_tail_that_no_fold_gives_is_refused() -> None:
    """One altered tap of a folded convolution is a ModelError, not a network that is nearly the file."""

    def change(kernel: np.ndarray) -> np.ndarray:
        kernel[5, 3, 1, 1] += 1e-3
        return kernel

    model = altered(export_onnx(network("d1-w8-x2")), "tail.weight", change)
    with pytest.raises(ModelError, match="no fold gives"):
        weights_of_onnx(model)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Quantised or halved files, other graphs, and what is no file at all are ModelErrors."""
    import make_models

    model = export_onnx(network("d1-w8-x2"))
    for other in (half(model), make_models.quantised(make_models.tiny())):
        with pytest.raises(ModelError, match="fp32 files"):
            weights_of_onnx(other)
    with pytest.raises(ModelError, match="not those of an IDRN"):
        weights_of_onnx(export_onnx(network("d1-w8-x2", unit="traditional")))
    with pytest.raises(ModelError, match="no weights at"):
        read_weights(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="not a valid ONNX"):
        read_weights(tmp_path)


def test_a_written_file_is_read_as_it_was(tmp_path: Path) -> None:
    """Through the file system too nothing changes: at most 1e-6, in fact nothing."""
    net = network("d2-w8-x3")
    write_model(export_onnx(net), tmp_path / "model.onnx")
    _, weights = weights_of_onnx(read_model(tmp_path / "model.onnx"))
    worst = max(float((weights[k] - v).abs().max()) for k, v in net.state_dict().items())
    assert worst == 0
