"""What the network added to a face, on later pictures of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.faces.carry import AROUND_PX, Carrier, detail_of
from idrn_trt.faces.window import WINDOW_SHAPES_PX, cut, window_for
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sources import open_source

UInt8 = npt.NDArray[np.uint8]


def scene(shape: tuple[int, int], scale: int, x_px: float = 0.0, y_px: float = 0.0) -> UInt8:
    """A pattern of shape (s*h, s*w, 3), moved by so many low-resolution pixels.

    Waves in all directions, the coarser the stronger, as in photographs; those of periods below two pixels
    are lost in low resolution.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: scale * shape[0], : scale * shape[1]] / scale
    levels = np.full((*y.shape, 3), 128.0)
    for cycles_a_px in np.geomspace(0.02, 0.6, 60):
        turn, phase = rng.uniform(0, 2 * np.pi, 2)
        along = np.cos(turn) * (x - x_px) + np.sin(turn) * (y - y_px)
        wave = np.sin(2 * np.pi * cycles_a_px * along + phase)
        levels += wave[..., None] * rng.uniform(0.5, 1.5, 3) * min(10, 2 / cycles_a_px)
    return np.clip(levels, 0, 255).round().astype(np.uint8)


def shrunk(sr: UInt8, scale: int) -> UInt8:
    """A picture as a camera with pixels `scale` times as large sees it."""
    size = (sr.shape[1] // scale, sr.shape[0] // scale)
    return np.asarray(cv2.resize(sr, size, interpolation=cv2.INTER_AREA), np.uint8)


def plain(lr: UInt8, scale: int) -> UInt8:
    """By bicubic interpolation."""
    size = (lr.shape[1] * scale, lr.shape[0] * scale)
    return np.asarray(cv2.resize(lr, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def psnr_db(one: UInt8, other: UInt8, border_px: int = 0) -> float:
    """Of two pictures, without so many pixels at each edge."""
    inside = slice(border_px, -border_px or None)
    error = np.mean((one[inside, inside].astype(float) - other[inside, inside]) ** 2)
    return float(10 * np.log10(255**2 / max(float(error), 1e-9)))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_onto_its_own_picture_it_gives_the_networks(shape: tuple[int, int], scale: int) -> None:
    """Byte for byte, for every window and scale, uint8 and s times as large."""
    sr = scene(shape, scale)
    lr = shrunk(sr, scale)
    carried = Carrier().onto(detail_of(lr, sr), lr)
    assert carried.dtype == np.uint8
    assert carried.shape == (scale * shape[0], scale * shape[1], 3)
    np.testing.assert_array_equal(carried, sr)


def test_what_does_not_fit_a_byte_is_cut_off() -> None:
    """White made of black becomes as bright as a byte allows, and does not wrap around."""
    lr = np.zeros((32, 32, 3), np.uint8)
    carried = Carrier().onto(detail_of(lr, np.full((128, 128, 3), 255, np.uint8)), lr)
    assert (carried == 127).all()
    white = np.full((32, 32, 3), 255, np.uint8)
    carried = Carrier().onto(detail_of(white, np.zeros((128, 128, 3), np.uint8)), white)
    assert (carried == 127).all()


@pytest.mark.parametrize(
    ("moved_px", "closer_db"),
    [((1.0, 0.0), 15), ((2.0, -1.0), 15), ((0.5, 0.5), 2), ((-1.5, 0.0), 3)],
)
@pytest.mark.parametrize("shape", WINDOW_SHAPES_PX)
def test_a_face_that_moves_is_followed(
    shape: tuple[int, int], moved_px: tuple[float, float], closer_db: float
) -> None:
    """Inside, its picture is closer to the truth than plain enlargement: by far where it moves whole pixels.

    By halves, a camera's pixels see other waves than before, so what had to be added is another thing too.
    """
    sr = scene(shape, 4)
    truth = scene(shape, 4, *moved_px)
    lr = shrunk(truth, 4)
    carried = Carrier().onto(detail_of(shrunk(sr, 4), sr), lr)
    assert psnr_db(carried, truth, 16) > psnr_db(plain(lr, 4), truth, 16) + closer_db


def test_where_something_else_is_seen_nothing_is_added() -> None:
    """There the picture is plain, pixel for pixel; elsewhere it is still the network's."""
    sr = scene((64, 48), 4)
    lr = shrunk(sr, 4)
    other = lr.copy()
    other[40:, :] = np.random.default_rng(0).integers(0, 256, other[40:, :].shape)
    carried = Carrier().onto(detail_of(lr, sr), other)
    inside = 4 * (40 + AROUND_PX)
    np.testing.assert_array_equal(carried[inside:], plain(other, 4)[inside:])
    assert psnr_db(carried[: 4 * 24], sr[: 4 * 24]) > 40


def test_a_wholly_different_window_is_plain() -> None:
    """Noise carries nothing of a face."""
    sr = scene((48, 40), 3)
    noise = np.random.default_rng(1).integers(0, 256, (48, 40, 3), np.uint8)
    carried = Carrier().onto(detail_of(shrunk(sr, 3), sr), noise)
    np.testing.assert_array_equal(carried, plain(noise, 3))


def test_pictures_are_the_callers_own() -> None:
    """Nothing given is written to, nothing returned is shared, with arguments or the next call."""
    sr = scene((48, 40), 4)
    lr, later = shrunk(sr, 4), shrunk(scene((48, 40), 4, 1.0), 4)
    given = [array.copy() for array in (lr, sr, later)]
    carrier, detail = Carrier(), detail_of(lr, sr)
    one = carrier.onto(detail, later)
    kept = one.copy()
    other = carrier.onto(detail, lr)
    for array, before in zip((lr, sr, later), given, strict=True):
        np.testing.assert_array_equal(array, before)
    for mine in (lr, sr, later, detail.added, detail.grey, other):
        assert not np.shares_memory(one, mine)
    one[:] = 0
    np.testing.assert_array_equal(carrier.onto(detail, later), kept)


def test_on_a_real_face_it_is_close_to_the_networks_own(test_data: Path) -> None:
    """Four frames later: at least 38 dB over the window, and closer than plain enlargement, in each frame."""
    source = open_source(str(test_data / "video" / "help.mkv"))
    source.open()
    try:
        frames = [frame.rgb for _ in range(12) if (frame := source.read()) is not None]
    finally:
        source.close()
    with Upscaler(engine="openvino", precision="int8", detector="haar") as upscaler:
        (face,) = upscaler.detector.detect(frames[0])
        window = window_for(face.box, *frames[0].shape[:2])
        assert window is not None
        crops = [cut(frame, window) for frame in frames]
        made = [upscaler.enlarge([window], [lr])[0] for lr in crops]
    carrier = Carrier()
    assert len(made) == 12
    for first in range(8):
        lr, truth = crops[first + 4], made[first + 4]
        near_db = psnr_db(carrier.onto(detail_of(crops[first], made[first]), lr), truth)
        assert near_db >= 38
        assert near_db > psnr_db(plain(lr, 4), truth)
