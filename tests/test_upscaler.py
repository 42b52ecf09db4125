"""The upscaler: from a frame to a frame with clear faces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from told import Told

from idrn_trt.engines import open_engine
from idrn_trt.errors import DeviceError, OptionError
from idrn_trt.faces.layout import background
from idrn_trt.faces.window import CONTEXT_PX, cut
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.types import Box, EngineSpec, FaceResult, Window
from idrn_trt.upscaler import Upscaler
from idrn_trt.zoo import DEFAULT_MODEL

UInt8 = npt.NDArray[np.uint8]


class Counting:
    """An engine that counts the calls and batch sizes it passes on."""

    def __init__(self) -> None:
        self.inner = open_engine(DEFAULT_MODEL, engine="bicubic")
        self.batches: list[tuple[int, ...]] = []
        self.notes: list[str] = []

    @property
    def spec(self) -> EngineSpec:
        return self.inner.spec

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        self.batches.append(batch.shape)
        return self.inner.run(batch, out)

    def close(self) -> None:
        self.inner.close()


def smooth_frame(height: int = 240, width: int = 320, seed: int = 0) -> UInt8:
    """A frame of soft random colours, as little like a face as like an edge."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def upscaler() -> Iterator[Upscaler]:
    """The product as a user gets it: default model, engine and detector."""
    with Upscaler() as upscaler:
        yield upscaler


def test_without_a_face_the_frame_is_interpolated() -> None:
    """A frame without a face is its plain enlargement, and no face is reported."""
    frame = smooth_frame()
    with Upscaler(engine="bicubic", detector=Told()) as upscaler:
        result = upscaler.upscale(frame)
    assert result.faces == []
    assert np.array_equal(result.frame, background(frame, 1280, 960))


def test_a_face_keeps_its_own_pixels() -> None:
    """A face's lr is the window's native pixels, sr s times as large, and the frame is not touched."""
    frame = smooth_frame()
    before = frame.copy()
    with Upscaler(engine="bicubic", detector=Told(Box(100, 80, 30, 30))) as upscaler:
        result = upscaler.upscale(frame)
    (face,) = result.faces
    window = face.window
    native = frame[window.y : window.y + window.h, window.x : window.x + window.w]
    assert np.array_equal(face.lr, native)
    assert face.sr.shape == (4 * window.h, 4 * window.w, 3)
    assert np.array_equal(frame, before)
    assert set(result.times_ms) == {"detect", "window", "engine", "paste", "total"}
    assert result.times_ms["total"] >= result.times_ms["engine"] > 0


def test_windows_of_one_shape_are_one_engine_call() -> None:
    """Faces are batched by window shape: three faces of two sizes take two calls."""
    engine = Counting()
    boxes = (Box(20, 20, 20, 20), Box(120, 60, 20, 20), Box(200, 100, 45, 60))
    result = Upscaler(engine=engine, detector=Told(*boxes)).upscale(smooth_frame())
    assert sorted(engine.batches) == [(1, 80, 64, 3), (2, 32, 32, 3)]
    assert [f.window.shape for f in result.faces] == [(32, 32), (32, 32), (80, 64)]
    for face in result.faces:
        alone = engine.inner.run(face.lr[None])[0]
        assert np.array_equal(face.sr, alone)


def test_two_hundred_faces() -> None:
    """A crowd is cut into calls no larger than the engine takes, each face with its own picture."""
    rng = np.random.default_rng(3)
    boxes = [Box(float(x), float(y), 20, 20) for x, y in rng.integers(0, 220, (200, 2))]
    engine = Counting()
    result = Upscaler(engine=engine, detector=Told(*boxes)).upscale(smooth_frame())
    assert len(result.faces) == 200
    assert max(shape[0] for shape in engine.batches) <= engine.spec.max_batch
    assert np.array_equal(result.faces[-1].sr, engine.inner.run(result.faces[-1].lr[None])[0])


def test_a_face_beyond_the_largest_window_is_left() -> None:
    """A face larger than any window is counted and left to the plain enlargement."""
    frame = smooth_frame()
    with Upscaler(engine="bicubic", detector=Told(Box(20, 20, 180, 180))) as upscaler:
        result = upscaler.upscale(frame)
    assert result.faces == []
    assert len(result.too_large) == 1
    assert np.array_equal(result.frame, background(frame, 1280, 960))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (20, 20)])
