"""Stand-ins for TensorRT (trt_standin.py) and for the NVIDIA driver (libcuda.c) under the real pycuda."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from trt_state import STATE, Driver, State, build_driver, missing_tool

# What holds on to the modules `tensorrt` and `pycuda`, and is imported anew for each test.
_NAMES = ("tensorrt", "_trt_network", "_trt_plan", "_trt_shape", "_cuda")
_OURS = tuple(f"idrn_trt.engines.{name}" for name in _NAMES)


def real_driver_loaded() -> bool:
    """Whether some library has loaded a libcuda of its own already, which ours could not replace."""
    maps = Path("/proc/self/maps")
    return maps.exists() and "libcuda.so" in maps.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def loaded_driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The stand-in driver, once for the process: a library cannot be unloaded."""
    if reason := missing_tool():
        pytest.skip(reason)
    if real_driver_loaded():
        pytest.skip("a real NVIDIA driver is loaded in this process: run tests/standin alone")
    return Driver(build_driver(tmp_path_factory.mktemp("driver")))


@pytest.fixture
def driver(loaded_driver: Driver) -> Iterator[Driver]:
    """The stand-in driver, fresh; after the test every context that was pushed must be popped again."""
    loaded_driver.reset()
    yield loaded_driver
    depth = loaded_driver.count("depth")
    loaded_driver.reset()
    assert depth == 0, "a test left the CUDA context pushed"


@pytest.fixture
def trt(driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[State]:
    """`import tensorrt` gives the stand-in; a cache folder of the test's own; broken rules fail the test."""
    import trt_standin

    import idrn_trt.engines

    trt_standin._driver = driver
    monkeypatch.setitem(sys.modules, "tensorrt", trt_standin)
    for name in _OURS:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(idrn_trt.engines, name.rpartition(".")[2], raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    STATE.reset()
    yield STATE
    for name in _OURS:
        sys.modules.pop(name, None)
        if hasattr(idrn_trt.engines, name.rpartition(".")[2]):
            delattr(idrn_trt.engines, name.rpartition(".")[2])
    assert STATE.violations == []
