"""The TensorRT engine on stand-ins for TensorRT and the driver, under the real pycuda: its calls in order."""
# ruff: noqa: ARG001 (a fixture that puts a stand-in in its place is asked for by name)

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ONE, nothing_left, opened, pictures
from trt_state import Driver, State

from idrn_trt.bench.options import BenchOptions
from idrn_trt.engines import open_engine
from idrn_trt.engines._trt_profiles import BuildOptions, make_profiles
from idrn_trt.errors import DeviceError, EngineMismatch, OptionError
from idrn_trt.zoo import find_model

MADE = ("allocations", "registrations", "captures")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_stand_in_pictures_are_those_of_the_same_file(
    trt: State, tiny_model: Path, precision: str
) -> None:
    """For every shape and number of windows the picture is what ONNX Runtime makes of that very file."""
    from trt_standin import _session

    model = find_model(tiny_model)
    kind = {"int8": "int8-trt"}.get(precision, precision)
    session = _session(model.read(kind))
    engine = opened(tiny_model, precision)
    square, upright = (32, 32), (48, 40)
    for window, count in ((square, 1), (square, 3), (upright, 4), (upright, 1), (square, 4)):
        batch = pictures(count, *window, seed=count)
        lr = batch.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        sr = np.rint(np.clip(session.run(None, {"lr": lr})[0] * 255, 0, 255))
        difference = engine.run(batch).astype(int) - sr.transpose(0, 2, 3, 1)
        assert np.abs(difference).max() <= 1
    engine.close()


