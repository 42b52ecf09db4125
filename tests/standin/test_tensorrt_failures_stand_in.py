"""The TensorRT engine on stand-ins: what each failure is told as, and that it leaves nothing behind."""
# ruff: noqa: ARG001 (a fixture that puts a stand-in in its place is asked for by name)

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import ONE, SMALL, nothing_left, opened, pictures
from make_models import halved, quantised, tiny, write_folder, write_manifest
from trt_state import Driver, State

from idrn_trt.engines import describe_engines, open_engine
from idrn_trt.errors import BackendUnavailable, DeviceError, IdrnError, ModelError
from idrn_trt.zoo import find_model

Break = Callable[[State, Driver], object]

# name -> (what is broken, the error, what its one line must say)
AT_OPENING: dict[str, tuple[Break, type[IdrnError], str]] = {
    "operator TensorRT lacks": (
        lambda trt, _: trt.faults.update(parse=1), ModelError, r"'body/warp' \(Warp\).*Unsupported"),
    "out of memory while building": (
        lambda trt, _: trt.faults.update(build=1), DeviceError, r"out of memory.*idrn-trt build"),
    "a plan that does not load": (
        lambda trt, _: trt.faults.update(deserialise=9), DeviceError, r"has just built"),
    "no builder": (
        lambda trt, _: trt.faults.update(builder=1), DeviceError, r"error: 35.*update the driver"),
    "no runtime": (
        lambda trt, _: trt.faults.update(runtime=1), DeviceError, r"error: 35.*update the driver"),
    "no context": (
        lambda trt, _: trt.faults.update(context=1), DeviceError, r"1 windows of 32x32 px.*OutOfMemory"),
    "profile refused": (
        lambda trt, _: trt.faults.update({"context profile": 1}), DeviceError, r"refuses its profile"),
    "work refused": (
        lambda trt, _: trt.faults.update(enqueue=1), DeviceError, r"refuses its work.*not permitted"),
    "kernel fails": (
        lambda trt, _: trt.faults.update(kernel=1), DeviceError, r"launch failure.*start it again"),
    "no GPU memory": (
        lambda _, driver: driver.limit(1000), DeviceError,
        r"allocating .* MiB on the GPU failed: .*out of memory\. Free memory"),
    "no memory for the second shape": (
        lambda _, driver: driver.limit((1 << 20) + 100_000), DeviceError, r"out of memory"),
    "page-locking refused": (
        lambda _, driver: driver.fail("cuMemHostRegister_v2", 2, after=1), DeviceError,
        r"page-locking .* MiB failed"),
    "no stream": (
        lambda _, driver: driver.fail("cuStreamCreate", 719), DeviceError, r"making a CUDA stream"),
    "no GPU": (
        lambda _, driver: driver.devices(0), DeviceError, r"no CUDA-capable device.*nvidia-smi"),
    "driver too old": (
        lambda _, driver: driver.fail("cuInit", 35), DeviceError, r"insufficient.*update it"),
    "context refused": (
        lambda _, driver: driver.fail("cuDevicePrimaryCtxRetain", 2), DeviceError,
        r"opening the GPU failed: .*out of memory"),
    "a GeForce GTX 1060": (
        lambda _, driver: driver.capability(6, 1), DeviceError, r"6\.1, TensorRT 10 needs.*onnxruntime"),
}  # fmt: skip


@pytest.mark.parametrize("what", AT_OPENING)
def test_stand_in_failure_at_opening(
    trt: State, driver: Driver, tiny_model: Path, what: str
) -> None:
    """The failure is one typed error that says what to do; nothing is left; the next opening works."""
    cause, error, message = AT_OPENING[what]
    cause(trt, driver)
    with pytest.raises(error, match=message) as caught:
        opened(tiny_model)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()
    trt.faults.clear()
    driver.reset()
    engine = opened(tiny_model)
    assert engine.run(pictures(1, 32)).std() > 5
    engine.close()
    assert nothing_left(trt, driver)


def test_stand_in_work_refused_in_a_call(trt: State, driver: Driver, tiny_model: Path) -> None:
    """Without a graph TensorRT may refuse a call: that call fails, the next works."""
    trt.faults["capture"] = 9
    engine = opened(tiny_model, options=ONE)
    trt.faults["enqueue"] = 1
    with pytest.raises(
        DeviceError, match=r"refuses its work for 1 windows of 32x32 px.*not permitted"
    ):
        engine.run(pictures(1, 32))
    assert engine.run(pictures(1, 32)).std() > 5
    engine.close()
    assert nothing_left(trt, driver)


