"""What would run on a GPU computes the same network on the CPU; without a GPU there is a reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import onnxruntime as ort
import pytest
import torch

from idrn_trt.bench.cases import Case, Row
from idrn_trt.bench.checks import check
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.pictures import windows
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.peers import compiled_net, peer_cases
from idrn_trt.toolchain.peers_cuda import (
    gpu_cases,
    gpu_peers,
    onnxruntime_builds,
    torch_builds,
    without_onnxruntime,
    without_torch,
)
from idrn_trt.toolchain.seeded import seeded_model, with_tensorrt_files
from idrn_trt.zoo import Model

CUDA = "CUDAExecutionProvider"
# Compiling takes longer than all other tests of this folder; it is the same network in the same wrapping.
ON_CPU = {
    key: build
    for key, build in {**torch_builds("cpu"), **onnxruntime_builds("cpu")}.items()
    if "compile" not in key[0]
}


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A seeded network with an fp32 and an int8-cpu file."""
    return seeded_model("d1-w16-x4", tmp_path_factory.mktemp("seeded"))


@pytest.fixture(name="no_gpu")
def _no_gpu() -> None:
    """Only where there is none."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")


@pytest.mark.parametrize("key", ON_CPU, ids=" ".join)
def test_the_same_network(key: tuple[str, str], model: Model, tmp_path: Path) -> None:
    """On the CPU its answer passes the check against our fp32 engine, with other pictures each time."""
    options = BenchOptions(batch=3, window_px=24)
    [case] = peer_cases(model, options, 1, tmp_path, {key: ON_CPU[key]})
    assert isinstance(case, Case), case.reason
    _, wrong = check([case], 24, 1)
    assert [c.row.reason for c in wrong] == []
    assert (case.row.peer, case.row.seeded, case.row.clock) == (True, True, "wall")
    assert case.row.settings
    case.timed(windows(3, 24))()


def test_what_runs_on_a_gpu() -> None:
    """Eager, channels-last, compiled, and as CUDA graphs; ONNX Runtime; each under a name of its own."""
    assert [" ".join(key) for key in {**torch_builds("cuda"), **onnxruntime_builds("cuda")}] == [
        "torch cuda eager fp32", "torch cuda channels-last fp16", "torch cuda compile fp16",
        "torch cuda graph fp16", "torch cuda compiled graph fp16", "onnxruntime cuda fp32",
        "onnxruntime cuda fp16",
    ]  # fmt: skip


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_each_library_is_one_marked_row(tmp_path: Path) -> None:
    """Two rows with their reasons for the whole run, however many networks; no model is touched."""

    def models() -> Iterator[Model]:
        yield from ()

    rows = list(gpu_cases(models(), BenchOptions(), tmp_path))
    assert [row.engine for row in rows if isinstance(row, Row)] == [
        "torch cuda",
        "onnxruntime cuda",
    ]
    assert all(row.reason and row.peer for row in rows if isinstance(row, Row))
    assert gpu_peers()[1] == {}


@pytest.mark.usefixtures("no_gpu")
def test_why_torch_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for CPUs, no card, and no torch at all are told apart."""
    monkeypatch.setattr(torch.version, "cuda", None)
    assert without_torch() == f"torch {torch.__version__} is built without CUDA"
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "no NVIDIA GPU" in without_torch()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'idrn-trt[train]'" in without_torch()


@pytest.mark.usefixtures("no_gpu")
def test_why_onnxruntime_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for CPUs, a torch that cannot lend it memory, and no ONNX Runtime at all are told apart."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "built without CUDA" in without_onnxruntime()
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    assert without_onnxruntime() == f"its memory and its clock are torch's: {without_torch()}"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in without_onnxruntime()


@pytest.mark.usefixtures("no_gpu")
def test_a_library_that_fails_on_the_gpu_is_a_marked_row(model: Model, tmp_path: Path) -> None:
    """Where CUDA cannot be reached after all, every row has that as its reason and none is lost."""
    builds = {**torch_builds("cuda"), **onnxruntime_builds("cuda")}
    rows = list(peer_cases(model, BenchOptions(), 1, tmp_path, builds))
    assert [row.reason != "" for row in rows if isinstance(row, Row)] == [True] * len(builds)


def test_compiling_goes_on_after_eight_networks() -> None:
    """Each of nine networks is compiled; left to itself torch runs the ninth as it is."""
    compiled = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        compiled.append(graph)
        return graph

    for depth in range(1, 10):
        net = IDRN(NetConfig.parse(f"d{depth}-w8-x2")).eval()
        with torch.inference_mode():
            compiled_net(net, backend=backend)(torch.zeros(1, 3, 8, 8))
    assert len(compiled) == 9


def test_the_files_that_tensorrt_reads_are_made(model: Model, tmp_path: Path) -> None:
    """A copy gets what is missing, its other files stay as they are; a whole model is left alone."""
    whole = with_tensorrt_files(model, tmp_path)
    assert set(model.files) == {"fp32", "int8-cpu"}
    assert set(whole.files) == {"fp32", "int8-cpu", "fp16", "int8-trt"}
    assert (whole.name, whole.manifest and whole.manifest.recipe) == (model.name, {"seeded": True})
    assert whole.files["fp32"] == model.files["fp32"]
    assert all(whole.read(kind) for kind in whole.files)
    assert with_tensorrt_files(whole, tmp_path) is whole
