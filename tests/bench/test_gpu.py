"""benchmarks/gpu.py: what its options leave out, and what each row says of its check. Torch on the CPU."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from idrn_trt.bench.measure import OwnClock
from idrn_trt.errors import DeviceError
from idrn_trt.zoo import Model

pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("hurried")

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(name="gpu")
def _gpu() -> ModuleType:
    """The script as a module; its folder was put in front by conftest.py."""
    import gpu

    module: ModuleType = gpu
    return module


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Model]:
    """seeded_model, which makes each network once for all tests here."""
    from idrn_trt.toolchain.seeded import seeded_model

    folder = tmp_path_factory.mktemp("seeded")
    once = functools.cache(lambda network: seeded_model(network, folder))
    return lambda network, _: once(network)


@pytest.fixture(name="rows_of")
def _rows_of(
    gpu: ModuleType,
    made: Callable[[str, Path], Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs `--only reference` with more options, on networks that the CPU computes; its rows of torch.

    What it wrote can be shown.
    """
    import gpu_report

    from idrn_trt.toolchain import peers_cuda

    def by_wall(call: Callable[[], object]) -> OwnClock:
        def times_ms(calls: int) -> list[float]:
            taken = []
            for _ in range(calls):
                start = time.perf_counter()
                call()
                taken.append((time.perf_counter() - start) * 1e3)
            return taken

        return OwnClock(call, times_ms)

    eager = peers_cuda.torch_builds("cpu")["torch cuda eager", "fp32"]

    def build(*arguments: Any) -> Any:
        return dataclasses.replace(eager(*arguments), clock=by_wall)

    # The compiled network takes long to make, and that it is left out or not is all that is asked here.
    builds = {("torch cuda eager", "fp32"): build, ("torch cuda compile", "fp16"): build}
    monkeypatch.setattr(peers_cuda, "gpu_peers", lambda: ([], builds))
    monkeypatch.setattr("idrn_trt.toolchain.seeded.seeded_model", made)
    monkeypatch.setattr(gpu, "CASES", ((16, 2),))
    monkeypatch.setattr(gpu, "warm_up", lambda *_: None)

    def run(*options: str) -> list[dict[str, Any]]:
        path = tmp_path / "gpu.json"
        arguments = ["gpu.py", "--only", "reference", "--repeats", "3", "--json", str(path)]
        monkeypatch.setattr(sys, "argv", [*arguments, *options])
        assert gpu.main() == 0
        document = json.loads(path.read_text(encoding="utf-8"))
        gpu_report.check(document)
        return [row for row in document["reference"] if row["by"].startswith("torch")]

    return run


def test_the_networks_that_are_named(rows_of: Run) -> None:
    """Only these are timed, each held against fp32 with nothing to remark, under the command's name."""
    rows = rows_of("--networks", "d1-w8-x2,d2-w8-x2", "--no-compile")
    assert [row["network"] for row in rows] == ["d1-w8-x2", "d2-w8-x2"]
    assert all(row["psnr_fp32_db"] > 50 and row["notes"] == [] for row in rows)
    assert all(0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] for row in rows)
    assert all("--networks d1-w8-x2,d2-w8-x2 --no-compile" in row["command"] for row in rows)


def test_compiling_can_be_left_out(rows_of: Run) -> None:
    """With --no-compile the compiled rows are missing and no other."""
    one = ("--networks", "d1-w8-x2")
    assert [row["by"] for row in rows_of(*one)] == ["torch cuda eager", "torch cuda compile"]
    assert [row["by"] for row in rows_of(*one, "--no-compile")] == ["torch cuda eager"]


def test_a_row_without_a_check_says_why(rows_of: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no fp32 engine opens the row is timed, has no PSNR, and its note has the engine's words."""

    def refuse(*_: object, **__: object) -> None:
        raise DeviceError("this engine does not start")

    monkeypatch.setattr("idrn_trt.bench.checks.open_engine", refuse)
    [row] = rows_of("--networks", "d1-w8-x2", "--no-compile")
    assert row["psnr_fp32_db"] is None
    assert row["notes"] == ["not checked, there is no fp32 answer: this engine does not start"]
    assert row["p50_ms"] > 0


def test_the_card_is_warm_before_the_first_network(
    gpu: ModuleType,
    rows_of: Run,
    made: Callable[[str, Path], Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for the run, and before any network is made."""
    order: list[str] = []

    def noted(network: str, folder: Path) -> Model:
        order.append(network)
        return made(network, folder)

    monkeypatch.setattr("idrn_trt.toolchain.seeded.seeded_model", noted)
    monkeypatch.setattr(gpu, "warm_up", lambda device, _: order.append(device))
    rows_of("--networks", "d1-w8-x2,d2-w8-x2", "--no-compile")
    assert order == ["cuda", "d1-w8-x2", "d2-w8-x2"]


def test_warming_up_ends(gpu: ModuleType) -> None:
    """It works on the device that is named for as long as was asked, and returns."""
    start = time.perf_counter()
    gpu.warm_up("cpu", 0.01)
    assert time.perf_counter() - start >= 0.01
