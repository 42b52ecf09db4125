"""Face detectors, on the astronaut photograph and, where there is a folder of them, on real clips."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt import zoo
from idrn_trt.errors import BackendUnavailable, ModelError, OptionError
from idrn_trt.faces.detect import DETECTORS, Detector, describe_detectors, open_detector
from idrn_trt.faces.haar import HAAR_SMALLEST_FACE_PX
from idrn_trt.types import Box

UInt8 = npt.NDArray[np.uint8]

# The astronaut's face, brow to chin, measured on the 512x512 picture.
ASTRONAUT = Box(175, 70, 95, 115)


def yunet_file(test_data: Path) -> Path:
    """YuNet's model file."""
    return test_data / "detector" / "face_detection_yunet_2023mar.onnx"


@pytest.fixture(params=DETECTORS)
def name(request: pytest.FixtureRequest) -> str:
    """Every detector's name."""
    return str(request.param)


def opened(
    name: str, request: pytest.FixtureRequest, *, min_face_px: int = 24, upscale: bool = False
) -> Detector:
    """That detector, with its file where it needs one (skips when there is none)."""
    file = yunet_file(request.getfixturevalue("test_data")) if name == "yunet" else None
    return open_detector(name, min_face_px=min_face_px, model_file=file, upscale=upscale)


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return box.x + box.w / 2, box.y + box.h / 2


def holds(box: Box, point: tuple[float, float]) -> bool:
    """Whether a point lies in a box."""
    return box.x <= point[0] <= box.x + box.w and box.y <= point[1] <= box.y + box.h


@pytest.mark.parametrize("min_face_px", [24, 60])
def test_a_face_is_found_in_frame_pixels(
    name: str, min_face_px: int, astronaut: UInt8, request: pytest.FixtureRequest
) -> None:
    """The astronaut's face is found where it is, at native scale and on a shrunk frame."""
    detector = opened(name, request, min_face_px=min_face_px)
    frame = np.pad(astronaut, ((30, 0), (100, 0), (0, 0)), mode="edge")
    faces = detector.detect(frame)
    middle = centre(ASTRONAUT)
    found = [face for face in faces if holds(face.box, (middle[0] + 100, middle[1] + 30))]
    assert len(found) == 1
    assert 70 <= max(found[0].box.w, found[0].box.h) <= 160


def test_grey_frames_and_repetition(
    name: str, astronaut: UInt8, request: pytest.FixtureRequest
) -> None:
    """A grey (H, W) frame shows the same face, and the same frame always gives the same list."""
    detector = opened(name, request)
    first = detector.detect(astronaut)
    assert detector.detect(astronaut) == first
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    assert any(holds(face.box, centre(ASTRONAUT)) for face in detector.detect(grey))


def test_two_faces_come_from_left_to_right_and_once(
    name: str, astronaut: UInt8, request: pytest.FixtureRequest
) -> None:
    """Two faces side by side are two boxes, in the order of their left edges, none within another."""
    detector = opened(name, request, min_face_px=60)
    faces = detector.detect(np.hstack([astronaut[:300, 100:400]] * 2))
    at = [[f for f in faces if holds(f.box, (x, 130))] for x in (122, 422)]
    assert [len(some) for some in at] == [1, 1]
    assert [face.box.x for face in faces] == sorted(face.box.x for face in faces)


def test_the_smallest_face_follows_from_what_is_asked_and_seen(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Larger faces asked for are seen from there on; smaller ones only when enlarging is allowed."""
    least = opened(name, request, min_face_px=8).smallest_face_px
    assert least <= 24
    assert opened(name, request, min_face_px=50).smallest_face_px == 50
    assert opened(name, request, min_face_px=12).smallest_face_px == least
    assert opened(name, request, min_face_px=12, upscale=True).smallest_face_px == 12


def test_enlarging_finds_a_smaller_face(
    name: str, astronaut: UInt8, request: pytest.FixtureRequest
) -> None:
    """A face too small at native scale is found, in frame pixels, when the frame may be enlarged."""
    # The face then measures 10, 20 and 13 px.
    size, px = {"cnn": (44, 8), "haar": (90, 12), "yunet": (56, 12)}[name]
    small = cv2.resize(astronaut, (size, size), interpolation=cv2.INTER_AREA)
    assert opened(name, request, min_face_px=px).detect(small) == []
    faces = opened(name, request, min_face_px=px, upscale=True).detect(small)
    x, y = centre(ASTRONAUT)
    assert any(holds(face.box, (x * size / 512, y * size / 512)) for face in faces)


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (1, 4000), (3, 3000), (3000, 3), (19, 21), (7, 9), (23, 23)]
)
@pytest.mark.parametrize("min_face_px", [8, 24, 4000])
def test_frames_too_small_for_a_face_have_none(
    name: str, shape: tuple[int, int], min_face_px: int, request: pytest.FixtureRequest
) -> None:
    """No frame is too small or too narrow to be looked at, colour or grey; no face is in it."""
    rng = np.random.default_rng(0)
    for upscale in (False, True):
        detector = opened(name, request, min_face_px=min_face_px, upscale=upscale)
        for frame_shape in ((*shape, 3), shape):
            frame = rng.integers(0, 256, frame_shape, np.uint8)
            assert detector.detect(frame) == [] or (upscale and min(shape) >= 8)


def test_frames_of_changing_size(
    name: str, astronaut: UInt8, request: pytest.FixtureRequest
) -> None:
    """One detector takes frames of any size in turn."""
    detector = opened(name, request)
    for frame in (astronaut, astronaut[:255, 100:401], astronaut[:1], astronaut):
        faces = detector.detect(frame)
    assert any(holds(face.box, centre(ASTRONAUT)) for face in faces)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [("har", "Did you mean 'haar'"), ("YuNet", "Did you mean 'yunet'"), ("xqz", "haar, yunet")],
)
def test_an_unknown_name_is_refused(asked: str, answer: str) -> None:
    """A name that is no detector's is an OptionError with the nearest name and all of them."""
    with pytest.raises(OptionError, match=answer):
        open_detector(asked)


def test_options_that_are_none() -> None:
    """YuNet without its file, and a face smaller than any, are OptionErrors that say what to give."""
    with pytest.raises(OptionError, match="model_file"):
        open_detector("yunet")
    for unfit in (7, math.nan, math.inf):
        with pytest.raises(OptionError, match="at least 8"):
            open_detector("haar", min_face_px=unfit)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, b"", b"not a network"], ids=["missing", "empty", "text"])
