"""Parts of a picture at another scale, against the whole picture resized."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.faces.resample import (
    BETWEEN,
    WEIGHT,
    Ints,
    Taps,
    axis_taps,
    column_bands,
    resample,
    row_bands,
)

UInt8 = npt.NDArray[np.uint8]


def noise(height: int, width: int) -> UInt8:
    """A picture of the highest contrast there is: rounding shows most on it."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def whole(picture: UInt8, width: int, height: int) -> UInt8:
    """The whole picture resized."""
    h, w = picture.shape[:2]
    rows = axis_taps(h, height, (0, height), 0, (0, h))
    return resampled(picture, rows, axis_taps(w, width, (0, width), 0, (0, w)))


def resampled(picture: UInt8, rows: Taps, columns: Taps) -> UInt8:
    """The picture with both axes' taps."""
    lines = resample(picture, row_bands(rows), column_bands(columns))
    return lines.reshape(len(lines), -1, 3)


def halves_even(values: Ints, divisor: int) -> Ints:
    """Whole numbers divided and rounded, halves to the even one."""
    quotient, rest = np.divmod(values, divisor)
    return quotient + (2 * rest + (quotient & 1) > divisor)


def in_whole_numbers(picture: UInt8, rows: Taps, columns: Taps) -> Ints:
    """The result by its definition in the module's first lines."""
    lines = picture[rows.places].astype(np.int64) * rows.weights[..., None, None]
    between = halves_even(BETWEEN * lines.sum(axis=1), WEIGHT)
    pixels = between[:, columns.places] * columns.weights[..., None]
    return np.clip(halves_even(pixels.sum(axis=2), BETWEEN * WEIGHT), 0, 255)


def overlaps(size_in: int, size_out: int) -> npt.NDArray[np.float64]:
    """How much of output pixel i lies on input pixel j, by the definition of an area mean."""
    edge_out = np.arange(size_out + 1) * size_in / size_out
    edge_in = np.arange(size_in + 1)
    low = np.maximum(edge_out[:-1, None], edge_in[None, :-1])
    high = np.minimum(edge_out[1:, None], edge_in[None, 1:])
    return np.maximum(high - low, 0) * size_out / size_in


@pytest.mark.parametrize(
    "size", [(36, 27), (63, 48), (61, 47), (32, 24), (64, 48), (13, 9), (1, 1), (64, 7)]
)
def test_shrinking_is_the_exact_area_mean(size: tuple[int, int]) -> None:
    """Every output pixel is within 0.75 of a level of the unrounded mean of what it covers."""
    picture = noise(48, 64)
    got = whole(picture, *size).astype(float)
    exact = overlaps(48, size[1]) @ picture.transpose(2, 0, 1) @ overlaps(64, size[0]).T
    assert np.abs(got - exact.transpose(1, 2, 0)).max() <= 0.75


@pytest.mark.parametrize("size", [(128, 96), (96, 72), (67, 101), (640, 480)])
def test_enlarging_is_what_opencv_does(size: tuple[int, int]) -> None:
    """Every pixel is within one level of cv2.resize's bicubic, and hardly any differs at all."""
    picture = noise(48, 64)
    got = whole(picture, *size).astype(int)
    difference = np.abs(got - cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.05


@pytest.mark.parametrize("size", [(48, 36), (36, 27), (61, 47), (67, 101), (640, 480), (1, 1)])
def test_the_result_is_its_definition(size: tuple[int, int]) -> None:
    """Every byte is what whole numbers give, halves and overshoot included."""
    noisy = noise(48, 64)
    columns = axis_taps(64, size[0], (0, size[0]), 0, (0, 64))
    rows = axis_taps(48, size[1], (0, size[1]), 0, (0, 48))
    for picture in (noisy, noisy & 3, np.where(noisy < 128, 0, 255).astype(np.uint8)):
        got = resampled(picture, rows, columns)
        assert np.array_equal(got, in_whole_numbers(picture, rows, columns))


@pytest.mark.parametrize("size", [(36, 27), (61, 47), (67, 101), (10, 60)])
def test_a_part_is_a_part_of_the_whole(size: tuple[int, int]) -> None:
    """From the input pixels that a part needs, its pixels are those of the whole, to the last bit."""
    picture = noise(48, 64)
    want = whole(picture, *size)
    x, y = (size[0] // 3, size[0] // 3 + 4), (size[1] // 4, size[1] // 4 + 5)
    left, top = x[0] * 64 // size[0] - 2, y[0] * 48 // size[1] - 2
    part = picture[top : top + 30, left : left + 40]
    rows = axis_taps(48, size[1], y, top, (0, len(part)))
    columns = axis_taps(64, size[0], x, left, (0, part.shape[1]))
    assert np.array_equal(resampled(part, rows, columns), want[y[0] : y[1], x[0] : x[1]])


def test_flat_pictures_stay_flat() -> None:
    """The weights of every output add up to one, so no level is ever shifted, at any ratio."""
    rng = np.random.default_rng(0)
    for size_in, size_out in rng.integers(1, 700, (200, 2)).tolist():
        taps = axis_taps(size_in, size_out, (0, size_out), 0, (0, size_in))
        assert np.all(taps.weights.sum(axis=1) == WEIGHT)


def test_pixels_outside_are_not_read() -> None:
    """What lies beyond the pixels said to be inside never shows, however the part is resized."""
    picture = noise(40, 40)
    other = picture.copy()
    other[:4] = other[-4:] = other[:, :4] = other[:, -4:] = 255
    for size_out in (20, 33, 40, 77):
        taps = axis_taps(40, size_out, (0, size_out), 0, (4, 36))
        assert np.array_equal(resampled(picture, taps, taps), resampled(other, taps, taps))


def test_threads_do_not_share_work_arrays() -> None:
    """Pictures of different sizes resized in several threads at once come out as they do alone."""
    pictures = [noise(40 + 9 * i, 300 - 17 * i) for i in range(8)]
    want = [whole(picture, 100, 61) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda picture: whole(picture, 100, 61), pictures * 10))
    assert all(np.array_equal(a, b) for a, b in zip(got, want * 10, strict=True))