def test_stand_in_first_opening_builds_in_order(
    trt: State, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Parse, a static profile a shape, build, deserialise; then a context for each shape in order."""
    opened(tiny_model).close()
    names = trt.names()
    order = ["Runtime", "Builder", "create_network", "parse", "set_shape", "build_serialized_network",
             "deserialize_cuda_engine", "create_execution_context", "set_device_memory",
             "set_optimization_profile_async", "set_input_shape", "set_tensor_address",
             "execute_async_v3", "del IExecutionContext", "del ICudaEngine", "del Runtime"]  # fmt: skip
    places = [names.index(name) for name in order]
    assert places == sorted(places)
    assert ("create_network", 1) in trt.calls  # strongly typed
    shapes = [call[2:] for call in trt.calls if call[0] == "set_shape"]
    sizes = [(1, 32, 32, 3), (4, 32, 32, 3), (1, 48, 40, 3), (4, 48, 40, 3)]
    assert shapes == [(size,) * 3 for size in sizes]
    contexts = [c for c in trt.calls if c[0] == "create_execution_context"]
    assert contexts == [("create_execution_context", "USER_MANAGED")] * 4
    chosen = [c[1] for c in trt.calls if c[0] == "set_optimization_profile_async"]
    assert chosen == [0, 1, 2, 3]
    assert "there is none yet" in caplog.text


def test_stand_in_second_opening_builds_nothing(
    trt: State, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan is read back, without a word, and computes the same."""
    first = opened(tiny_model)
    batch = pictures(2, 32)
    expected = first.run(batch).copy()
    first.close()
    trt.reset()
    caplog.clear()
    second = opened(tiny_model)
    np.testing.assert_array_equal(second.run(batch), expected)
    assert "Builder" not in trt.names()
    assert trt.names().count("deserialize_cuda_engine") == 1
    assert (caplog.text, second.notes) == ("", [])
    second.close()


def test_stand_in_engine_takes_what_build_was_last_told(trt: State, tiny_model: Path) -> None:
    """The windows and batches chosen by `idrn-trt build` are those of the engine opened by name."""
    from idrn_trt.engines._trt_profiles import choose_options

    model = find_model(tiny_model)
    options = BuildOptions(profiles=make_profiles(((48, 40),), (2,)))
    assert choose_options(model.files["fp16"].sha256, "fp16", options)
    engine = open_engine(model, engine="tensorrt", precision="fp16")
    assert (engine.spec.windows, engine.spec.max_batch) == (((48, 40),), 2)
    engine.close()


@pytest.mark.parametrize(
    ("window", "count", "batch"),
    [((32, 32), 1, 1), ((32, 32), 2, 4), ((32, 32), 4, 4), ((48, 40), 1, 1), ((48, 40), 3, 4)],
)
def test_stand_in_profile_is_the_smallest_that_holds_the_call(
    trt: State, driver: Driver, tiny_model: Path, window: tuple[int, int], count: int, batch: int
) -> None:
    """A call runs the graph of the smallest batch that holds it, with that batch's memory."""
    engine = opened(tiny_model)
    shape = engine.shape(window, count)
    assert (shape.profile.window, shape.profile.batch) == (window, batch)
    shape.source.host[:] = 0
    result = engine.run(pictures(count, *window))
    np.testing.assert_array_equal(shape.source.host[:count], pictures(count, *window))
    assert np.shares_memory(result, shape.result.host)
    engine.close()


def test_stand_in_limits_are_named(trt: State, tiny_model: Path) -> None:
    """A window or batch that the plan was not built for is refused with what it takes."""
    engine = opened(tiny_model)
    with pytest.raises(EngineMismatch, match=r"32x32, 48x40, got 64x64"):
        engine.run(pictures(1, 64))
    with pytest.raises(EngineMismatch, match=r"1 to 4 windows a call, got 5"):
        engine.run(pictures(5, 32))
    with pytest.raises(EngineMismatch, match=r"32x32, 48x40, got 40x48"):
        engine.run(pictures(1, 40, 48))
    assert engine.run(pictures(1, 32)).shape == (1, 128, 128, 3)
    engine.close()


def test_stand_in_a_call_is_one_launch_one_wait_and_no_allocation(
    trt: State, driver: Driver, tiny_model: Path
) -> None:
    """Opened, the engine makes nothing more: a call launches one graph and waits once on its event."""
    engine = opened(tiny_model)
    made, before = driver.counts(*MADE), driver.counts("launches", "waits", "used")
    trt.reset()
    calls = [(window, count) for window in ((32, 32), (48, 40)) for count in (1, 2, 3, 4)] * 3
    for window, count in calls:
        engine.run(pictures(count, *window))
    driver_calls = driver.calls()
    assert driver.counts(*MADE) == made
    after = driver.counts("launches", "waits", "used")
    assert after["launches"] - before["launches"] == len(calls)
    assert after["waits"] - before["waits"] == len(calls)
    assert after["used"] == before["used"]
    assert trt.calls == []  # TensorRT itself is not called: its work is in the graph
    assert driver.count("pageable") == 0
    assert driver_calls[-5:] == [
        "cuCtxPushCurrent_v2", "cuGraphLaunch", "cuEventRecord", "cuEventSynchronize",
        "cuCtxPopCurrent_v2",
    ]  # fmt: skip
    engine.close()


def test_stand_in_contexts_share_one_block_of_scratch_memory(
    trt: State, driver: Driver, tiny_model: Path
) -> None:
    """Four shapes take one block of scratch and two ends each, all of them page-locked on the host."""
    before = driver.counts("allocations", "registrations")
    engine = opened(tiny_model)
    after = driver.counts("allocations", "registrations")
    assert after["allocations"] - before["allocations"] == 1 + 2 * 4
    assert after["registrations"] - before["registrations"] == 2 * 4
    sizes = {c[1] for c in trt.calls if c[0] == "set_device_memory"}
    assert len(sizes) == 1
    engine.close()


NO_GRAPH: dict[str, Callable[[State, Driver], None]] = {
    "TensorRT refuses": lambda trt, _: trt.faults.update(capture=100),
    "begin": lambda _, driver: driver.fail("cuStreamBeginCapture_v2", 801),
    "end": lambda _, driver: driver.fail("cuStreamEndCapture", 901),
    "instantiate": lambda _, driver: driver.fail("cuGraphInstantiateWithFlags", 2),
}


@pytest.mark.parametrize("cause", NO_GRAPH)
def test_stand_in_without_a_graph_the_work_is_queued(
    trt: State, driver: Driver, tiny_model: Path, cause: str
) -> None:
    """Where no graph can be had the picture is the same, one note says why, and nothing is lost."""
    expected = opened(tiny_model, options=ONE)
    batch = pictures(1, 32)
    picture = expected.run(batch).copy()
    expected.close()
    NO_GRAPH[cause](trt, driver)
    engine = opened(tiny_model, options=ONE)
    assert len(engine.notes) == 1
    assert "without a CUDA graph" in engine.notes[0]
    trt.reset()
    launches = driver.count("launches")
    np.testing.assert_array_equal(engine.run(batch), picture)
    assert driver.count("launches") == launches
    assert trt.names() == ["execute_async_v3"]
    engine.close()
    assert nothing_left(trt, driver)


def test_stand_in_a_driver_without_graphs(
    trt: State, driver: Driver, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver from before CUDA 11.4 lacks the functions: that is a note and no failure."""
    from idrn_trt.engines import _cuda

    monkeypatch.setattr(_cuda, "_GRAPHS", {"cuGraphOfTomorrow": []})
    engine = opened(tiny_model)
    assert len(engine.notes) == 1
    assert "cuGraphOfTomorrow" in engine.notes[0]
    assert engine.run(pictures(1, 32)).std() > 5
    engine.close()


def test_stand_in_teardown_order(trt: State, driver: Driver, tiny_model: Path) -> None:
    """Graphs go before contexts, these before their memory, the engine before the runtime."""
    engine = opened(tiny_model)
    trt.reset()
    driver.reset()
    engine.close()
    kinds = {
        "cuGraphExecDestroy": "graph", "del IExecutionContext": "context",
        "cuMemHostUnregister": "memory", "cuMemFree_v2": "memory", "cuEventDestroy_v2": "stream",
        "cuStreamDestroy_v2": "stream", "del ICudaEngine": "engine", "del Runtime": "runtime",
    }  # fmt: skip
    calls = driver.calls()
    assert (calls[0], calls[-1]) == ("cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2")
    order = [kinds[name] for name in calls if name in kinds]
    shape = ["graph", "context", "memory", "memory", "memory", "memory"]
    assert order == [*shape * 4, "stream", "stream", "memory", "engine", "runtime"]
    assert nothing_left(trt, driver)


def test_stand_in_close_is_idempotent_and_final(
    trt: State, driver: Driver, tiny_model: Path
) -> None:
    """Closing again is no error, a run after it is one, and a result handed out stays readable."""
    engine = opened(tiny_model)
    result = engine.run(pictures(1, 32))
    kept = result.copy()
    engine.close()
    engine.close()
    np.testing.assert_array_equal(result, kept)
    for call in (
        lambda: engine.run(pictures(1, 32)),
        lambda: engine.times_ms((32, 32), 1, 1, graph=True, copies=True),
    ):
        with pytest.raises(DeviceError, match="closed"):
            call()
    assert nothing_left(trt, driver)


def test_stand_in_threads(trt: State, driver: Driver, tiny_model: Path) -> None:
    """Opened in one thread, run in four at once, closed in another: right pictures, nothing left."""
    box: list[Any] = []
    _in_thread(lambda: box.append(opened(tiny_model)))
    engine = box[0]
    batches = [pictures(1 + seed % 4, 32, seed=seed) for seed in range(4)]
    expected = [engine.run(batch).copy() for batch in batches]
    wrong: list[int] = []

    def work(number: int) -> None:
        out = np.empty_like(expected[number])
        for _ in range(20):
            engine.run(batches[number], out)
            if not np.array_equal(out, expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    _in_thread(engine.close)
    assert nothing_left(trt, driver)


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_stand_in_opening_1000_times_grows_nothing(
    trt: State, driver: Driver, tiny_model: Path
) -> None:
    """1,000 openings, calls and closings leave neither memory nor anything of the driver's behind."""

    def resident_mib(cycles: int) -> float:
        for _ in range(cycles):
            engine = opened(tiny_model, options=ONE)
            engine.run(batch)
            engine.close()
            trt.calls.clear()
            driver.reset()
        with Path("/proc/self/statm").open(encoding="ascii") as statm:
            return int(statm.read().split()[1]) * 4096 / 2**20

    batch = pictures(1, 32)
    settled = resident_mib(100)
    assert resident_mib(900) - settled < 8
    assert nothing_left(trt, driver)


def test_stand_in_times_of_a_shape(trt: State, driver: Driver, tiny_model: Path) -> None:
    """Each way and clock so many times; a graph calls TensorRT once, no copies copy nothing, none stays."""
    engine = opened(tiny_model, options=ONE)
    execs = driver.count("execs")
    for graph, copies, events in itertools.product((True, False), repeat=3):
        trt.reset()
        driver.reset()
        times = engine.times_ms((32, 32), 1, 5, graph=graph, copies=copies, events=events)
        assert len(times) == 5
        assert min(times) > 0
        calls = driver.calls()
        assert trt.names().count("execute_async_v3") == (1 if graph else 5)
        assert calls.count("cuMemcpyHtoDAsync_v2") == copies * (1 if graph else 5)
        assert calls.count("cuEventRecord") == (10 if events else 5)
    assert driver.count("execs") == execs
    engine.close()
    assert nothing_left(trt, driver)


def test_stand_in_plan_by_device_events(trt: State, driver: Driver, tiny_model: Path) -> None:
    """A benchmark's second row of a plan: checked like the first, timed by events, the engine kept open."""
    from idrn_trt.bench import cases, checks, measure
    from idrn_trt.engines._trt_profiles import choose_options

    model = find_model(tiny_model)
    profiles = make_profiles(((32, 32),), (1, checks.PICTURES))
    choose_options(model.files["fp16"].sha256, "fp16", BuildOptions(profiles=profiles))
    options = BenchOptions(engines=("tensorrt",), precisions=("fp16",))
    [case] = cases.engine_cases([model], options, 1)
    assert isinstance(case, cases.Case), case.reason
    device = cases.by_device_events(case)
    right, wrong = checks.check([case, device], 32, 1)
    assert [c.row.reason for c in wrong] == []
    assert [(c.row.name, c.row.clock) for c in right] == [
        ("tiny-x4 tensorrt fp16", "wall"),
        ("tiny-x4 tensorrt device fp16", "device"),
    ]
    clock = device.timed(pictures(1, 32))
    assert isinstance(clock, measure.OwnClock)
    driver.reset()
    assert min(clock.times_ms(4)) > 0
    calls = driver.calls()
    assert (calls.count("cuGraphLaunch"), calls.count("cuMemcpyHtoDAsync_v2")) == (4, 0)
    assert clock.block_ns(2)
    device.close()
    case.close()
    assert nothing_left(trt, driver)


def test_stand_in_wrong_precision(trt: State, tiny_model: Path) -> None:
    """A precision that TensorRT has no file for is refused with those that there are."""
    with pytest.raises(OptionError, match=r"'bf16'.*fp32, fp16, int8"):
        open_engine(tiny_model, engine="tensorrt", precision="bf16")
