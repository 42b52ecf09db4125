"""Other libraries compute the same network; a benchmark against something else would be worth nothing."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from idrn_trt.bench.cases import Case, Row
from idrn_trt.bench.checks import check
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.pictures import windows
from idrn_trt.errors import ModelError
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.fold import folded_kernel
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.peers import PEERS, peer_cases
from idrn_trt.toolchain.seeded import seeded_model
from idrn_trt.toolchain.unfold import network_from_file, unfolded_kernel
from idrn_trt.zoo import Model, find_model

# Compiling takes longer than all other tests of this folder; it is the same network in the same wrapping.
QUICK = [key for key in PEERS if key[0] != "torch compile"]


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A seeded network with an fp32 and an int8 file."""
    return seeded_model("d1-w16-x4", tmp_path_factory.mktemp("seeded"))


@pytest.mark.parametrize("key", QUICK, ids=" ".join)
def test_a_peer_computes_the_same_network(
    key: tuple[str, str], model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer on seeded pictures passes the check against this project's fp32 engine."""
    if key[0] == "ncnn":
        _skip_without_ncnn()
    monkeypatch.setattr("idrn_trt.toolchain.peers.PEERS", {key: PEERS[key]})
    [case] = peer_cases(model, BenchOptions(batch=3, window_px=24), 1, tmp_path)
    if isinstance(case, Row) and "no bfloat16 arithmetic" in case.reason:
        pytest.skip(case.reason)
    assert isinstance(case, Case), case.reason
    right, wrong = check([case], 24, 1)
    assert [c.row.reason for c in wrong] == []
    assert right[0].row.settings
    case.timed(windows(3, 24))()


def _skip_without_ncnn() -> None:
    beside = str(Path(sys.executable).parent)
    if importlib.util.find_spec("ncnn") is None or not (
        shutil.which("pnnx") or shutil.which("pnnx", path=beside)
    ):
        pytest.skip("ncnn and its converter pnnx are not installed")


def test_a_peer_that_is_not_installed_is_a_marked_row(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing library costs its own row only, and the row says which."""
    monkeypatch.setitem(sys.modules, "ncnn", None)
    monkeypatch.setattr("idrn_trt.toolchain.peers.PEERS", {k: PEERS[k] for k in [("ncnn", "fp32")]})
    [row] = peer_cases(model, BenchOptions(), 1, tmp_path)
    assert isinstance(row, Row)
    assert row.peer
    assert "ncnn" in row.reason


@pytest.mark.parametrize("name", ["d1-w8-x2", "d1-w8-x3", "d2-w8-x4", "d1-w8-x4-fast"])
def test_torch_gets_its_own_weights_back(name: str, tmp_path: Path) -> None:
    """The network read from a folded file answers as the one that was exported, to float rounding."""
    torch.manual_seed(3)
    net = IDRN(NetConfig.parse(name)).eval()
    model = seeded_model(name, tmp_path)
    read = network_from_file(export_onnx(net).SerializeToString(), model)
    lr = torch.rand(2, 3, 17, 19)
    with torch.inference_mode():
        torch.testing.assert_close(read(lr), net(lr), rtol=0, atol=1e-6)


@pytest.mark.parametrize("r", [2, 3])
def test_unfolding_undoes_the_fold(r: int) -> None:
    """Every tap comes back bit for bit."""
    kernel = np.random.default_rng(0).random((3, 5, 3, 3), np.float32)
    assert np.array_equal(unfolded_kernel(folded_kernel(kernel, r), r), kernel)


def test_a_file_without_a_manifest_has_no_network(model: Model) -> None:
    """A bare file does not say which network it is."""
    bare = find_model(model.folder / "model.onnx")
    with pytest.raises(ModelError, match="no manifest"):
        network_from_file(bare.read("bare"), bare)


def test_a_seeded_model_is_marked_and_always_the_same(model: Model, tmp_path: Path) -> None:
    """Two makings give the same files, and the manifest says that nobody trained them."""
    again = seeded_model("d1-w16-x4", tmp_path)
    assert again.files["fp32"].sha256 == model.files["fp32"].sha256
    assert again.files["int8-cpu"].sha256 == model.files["int8-cpu"].sha256
    assert model.manifest is not None
    assert model.manifest.recipe == {"seeded": True}
    assert onnx.load_model_from_string(model.read("int8-cpu")).graph.input[0].name == "lr"
