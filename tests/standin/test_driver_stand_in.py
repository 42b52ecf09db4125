"""The stand-in driver itself: it catches what a GPU would punish, under the real pycuda."""
# ruff: noqa: ARG001 (a fixture that puts a stand-in in its place is asked for by name)

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from trt_state import Driver, State

from idrn_trt.errors import DeviceError


@pytest.fixture
def cuda(trt: State) -> Iterator[Any]:
    """engines/_cuda.py with the GPU current."""
    from idrn_trt.engines import _cuda

    with _cuda.device().current():
        yield _cuda


def test_stand_in_driver_runs_nothing_before_somebody_waits(cuda: Any) -> None:
    """What is queued has no effect until the wait: code that forgets to wait sees old memory."""
    stream, pair = cuda.Stream(), cuda.Pair((4, 4))
    pair.host[:] = 7
    pair.upload(stream)
    pair.host[:] = 9  # too early: the copy has not been made
    stream.wait()
    pair.host[:] = 0
    pair.download(stream)
    assert pair.host.max() == 0
    stream.wait()
    assert pair.host.min() == 9
    stream.free()
    pair.free()


def test_stand_in_driver_refuses_work_without_a_context(trt: State, driver: Driver) -> None:
    """A call while no context is pushed is an error, as in a thread that forgot to push it."""
    from idrn_trt.engines import _cuda

    _cuda.device()
    with pytest.raises(DeviceError, match="context"):
        _cuda.Memory(16)
    assert driver.count("blocks") == 0


def test_stand_in_driver_punishes_freed_memory(cuda: Any) -> None:
    """Work on memory that was freed too early loses the GPU, and the message says what to do."""
    stream, pair = cuda.Stream(), cuda.Pair((4, 4))
    pair.upload(stream)
    pair.free()
    with pytest.raises(DeviceError, match=r"illegal memory access.*start it again"):
        stream.wait()
    stream.free()


def test_stand_in_driver_knows_page_locked_from_ordinary_memory(cuda: Any, driver: Driver) -> None:
    """A copy of ordinary memory is counted, and spoils a capture as on a GPU."""
    stream, pair = cuda.Stream(), cuda.Pair((4, 4))
    locked = pair.host
    pair.host = np.zeros((4, 4), np.uint8)
    with pytest.raises(cuda.NoGraphError, match="capturing"):
        cuda.Graph(stream, lambda: pair.upload(stream))
    pair.upload(stream)
    stream.wait()
    assert driver.count("pageable") == 2
    pair.host = locked
    pair.free()
    stream.free()


def test_stand_in_driver_ends_a_capture_in_which_memory_is_allocated(cuda: Any) -> None:
    """Allocating or waiting in the middle of a capture spoils it, and the stream works again after."""
    stream, pair = cuda.Stream(), cuda.Pair((4, 4))
    with pytest.raises(cuda.NoGraphError, match="capturing"):
        cuda.Graph(stream, lambda: cuda.Memory(16) and None)
    with pytest.raises(cuda.NoGraphError, match="capturing"):
        cuda.Graph(stream, stream.wait)
    graph = cuda.Graph(stream, lambda: pair.upload(stream))
    graph.launch()
    stream.wait()
    graph.free()
    pair.free()
    stream.free()


def test_stand_in_driver_replays_a_graph_on_the_memory_of_its_capture(cuda: Any) -> None:
    """Capturing runs nothing; each launch copies what is in memory then."""
    stream, source, result = cuda.Stream(), cuda.Pair((8,)), cuda.Pair((8,))
    device = source.memory

    def work() -> None:
        source.upload(stream)
        cuda.cuda.memcpy_dtoh_async(result.host, device.address, stream.raw)

    graph = cuda.Graph(stream, work)
    stream.wait()
    assert result.host.max() == 0
    for level in (3, 200):
        source.host[:] = level
        graph.launch()
        stream.wait()
        assert set(result.host.tolist()) == {level}
    for part in (graph, result, source, stream):
        part.free()


def test_stand_in_driver_leaves_another_librarys_context_as_it_was(
    trt: State, driver: Driver
) -> None:
    """A context that torch, say, had made current is so again after ours was pushed and popped."""
    from idrn_trt.engines import _cuda

    _cuda.device()
    others = ctypes.create_string_buffer(8)
    now = ctypes.c_void_p()
    driver.library.cuCtxPushCurrent_v2(ctypes.cast(others, ctypes.c_void_p))
    with _cuda.device().current():
        driver.library.cuCtxGetCurrent(ctypes.byref(now))
        assert now.value != ctypes.addressof(others)
        _cuda.Memory(16).free()
    driver.library.cuCtxGetCurrent(ctypes.byref(now))
    assert now.value == ctypes.addressof(others)
    driver.library.cuCtxPopCurrent_v2(None)


def test_stand_in_driver_the_context_is_retained_once(trt: State, driver: Driver) -> None:
    """However often the device is asked for, the primary context is retained once and never released."""
    from idrn_trt.engines import _cuda

    before = driver.count("retained")
    assert _cuda.device() is _cuda.device()
    _cuda.gpu()
    assert driver.count("retained") == before + 1
    assert "cuDevicePrimaryCtxRelease_v2" not in driver.calls()
    assert "cuCtxDetach" not in driver.calls()