def test_tiny_frames(size: tuple[int, int]) -> None:
    """Frames smaller than any window still come out, with a face in them too."""
    frame = smooth_frame(*size)
    with Upscaler(engine="bicubic", detector=Told(Box(0, 0, size[1], size[0]))) as upscaler:
        result = upscaler.upscale(frame)
    assert result.frame.shape == (4 * size[0], 4 * size[1], 3)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.float32),
    ],
    ids=["grey", "alpha", "empty", "float"],
)
def test_what_is_no_frame_is_refused(frame: UInt8) -> None:
    """Anything but uint8 RGB (H, W, 3) is an OptionError that gives what it got."""
    with (
        Upscaler(engine="bicubic", detector=Told()) as upscaler,
        pytest.raises(OptionError, match="a frame must be"),
    ):
        upscaler.upscale(frame)


def test_an_engine_given_stays_the_callers() -> None:
    """close() releases an engine the upscaler opened, and leaves one that it was given open."""
    window = np.zeros((1, 32, 32, 3), np.uint8)
    with closing(open_engine(DEFAULT_MODEL, engine="bicubic")) as engine:
        Upscaler(engine=engine, detector=Told()).close()
        assert engine.run(window).shape == (1, 128, 128, 3)
    own = Upscaler(engine="bicubic", detector=Told())
    own.close()
    own.close()
    with pytest.raises(DeviceError, match="closed"):
        own.engine.run(window)


@pytest.mark.parametrize("wrong", [{"out_size": (640,)}, {"frame_scale": 3}], ids=str)
def test_an_output_size_is_checked_before_anything_is_opened(wrong: dict[str, object]) -> None:
    """A size that cannot be is refused when the upscaler is made, not at its first frame."""
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Upscaler("no such model", detector=Told(), **wrong)  # type: ignore[arg-type]


def test_a_closed_upscaler_is_refused_with_and_without_faces() -> None:
    """After close() every frame is an error that says so, not only the first with a face in it."""
    for detector in (Told(), Told(Box(100, 80, 30, 30))):
        upscaler = Upscaler(engine="bicubic", detector=detector)
        upscaler.close()
        with pytest.raises(DeviceError, match="closed"):
            upscaler.upscale(smooth_frame())


def test_threads_share_one_upscaler(upscaler: Upscaler, astronaut: UInt8) -> None:
    """Threads with frames of their own get what each would get alone; the detector sees one at a time."""
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    frames = [small, smooth_frame(96, 128), np.ascontiguousarray(small[:, ::-1])]
    expected = [upscaler.upscale(frame).frame for frame in frames]

    def several(place: int) -> bool:
        return all(
            np.array_equal(upscaler.upscale(frames[place]).frame, expected[place]) for _ in range(8)
        )

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(several, range(3))) == [True] * 3


def face_and_truth(model: str, photo: UInt8, truth: UInt8) -> tuple[FaceResult, UInt8]:
    """The one face of a photo, and the same part of the photo at four times its size."""
    with Upscaler(model) as upscaler:
        (face,) = upscaler.upscale(photo).faces
    window = Window(*(4 * n for n in astuple(face.window)))
    return face, cut(truth, window)


def test_a_clean_face_becomes_clearer_than_bicubic(astronaut: UInt8) -> None:
    """On a real photograph reduced four times the paper's model is nearer to the truth by 1 dB."""
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    face, truth = face_and_truth("idrn-d8-w64-x4", small, astronaut)
    plain = cv2.resize(face.lr, truth.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    assert psnr_y(face.sr, truth) > psnr_y(plain, truth) + 1.0


def test_a_compressed_face_is_better_by_the_default_model(astronaut: UInt8) -> None:
    """After strong JPEG compression the default model is nearer to the truth than the paper's."""
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    small = cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    ours, truth = face_and_truth(DEFAULT_MODEL, small, astronaut)
    papers, _ = face_and_truth("idrn-d8-w64-x4", small, astronaut)
    assert psnr_y(ours.sr, truth) > psnr_y(papers.sr, truth) + 0.1


def test_shifting_a_window_hardly_changes_the_face(upscaler: Upscaler, astronaut: UInt8) -> None:
    """Inside the context border, windows one pixel apart agree to 1 grey level on average."""
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    (face,) = upscaler.upscale(small).faces
    aside = replace(face.window, x=face.window.x + 1)
    here = upscaler.engine.run(cut(small, face.window)[None])[0].copy()
    there = upscaler.engine.run(cut(small, aside)[None])[0].copy()
    edge = 4 * CONTEXT_PX
    inner = here[edge:-edge, edge + 4 : -edge].astype(int)
    same = there[edge:-edge, edge : -edge - 4].astype(int)
    assert np.abs(inner - same).mean() <= 1.0