@pytest.mark.parametrize("function", ["cuGraphLaunch", "cuEventRecord", "cuEventSynchronize"])
def test_stand_in_out_of_memory_in_a_call(
    trt: State, driver: Driver, tiny_model: Path, function: str
) -> None:
    """A launch or wait that the driver refuses is a DeviceError with a remedy, and the next call works."""
    engine = opened(tiny_model, options=ONE)
    driver.fail(function, 2)
    with pytest.raises(
        DeviceError, match=r"running on the GPU failed: .*out of memory\. Free memory"
    ):
        engine.run(pictures(1, 32))
    assert engine.run(pictures(1, 32)).std() > 5
    engine.close()
    assert nothing_left(trt, driver)


def test_stand_in_a_lost_gpu(trt: State, driver: Driver, tiny_model: Path) -> None:
    """After a kernel failed every call says that the process has lost the GPU; closing still works."""
    engine = opened(tiny_model, options=ONE)
    trt.faults["kernel"] = 1
    for _ in range(2):
        with pytest.raises(DeviceError, match="start it again"):
            engine.run(pictures(1, 32))
    engine.close()
    assert nothing_left(trt, driver)


@pytest.mark.parametrize(
    "damage", ["cut", "one bit", "empty", "refused by TensorRT", "another GPU"]
)
def test_stand_in_a_plan_that_does_not_fit_is_built_again(
    trt: State,
    driver: Driver,
    tiny_model: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    """A plan that is damaged, refused, or of another driver is built anew with the reason, and works."""
    engine = opened(tiny_model, options=ONE)
    expected = engine.run(pictures(1, 32)).copy()
    engine.close()
    (plan,) = (tmp_path / "cache" / "idrn_trt" / "plans").glob("*.plan")
    data = bytearray(plan.read_bytes())
    if damage == "one bit":
        data[-100] ^= 1
    plan.write_bytes({"cut": data[:-50], "empty": b""}.get(damage, data))
    if damage == "refused by TensorRT":
        trt.faults["deserialise"] = 2  # once without the lock, once with it
    if damage == "another GPU":
        driver.driver(13010)
    caplog.clear()
    trt.calls.clear()
    engine = opened(tiny_model, options=ONE)
    assert "Builder" in trt.names()
    reason = {"refused by TensorRT": "TensorRT refuses", "another GPU": "a driver for CUDA 13000"}
    assert reason.get(damage, "damaged") in caplog.text
    np.testing.assert_array_equal(engine.run(pictures(1, 32)), expected)
    engine.close()
    assert nothing_left(trt, driver)


def test_stand_in_doctor_says_why_it_is_not_usable(trt: State, driver: Driver) -> None:
    """Without a GPU the registry tells of the engine as not usable, with the reason in one line."""
    driver.devices(0)
    (status,) = (s for s in describe_engines() if s.name == "tensorrt")
    assert not status.usable
    assert "no CUDA-capable device" in status.reason


@pytest.mark.parametrize(("version", "usable"), [("8.6.1", False), ("10.2.0", False), ("10.3.0", True),
                                                 ("10.13.3.9", True), ("11.4.0.106", True)])  # fmt: skip
def test_stand_in_versions(
    trt: State, monkeypatch: pytest.MonkeyPatch, version: str, *, usable: bool
) -> None:
    """TensorRT before 10.3 is refused by its number, everything newer is taken."""
    import trt_standin

    monkeypatch.setattr(trt_standin, "__version__", version)
    (status,) = (s for s in describe_engines() if s.name == "tensorrt")
    assert status.usable == usable
    if not usable:
        assert version in status.reason
        assert "10.3" in status.reason


def test_stand_in_without_tensorrt(
    driver: Driver, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pycuda and a driver but no TensorRT the engine says so and how to get it."""
    with pytest.raises(BackendUnavailable, match=r"'tensorrt'.*pip install 'idrn-trt\[tensorrt\]'"):
        open_engine(tiny_model, engine="tensorrt")


# ---- precisions


def _of_int8(what: str) -> Callable[[bytes], str]:
    return lambda onnx: what if b"QuantizeLinear" in onnx else ""


@pytest.fixture
def few_shapes(trt: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines opened by name are built for few shapes."""
    import idrn_trt.engines.tensorrt as engine

    monkeypatch.setattr(engine, "chosen_options", lambda *_: SMALL)


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_auto_measures_fp16_and_int8(trt: State, tiny_model: Path, driver: Driver) -> None:
    """Both quick precisions are opened and timed once; the next opening takes the same at once."""
    engine = open_engine(tiny_model, engine="tensorrt")
    chosen = engine.spec.precision
    assert chosen in {"fp16", "int8"}
    assert engine.notes == []
    engine.close()
    trt.reset()
    engine = open_engine(tiny_model, engine="tensorrt")
    assert engine.spec.precision == chosen
    assert trt.names().count("Runtime") == 1
    engine.close()
    assert nothing_left(trt, driver)


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_a_precision_gone_wrong_is_left_out(
    trt: State, tiny_model: Path, driver: Driver
) -> None:
    """Where int8 makes everything black, fp16 is taken and one line says why; int8 by name is an error."""
    trt.faults["wrong picture"] = _of_int8("black")
    engine = open_engine(tiny_model, engine="tensorrt")
    assert engine.spec.precision == "fp16"
    assert len(engine.notes) == 1
    assert "'int8' left out" in engine.notes[0]
    assert "grey ramp" in engine.notes[0]
    assert "\n" not in engine.notes[0]
    engine.close()
    with pytest.raises(ModelError, match="grey ramp"):
        open_engine(tiny_model, engine="tensorrt", precision="int8")
    gc.collect()
    assert nothing_left(trt, driver)


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_fp32_is_the_last_resort(
    trt: State, tiny_model: Path, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither fp16 nor int8 can be built, fp32 is, with a line for each."""
    builds: list[int] = []
    trt.faults["build"] = lambda: builds.append(1) or len(builds) < 3
    engine = open_engine(tiny_model, engine="tensorrt")
    assert engine.spec.precision == "fp32"
    assert ["fp16" in engine.notes[0], "int8" in engine.notes[1]] == [True, True]
    engine.close()
    trt.faults["build"] = 99
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    with pytest.raises(DeviceError, match="out of memory"):
        open_engine(tiny_model, engine="tensorrt")
    gc.collect()
    assert nothing_left(trt, driver)


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_fp16_after_int8_without_fp32(trt: State, tmp_path: Path, driver: Driver) -> None:
    """A model with the two quick files alone falls back from the one to the other."""
    files = {"fp16": halved(tiny()), "int8-trt": quantised(tiny(), signed=True)}
    folder = write_folder(tmp_path / "quick", files)
    trt.faults["wrong picture"] = _of_int8("black")
    engine = open_engine(folder, engine="tensorrt")
    assert engine.spec.precision == "fp16"
    engine.close()
    assert nothing_left(trt, driver)


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_a_model_with_fp32_alone_says_what_it_lacks(trt: State, tmp_path: Path) -> None:
    """fp32 is computed, and the note names the command that makes the quicker files."""
    folder = write_folder(tmp_path / "plain", {"fp32": tiny()})
    engine = open_engine(folder, engine="tensorrt")
    assert engine.spec.precision == "fp32"
    assert "idrn-trt quantise" in engine.notes[0]
    engine.close()
    folder = write_folder(tmp_path / "cpu", {"int8-cpu": quantised(tiny())})
    with pytest.raises(ModelError, match=r"no file.*int8-cpu.*idrn-trt quantise"):
        open_engine(folder, engine="tensorrt")


@pytest.mark.usefixtures("few_shapes")
def test_stand_in_a_trained_network_is_held_against_bicubic(trt: State, tmp_path: Path) -> None:
    """Inverted colours keep the mean; a network with figures in its manifest is refused all the same."""
    model = find_model("idrn-d8-w64-x4")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").write_bytes(model.read("fp32"))
    entry = {"path": "model.onnx", "sha256": model.files["fp32"].sha256,
             "bytes": model.files["fp32"].size_bytes}  # fmt: skip
    network = {"depth": 8, "width": 64, "scale": 4}
    facts = {"scale": 4, "network": network, "files": {"fp32": entry}}
    write_manifest(tmp_path / "m", {**facts, "quality": {"fp32": {"psnr_y_db": 31.06}}})
    opened(tmp_path / "m", "fp32", ONE).close()
    trt.faults["wrong picture"] = lambda _: "inverted"
    (next((tmp_path / "cache" / "idrn_trt" / "plans").glob("*.plan"))).unlink()
    with pytest.raises(ModelError, match=r"grey levels from bicubic.*1 windows of 32x32 px"):
        opened(tmp_path / "m", "fp32", ONE)
