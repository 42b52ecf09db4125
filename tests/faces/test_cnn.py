"""Our detector as it is carried along, and everything that it may be given."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import idrn_trt
from idrn_trt.errors import BackendUnavailable, ModelError, OptionError
from idrn_trt.faces.cnn import CNN_SMALLEST_FACE_PX, CnnDetector
from idrn_trt.types import Face
from idrn_trt.zoo import DETECTOR_MODEL, find_model

UInt8 = npt.NDArray[np.uint8]

ROOT = Path(idrn_trt.__file__).parents[1]


@pytest.fixture(scope="module")
def detector() -> CnnDetector:
    """The detector on frames at their own scale."""
    return CnnDetector(min_face_px=CNN_SMALLEST_FACE_PX, threads=1)


def middles(faces: list[Face]) -> npt.NDArray[np.float64]:
    """The middle of each box, (n, 2)."""
    return np.array([(f.box.x + f.box.w / 2, f.box.y + f.box.h / 2) for f in faces]).reshape(-1, 2)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])  # tensorrt: tests/standin
def test_every_engine_sees_the_same_face(
    engine: str, detector: CnnDetector, astronaut: UInt8
) -> None:
    """OpenVINO and ONNX Runtime find the same face within a pixel."""
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    frame = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    other = CnnDetector(min_face_px=CNN_SMALLEST_FACE_PX, engine=engine, threads=1)
    np.testing.assert_allclose(
        middles(other.detect(frame)), middles(detector.detect(frame)), atol=1
    )
    assert len(detector.detect(frame)) == 1


def test_an_unknown_engine_is_refused() -> None:
    """An engine that no detector runs in is an OptionError that names those there are."""
    with pytest.raises(OptionError, match="openvino, onnxruntime, tensorrt"):
        CnnDetector(engine="bicubic")


def test_tensorrt_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named where it is not installed, TensorRT is refused with how to get it; nothing else is taken."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match=r"TensorRT.*pip install 'idrn-trt\[tensorrt\]'"):
        CnnDetector(engine="tensorrt")


def test_a_model_without_a_file_for_tensorrt(model: Path) -> None:
    """A folder that holds the CPU's file alone is a ModelError that says what is missing."""
    for kind in ("fp16", "fp32"):
        find_model(model).file(kind).unlink()
    with pytest.raises(ModelError, match=r"'model\.fp16\.onnx' is missing"):
        CnnDetector(model, engine="tensorrt")


@pytest.mark.parametrize(
    "shape",
    [
        (0, 0, 3),
        (0, 50, 3),
        (50, 0, 3),
        (1, 1, 3),
        (15, 200, 3),
        (31, 31, 3),
        (5, 8000, 3),
        (8000, 5),
    ],
)
def test_tiny_empty_and_thin_frames_have_no_face(
    shape: tuple[int, ...], detector: CnnDetector
) -> None:
    """Grey frames without room for a face, or without a pixel, give an empty list."""
    assert detector.detect(np.full(shape, 90, np.uint8)) == []


def test_a_thin_frame_is_looked_at(detector: CnnDetector, astronaut: UInt8) -> None:
    """A face in a frame forty times as wide as it is high is found."""
    small = cv2.resize(astronaut[50:210, 140:300], (48, 48), interpolation=cv2.INTER_AREA)
    frame = np.full((48, 1920, 3), 128, np.uint8)
    frame[:, 1000:1048] = small
    assert len(detector.detect(frame)) == 1


def test_a_face_in_a_4k_frame(detector: CnnDetector, astronaut: UInt8) -> None:
    """3840x2160 is looked at whole: a face near its far corner is found there."""
    frame = np.full((2160, 3840, 3), 60, np.uint8)
    frame[1900:2028, 3600:3728] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    ((x, y),) = middles(detector.detect(frame)).tolist()
    assert abs(x - 3656) < 8
    assert abs(y - 1932) < 8


def test_grey_frames_are_looked_at(detector: CnnDetector, astronaut: UInt8) -> None:
    """A frame (H, W) shows the face that its colours show, within a tenth of its size."""
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    surest = [
        max(detector.detect(frame), key=lambda face: face.score) for frame in (grey, astronaut)
    ]
    first, second = middles(surest)
    assert abs(first - second).max() < 12


def test_16_bit_frames_are_refused(detector: CnnDetector) -> None:
    """Levels that would wrap around are an OptionError, not a wrong answer."""
    with pytest.raises(OptionError, match="uint16"):
        detector.detect(np.zeros((64, 64, 3), np.uint16))  # type: ignore[arg-type]  # on purpose


def test_five_hundred_faces(detector: CnnDetector, astronaut: UInt8) -> None:
    """A wall of 500 faces gives a box for nearly each, and no two boxes for one."""
    face = cv2.resize(astronaut[40:232, 124:316], (48, 48), interpolation=cv2.INTER_AREA)
    found = middles(detector.detect(np.tile(face, (20, 25, 1))))
    places = {(int(x // 48), int(y // 48)) for x, y in found.tolist()}
    assert len(places) == len(found)
    assert 475 <= len(found) <= 500


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the model's folder."""
    folder = find_model(DETECTOR_MODEL).folder
    return Path(shutil.copytree(folder, tmp_path / DETECTOR_MODEL))


def test_a_model_of_ones_own(model: Path, astronaut: UInt8, detector: CnnDetector) -> None:
    """A folder may be given in the place of the carried one."""
    own = CnnDetector(model, min_face_px=CNN_SMALLEST_FACE_PX, threads=1)
    assert own.detect(astronaut) == detector.detect(astronaut)


def _flipped(model: Path) -> None:
    file = model / "model.int8-cpu.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _cut(model: Path) -> None:
    file = model / "model.int8-cpu.onnx"
    file.write_bytes(file.read_bytes()[:1000])


def _without_task(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_bytes())
    del manifest["task"]
    (model / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [(_flipped, "altered"), (_cut, "altered"), (_without_task, "scale")],
)
def test_a_damaged_model(model: Path, damage: Callable[[Path], None], message: str) -> None:
    """A file with another bit or length, and a manifest of another kind, are ModelErrors."""
    damage(model)
    with pytest.raises(ModelError, match=message):
        CnnDetector(model)


def test_a_model_of_another_kind(tiny_model: Path, tmp_path: Path) -> None:
    """A super-resolution model, a bare file and what is no model are refused by what they are."""
    with pytest.raises(ModelError, match=r"'tiny-x4' is no face detector"):
        CnnDetector(tiny_model)
    with pytest.raises(ModelError, match="is no face detector"):
        CnnDetector(tiny_model / "model.onnx")
    with pytest.raises(ModelError, match="no model named"):
        CnnDetector(tmp_path / "nothing")


def test_a_detector_whose_network_answers_otherwise(model: Path, tiny_model: Path) -> None:
    """A folder that says it detects but holds another network is a ModelError with what it answers."""
    manifest = json.loads((model / "manifest.json").read_bytes())
    entry = json.loads((tiny_model / "manifest.json").read_bytes())["files"]["fp32"]
    shutil.copy(tiny_model / "model.onnx", model / "model.onnx")
    manifest["files"] = {"fp32": entry}
    (model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"answers \(3, 256, 256\)"):
        CnnDetector(model)
