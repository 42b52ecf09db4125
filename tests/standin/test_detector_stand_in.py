"""The detectors' networks in TensorRT, on stand-ins for it and the driver, under the real pycuda."""
# ruff: noqa: ARG001 (a fixture that puts a stand-in in its place is asked for by name)

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from helpers import SMALL, nothing_left
from trt_state import Driver, State

from idrn_trt.errors import DeviceError, EngineMismatch, IdrnError, ModelError
from idrn_trt.faces.cnn import CNN_SMALLEST_FACE_PX, CnnDetector
from idrn_trt.faces.detect import open_detector
from idrn_trt.faces.grid import OUTPUT
from idrn_trt.faces.network import Network, open_network
from idrn_trt.upscaler import Upscaler
from idrn_trt.zoo import DETECTOR_MODEL, find_model

UInt8 = npt.NDArray[np.uint8]

SIZES = ((64, 64), (160, 160), (32, 320), (96, 64), (64, 96))


def network(engine: str = "tensorrt", kind: str = "fp16") -> Network:
    """The carried network in a file of that kind."""
    data = find_model(DETECTOR_MODEL).read(kind)
    return open_network(data, "carried", [OUTPUT], engine=engine, unit=1 / 255, threads=1)


def picture(height: int, width: int, seed: int = 0) -> UInt8:
    """Noise, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plans(tmp_path: Path) -> list[str]:
    """The names of the plans in the test's cache, by what they begin with."""
    found = (tmp_path / "cache" / "idrn_trt" / "plans").glob("*.plan")
    return sorted(path.name.partition("-")[0] for path in found)


@pytest.mark.parametrize("kind", ["fp16", "fp32"])
def test_stand_in_detector_answers_as_onnxruntime(trt: State, kind: str) -> None:
    """Sizes by turns, old and new ones: each answer is ONNX Runtime's, and stays the caller's own."""
    ours, theirs = network(kind=kind), network("onnxruntime", kind)
    sizes = [*SIZES, *reversed(SIZES), (64, 64)]
    pictures = [picture(*size, seed=k) for k, size in enumerate(sizes)]
    answers = [ours.run(p) for p in pictures]
    for shown, (answer,) in zip(pictures, answers, strict=True):
        np.testing.assert_array_equal(answer, theirs.run(shown)[0])


def test_stand_in_yunet_answers_as_onnxruntime(trt: State, test_data: Path) -> None:
    """Nine outputs of three sizes each come out right and in their order: the same faces."""
    file = test_data / "detector" / "face_detection_yunet_2023mar.onnx"
    scene = cv2.imread(str(min((test_data / "scenes" / "test").glob("*.jpg"))))
    frame = np.ascontiguousarray(scene[..., ::-1])
    found = [
        open_detector("yunet", model_file=file, engine=engine, threads=1).detect(frame)
        for engine in ("tensorrt", "onnxruntime")
    ]
    assert found[0]
    assert found[0] == found[1]


def test_stand_in_cnn_sees_the_same_face(trt: State, astronaut: UInt8) -> None:
    """What float16 in TensorRT finds is within a pixel of what int8 in OpenVINO finds."""
    frame = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    ours, theirs = (
        CnnDetector(min_face_px=CNN_SMALLEST_FACE_PX, engine=engine, threads=1).detect(frame)
        for engine in ("tensorrt", "openvino")
    )
    assert len(ours) == 1
    for side in ("x", "y", "w", "h"):
        assert abs(getattr(ours[0].box, side) - getattr(theirs[0].box, side)) < 1


