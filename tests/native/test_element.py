"""The GStreamer element in a pipeline gives what Python gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.faces.detect import open_detector
from idrn_trt.faces.haar import HAAR_CASCADE
from idrn_trt.faces.layout import background
from idrn_trt.faces.paste import feather_px
from idrn_trt.faces.window import CONTEXT_PX
from idrn_trt.types import Box, Face, FaceResult
from idrn_trt.upscaler import Upscaler

UInt8 = npt.NDArray[np.uint8]

MODEL = Path(__file__).parents[2] / "models" / "idrn-d8-w64-x4-real"
FRAMES, WIDTH, HEIGHT, SCALE = 8, 320, 240, 4


class Whole:
    """A detector whose boxes are whole pixels, as a region of interest's are; of what another found."""

    name = "whole"
    smallest_face_px = 24

    def __init__(self) -> None:
        self._detector = open_detector("haar")
        self.boxes: list[list[Box]] = []

    def detect(self, frame: UInt8) -> list[Face]:
        """The faces of a frame, which are also kept."""
        found = [
            Box(*map(round, (f.box.x, f.box.y, f.box.w, f.box.h)))
            for f in self._detector.detect(frame)
        ]
        self.boxes.append(found)
        return [Face(box, 1.0) for box in found]


@pytest.fixture(scope="module")
def frames(test_data: Path) -> UInt8:
    """The first frames of a webcam clip, made smaller, RGB."""
    av = pytest.importorskip("av")
    with av.open(str(test_data / "video" / "yes.mkv")) as clip:
        pictures = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(clip.decode(video=0), range(FRAMES), strict=False)
        ]
    small = [cv2.resize(p, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.asarray(small, np.uint8)


def _shown(face: FaceResult) -> tuple[slice, slice]:
    """Where a face is at full strength in the output."""

    def along(start: int, length: int) -> slice:
        edge = CONTEXT_PX + feather_px(length) + 1
        first = max(0, start + edge)
        return slice(first * SCALE, (first + length - 2 * edge) * SCALE)

    window = face.window
    return along(window.y, window.h), along(window.x, window.w)


def _through(
    command: list[str], element: str, plugin: Path, frames: UInt8, place: Path, scale: int = SCALE
) -> tuple[UInt8, str]:
    """The frames after a pipeline of that element, run by that program, and what that wrote."""
    (place / "in.rgb").write_bytes(frames.tobytes())
    pipeline = (
        f"filesrc location={place}/in.rgb ! "
        f"rawvideoparse format=rgb width={WIDTH} height={HEIGHT} framerate=25/1 ! "
        f"{element} model={MODEL} precision=int8 threads=1 ! filesink location={place}/out.rgb"
    )
    environment = {
        "GST_PLUGIN_PATH": str(plugin.parent),
        "GST_REGISTRY": str(place / "registry.bin"),
        "GST_REGISTRY_FORK": "no",
    }
    done = subprocess.run(
        [*command, *pipeline.split()],
        env={**os.environ, **environment},
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    out = np.fromfile(place / "out.rgb", np.uint8)
    return out.reshape(FRAMES, scale * HEIGHT, scale * WIDTH, 3), done.stdout


def test_pipeline_gives_python_s_frames(
    built: Callable[[str], Path], frames: UInt8, tmp_path: Path
) -> None:
    """A clip through the element: faces to the byte, the rest within a grey level of OpenCV's resizing."""
    player, plugin = built("examples/gst_boxes"), built("gst/libgstidrnsr.so")
    detector = Whole()
    with Upscaler(MODEL, "openvino", precision="int8", threads=1, detector=detector) as upscaler:
        expected = [upscaler.upscale(frame) for frame in frames]
    assert sum(len(result.faces) for result in expected) >= FRAMES // 2
    boxes = "".join(
        f"{number} {box.x} {box.y} {box.w} {box.h}\n"
        for number, found in enumerate(detector.boxes)
        for box in found
    )
    (tmp_path / "boxes.txt").write_text(boxes)
    command = [str(player), str(tmp_path / "boxes.txt")]
    frames_out, _ = _through(command, "idrnsr name=sr", plugin, frames, tmp_path)
    for got, result in zip(frames_out, expected, strict=True):
        assert np.abs(got.astype(int) - result.frame).max() <= 1
        for face in result.faces:
            np.testing.assert_array_equal(got[_shown(face)], result.frame[_shown(face)])


@pytest.fixture
def launch() -> str:
    """GStreamer's own program that runs a pipeline."""
    found = shutil.which("gst-launch-1.0")
    if found is None:
        pytest.skip("gst-launch-1.0 is not installed")
    return found


@pytest.fixture
def cascade(built: Callable[[str], Path], tmp_path: Path) -> Path:
    """OpenCV's cascade, at a path that a pipeline's description can hold, for an element that reads it."""
    cache = built("gst/libgstidrnsr.so").parents[2] / "CMakeCache.txt"
    if "OpenCV_DIR:PATH=OpenCV_DIR-NOTFOUND" in cache.read_text(encoding="utf-8"):
        pytest.skip("the element was built without OpenCV: install libopencv-dev and build again")
    place = tmp_path / HAAR_CASCADE
    place.write_bytes(Path(cv2.data.haarcascades, HAAR_CASCADE).read_bytes())
    return place


def test_cascade_finds_the_faces(
    built: Callable[[str], Path], launch: str, cascade: Path, frames: UInt8, tmp_path: Path
) -> None:
    """Without a detector the element's own cascade finds the faces that Python's finds."""
    plugin = built("gst/libgstidrnsr.so")
    detector = Whole()
    element = f"idrnsr cascade={cascade}"
    frames_out, _ = _through([launch, "--quiet"], element, plugin, frames, tmp_path)
    for got, frame in zip(frames_out, frames, strict=True):
        changed = np.abs(got.astype(int) - background(frame, SCALE * WIDTH, SCALE * HEIGHT)) > 2
        for face in detector.detect(frame):
            x, y, w, h = (SCALE * int(v) for v in (face.box.x, face.box.y, face.box.w, face.box.h))
            assert changed[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4].mean() > 0.2


def test_cascade_with_crops(
    built: Callable[[str], Path], launch: str, cascade: Path, frames: UInt8, tmp_path: Path
) -> None:
    """With mode=crops the cascade's faces are on the bus, and the frames pass as they are."""
    plugin = built("gst/libgstidrnsr.so")
    detector = Whole()
    with_faces = sum(bool(detector.detect(frame)) for frame in frames)
    element = f"idrnsr mode=crops cascade={cascade}"
    frames_out, said = _through([launch, "-m"], element, plugin, frames, tmp_path, scale=1)
    np.testing.assert_array_equal(frames_out, frames)
    assert said.count("idrn-faces") >= with_faces > 0
    for field in ("window-width", "window-height"):
        assert said.count(field) >= with_faces


def test_cascade_with_a_face_at_the_top(
    built: Callable[[str], Path], launch: str, cascade: Path, frames: UInt8, tmp_path: Path
) -> None:
    """A face whose box begins above the frame has its window at the frame's top in mode=crops."""
    plugin = built("gst/libgstidrnsr.so")
    (face,) = open_detector("haar").detect(frames[0])
    # As far as the cascade still finds it.
    shift = round(face.box.y + 0.1 * face.box.h)
    higher = np.roll(frames[:1], -shift, axis=1)
    higher[:, HEIGHT - shift :] = 0
    assert open_detector("haar").detect(higher[0])[0].box.y < -1
    clip = np.repeat(higher, FRAMES, axis=0)
    element = f"idrnsr mode=crops cascade={cascade}"
    _, said = _through([launch, "-m"], element, plugin, clip, tmp_path, scale=1)
    assert {int(y) for y in re.findall(r"window-y\W+int\W+(\d+)", said)} == {0}


def test_cascade_finds_the_smallest_faces(
    built: Callable[[str], Path], launch: str, cascade: Path, frames: UInt8, tmp_path: Path
) -> None:
    """min-face-px is of the face, as Python's is, not of the smaller square that a cascade finds it by."""
    plugin = built("gst/libgstidrnsr.so")
    small = np.zeros_like(frames)
    for frame, picture in zip(frames, small, strict=True):
        picture[: HEIGHT // 2, : WIDTH // 2] = cv2.resize(
            frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA
        )
    found = [face.box.h for picture in small for face in open_detector("haar").detect(picture)]
    assert found
    assert max(found) < 27
    element = f"idrnsr mode=crops cascade={cascade} min-face-px=24"
    _, said = _through([launch, "-m"], element, plugin, small, tmp_path, scale=1)
    assert "idrn-faces" in said