def test_a_file_that_is_no_yunet(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or foreign model file is a ModelError that names it."""
    file = tmp_path / "yunet.onnx"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelError, match=r"yunet\.onnx"):
        open_detector("yunet", model_file=file)


def test_a_damaged_yunet(tmp_path: Path, test_data: Path) -> None:
    """A YuNet file cut off in the middle is a ModelError."""
    file = tmp_path / "cut.onnx"
    file.write_bytes(yunet_file(test_data).read_bytes()[:100_000])
    with pytest.raises(ModelError, match="damaged"):
        open_detector("yunet", model_file=file)


def test_an_opencv_without_cascades(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where OpenCV carries no cascades, as version 5, haar is unavailable and the remedy is said."""
    monkeypatch.setattr(cv2.data, "haarcascades", f"{tmp_path}{os.sep}")
    with pytest.raises(BackendUnavailable, match=r"opencv-python>=4\.8,<5"):
        open_detector("haar")
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(BackendUnavailable, match=r"opencv-python>=4\.8,<5"):
        open_detector("haar")


def test_faces_of_the_smallest_size_are_found(test_data: Path) -> None:
    """Of forty real faces of the size said to be the smallest, on plain grey, nine in ten are found."""
    files = sorted((test_data / "faces" / "test").glob("*.jpg"))[::4][:40]
    detector = open_detector("haar")
    side = round(HAAR_SMALLEST_FACE_PX * 1.3)
    found = 0
    for file in files:
        frame = np.full((100, 100, 3), 128, np.uint8)
        crop = cv2.imread(str(file))[..., ::-1]
        small = cv2.resize(np.ascontiguousarray(crop), (side, side), interpolation=cv2.INTER_AREA)
        frame[40 : 40 + side, 30 : 30 + side] = small
        middle = (30 + side / 2, 40 + side / 2)
        found += any(holds(face.box, middle) for face in detector.detect(frame))
    assert found >= 36


def test_yunet_in_either_engine(test_data: Path, astronaut: UInt8) -> None:
    """ONNX Runtime finds what OpenVINO finds, in frames of other sizes than the one YuNet's file states."""
    pytest.importorskip("onnxruntime")
    for width in (512, 300):
        frame = cv2.resize(astronaut, (width, 512), interpolation=cv2.INTER_AREA)
        first, second = (
            open_detector("yunet", model_file=yunet_file(test_data), engine=engine).detect(frame)
            for engine in ("openvino", "onnxruntime")
        )
        assert len(first) == len(second) == 1
        assert np.hypot(*np.subtract(centre(first[0].box), centre(second[0].box))) < 0.1


def test_clips(test_data: Path) -> None:
    """In a sample of frames from every clip, 95 % have a face where YuNet has one."""
    haar = open_detector("haar")
    yunet = open_detector("yunet", model_file=yunet_file(test_data))
    found = total = 0
    for file in sorted((test_data / "video").glob("*.mkv")):
        clip = cv2.VideoCapture(str(file))
        for _ in range(3):
            for _ in range(12):
                clip.grab()
            frame = np.ascontiguousarray(clip.retrieve()[1][..., ::-1])
            truth = max(yunet.detect(frame), key=lambda face: face.score)
            total += 1
            found += any(holds(face.box, centre(truth.box)) for face in haar.detect(frame))
        clip.release()
    assert total == 36
    assert found >= 0.95 * total


def test_doctor_names_every_detector() -> None:
    """Each detector is described: ours and Haar as ready, YuNet with the file it still needs."""
    cnn, haar, yunet = described = describe_detectors()
    assert (cnn.usable, cnn.reason) == (haar.usable, haar.reason) == (True, "")
    assert "--detector-model" in yunet.reason
    assert [status.name for status in described] == list(DETECTORS)


def test_doctor_says_why_ours_is_not_usable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where its model is not carried along, that is said and the others are described all the same."""
    monkeypatch.setattr(zoo, "search_path", lambda: [tmp_path])
    cnn, haar, _ = describe_detectors()
    assert not cnn.usable
    assert "idrn-face-detector" in cnn.reason
    assert haar.usable