def test_stand_in_detector_is_built_once_for_every_size(
    trt: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One strongly typed plan with one dynamic profile, said when it is built; then it is read back."""
    CnnDetector(engine="tensorrt")
    assert ("create_network", 1) in trt.calls
    assert [c[1:] for c in trt.calls if c[0] == "set_shape"] == [
        ("lr_uint8", (1, 32, 32, 3), (1, 736, 1280, 3), (1, 4096, 4096, 3))
    ]
    assert "there is none yet" in caplog.text
    assert plans(tmp_path) == ["fp16"]
    trt.reset()
    caplog.clear()
    CnnDetector(engine="tensorrt", min_face_px=16).detect(picture(100, 300))
    assert "Builder" not in trt.names()
    assert caplog.text == ""


def test_stand_in_detector_sizes_are_kept(trt: State, driver: Driver) -> None:
    """The last four sizes are launched as they are; a fifth takes the place of the one longest unused."""
    ours = network()
    for size in SIZES[:4]:
        ours.run(picture(*size))
    made = driver.counts("allocations", "registrations", "captures")
    trt.reset()
    launches, waits = driver.count("launches"), driver.count("waits")
    for size in SIZES[:4]:
        ours.run(picture(*size))
    assert trt.calls == []
    assert driver.counts(*made) == made
    assert (driver.count("launches"), driver.count("waits")) == (launches + 4, waits + 4)
    ours.run(picture(*SIZES[4]))
    assert trt.alive["IExecutionContext"] == 4
    trt.reset()
    ours.run(picture(*SIZES[1]))
    assert trt.calls == []
    ours.run(picture(*SIZES[0]))
    assert "create_execution_context" in trt.names()


def test_stand_in_detector_leaves_nothing(trt: State, driver: Driver) -> None:
    """What it holds on the GPU goes with the detector, for which nobody has to call anything."""
    detector = CnnDetector(engine="tensorrt")
    detector.detect(picture(200, 300))
    assert not nothing_left(trt, driver)
    del detector
    gc.collect()
    assert nothing_left(trt, driver)


def test_stand_in_detector_without_a_graph(
    trt: State, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no graph can be captured the answers are the same, and one line says it for all sizes."""
    trt.faults["capture"] = 100
    launches = driver.count("launches")
    ours, theirs = network(), network("onnxruntime")
    for size in SIZES:
        shown = picture(*size)
        np.testing.assert_array_equal(ours.run(shown)[0], theirs.run(shown)[0])
    assert caplog.text.count("without a CUDA graph") == 1
    assert driver.count("launches") == launches


def test_stand_in_detector_refuses_what_is_too_large(trt: State) -> None:
    """A side beyond the plan's is refused with the limit and the option that shrinks frames."""
    with pytest.raises(EngineMismatch, match=r"up to 4096 px.*4128x64 px.*--min-face-px"):
        network().run(np.zeros((64, 4128, 3), np.uint8))


Break = Callable[[State, Driver], object]
AT_OPENING: dict[str, tuple[Break, type[IdrnError], str]] = {
    "operator": (
        lambda trt, _: trt.faults.update(parse=1), ModelError,
        r"cannot open detector 'idrn-face-detector'.*'body/warp' \(Warp\)"),
    "out of memory while building": (
        lambda trt, _: trt.faults.update(build=1), DeviceError, r"out of memory"),
    "no context": (
        lambda trt, _: trt.faults.update(context=1), DeviceError,
        r"a picture of 64x64 px.*OutOfMemory"),
    "kernel fails": (
        lambda trt, _: trt.faults.update(kernel=1), DeviceError, r"start it again"),
    "no GPU": (
        lambda _, driver: driver.devices(0), DeviceError, r"no CUDA-capable device.*nvidia-smi"),
    "a GeForce GTX 1060": (
        lambda _, driver: driver.capability(6, 1), DeviceError, r"6\.1, TensorRT 10 needs"),
}  # fmt: skip


@pytest.mark.parametrize("what", AT_OPENING)
def test_stand_in_detector_failure_at_opening(trt: State, driver: Driver, what: str) -> None:
    """The failure is one typed error that says what to do; nothing is left; the next opening works."""
    cause, error, message = AT_OPENING[what]
    cause(trt, driver)
    with pytest.raises(error, match=message) as caught:
        CnnDetector(engine="tensorrt")
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()
    assert nothing_left(trt, driver)
    trt.faults.clear()
    driver.reset()
    CnnDetector(engine="tensorrt")


def test_stand_in_detector_failure_at_a_new_size(trt: State, driver: Driver) -> None:
    """A size for which there is no memory is an error; the others, and then that one, still work."""
    ours = network()
    ours.run(picture(64, 64))
    driver.fail("cuMemHostRegister_v2", 2, after=1)
    with pytest.raises(DeviceError, match=r"page-locking .*out of memory"):
        ours.run(picture(96, 96))
    assert trt.alive["IExecutionContext"] == 1
    theirs = network("onnxruntime")
    for size in ((64, 64), (96, 96)):
        np.testing.assert_array_equal(ours.run(picture(*size))[0], theirs.run(picture(*size))[0])


def test_stand_in_upscaler_detects_where_it_enlarges(
    trt: State,
    driver: Driver,
    tiny_model: Path,
    tmp_path: Path,
    astronaut: UInt8,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With engine="tensorrt" the default detector runs there too; Haar does not, and needs nothing there."""
    import idrn_trt.engines.tensorrt as engine

    monkeypatch.setattr(engine, "chosen_options", lambda *_: SMALL)

    def upscaler(**options: Any) -> Upscaler:
        return Upscaler(tiny_model, engine="tensorrt", precision="fp16", **options)

    with upscaler(detector="haar"):
        assert trt.names().count("build_serialized_network") == 1
    with upscaler() as ours:
        assert trt.names().count("build_serialized_network") == 2
        frame = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
        assert len(ours.upscale(frame).faces) == 1
    assert plans(tmp_path) == ["fp16", "fp16"]
    del ours
    gc.collect()
    assert nothing_left(trt, driver)
