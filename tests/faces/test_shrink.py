"""Parts of a picture made smaller, against the definition and against the exact mean."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.faces.resample import axis_taps, column_bands, resample, row_bands
from idrn_trt.faces.shrink import GAP, Part, axis_part, shrink

UInt8 = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

# Output (width, height) of a picture of 64x48: in the middle of it, exact halves, other scales for each axis.
SIZES = [
    (48, 36), (36, 27), (61, 47), (32, 24), (16, 12), (24, 18), (64, 12), (15, 11), (7, 25), (1, 1)
]  # fmt: skip


def noise(height: int, width: int) -> UInt8:
    """A picture of the highest contrast there is: rounding shows most on it."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def made(part: Part | None) -> Part:
    """The part, which is there."""
    assert part is not None
    return part


def of_whole(size_in: int, size_out: int) -> Part:
    """What makes all of an axis."""
    return made(axis_part(size_in, size_out, (0, size_out), 0, (0, size_in)))


def two_taps(lines: Ints, factor: float) -> Ints:
    """All outputs along the first axis, times 256."""
    at = [(i + 0.5) * (1 / factor) - 0.5 for i in range(math.ceil(len(lines) * factor))]
    first = np.array([math.floor(a) for a in at])
    weight = np.array([round(256 * (a - math.floor(a))) for a in at])[:, None, None]
    before, behind = (lines[np.clip(first + k, 0, len(lines) - 1)] for k in (0, 1))
    return np.asarray(before * (256 - weight) + behind * weight, np.int64)


def in_whole_numbers(picture: UInt8, rows: Part, columns: Part) -> Ints:
    """The result by its definition in the module's first lines."""
    lines = picture[rows.first : rows.end, columns.first : columns.end].astype(np.int64)
    halvings = range(max(rows.halvings, columns.halvings))
    steps = [[0.5 if k < axis.halvings else 1.0 for axis in (rows, columns)] for k in halvings]
    for down, across in [*steps, [rows.factor, columns.factor]]:
        wide = two_taps(lines.transpose(1, 0, 2), across).transpose(1, 0, 2)
        lines = (two_taps(wide, down) + 32768) // 65536
    return lines[rows.skip : rows.skip + rows.count, columns.skip : columns.skip + columns.count]


@pytest.mark.parametrize("size", SIZES)
def test_the_result_is_its_definition(size: tuple[int, int]) -> None:
    """Every byte is what whole numbers give, whatever the scales of the axes are."""
    rows, columns = of_whole(48, size[1]), of_whole(64, size[0])
    noisy = noise(48, 64)
    pictures: list[UInt8] = [noisy, noisy // 64, np.where(noisy < 128, 0, 255).astype(np.uint8)]
    for picture in pictures:
        got = shrink(picture, rows, columns)
        assert got.shape == (size[1], size[0], 3)
        assert np.array_equal(got, in_whole_numbers(picture, rows, columns))


def random_part(rng: np.random.Generator) -> Part | None:
    """What makes some outputs of an axis from a part of it, if it can be made."""
    size_out = int(rng.integers(20, 200))
    size_in = int(size_out * rng.uniform(1, 6))
    offset = int(rng.integers(0, size_in // 2))
    inside = (int(rng.integers(0, 9)), int(rng.integers(60, 130)))
    first = -(-(offset + inside[0]) * size_out // size_in) + int(rng.integers(0, 9))
    return axis_part(size_in, size_out, (first, first + 8), offset, inside)


def test_any_part_is_its_definition() -> None:
    """So is every part of every axis that can be made, odd numbers of pixels to halve included."""
    rng = np.random.default_rng(2)
    picture = noise(130, 130)
    parts = [part for part in (random_part(rng) for _ in range(600)) if part is not None]
    assert any((part.end - part.first) % 2 and part.halvings for part in parts)
    for rows, columns in itertools.pairwise(parts):
        got = shrink(picture, rows, columns)
        assert np.array_equal(got, in_whole_numbers(picture, rows, columns)), (rows, columns)


@pytest.mark.parametrize("size_out", [100, 151, 333, 427, 640])
def test_outputs_lie_where_they_belong(size_out: int) -> None:
    """On levels that rise evenly, every part of an axis has the levels of its outputs' own centres.

    To half a level of each rounding, and what GAP allows.
    """
    size_in, rise = 640, 3
    for offset in range(0, 500, 7):
        levels = (rise * np.arange(80)).clip(0, 255).astype(np.uint8)
        picture = np.repeat(np.repeat(levels[:, None, None], 80, axis=1), 3, axis=2)
        first = -(-(offset + 16) * size_out // size_in)
        outputs = (first, first + 4)
        part = axis_part(size_in, size_out, outputs, offset, (0, 80))
        if part is None:
            continue
        got = shrink(picture, part, part)[:, 0, 0]
        centres = (np.arange(*outputs) + 0.5) * size_in / size_out - 0.5 - offset
        assert np.abs(got - rise * centres).max() <= rise / GAP + (part.halvings + 1) / 2 + 0.1


@pytest.mark.parametrize("size_out", [160, 240, 320, 360, 400, 480, 600, 640])
def test_usual_sizes_can_be_made_anywhere(size_out: int) -> None:
    """Where edges coincide every few pixels, 16 pixels before the part are enough for exact places."""
    for start in range(640 - 128):
        first = -(-(start + 16) * size_out // 640)
        part = made(axis_part(640, size_out, (first, first + 10), start, (0, 128)))
        edge = (first - part.skip) * 640 / size_out
        assert edge == start + part.first


def test_what_cannot_be_made() -> None:
    """An axis that grows, that has no common edge nearby, or whose outputs reach beyond what may be read."""
    assert axis_part(100, 101, (0, 101), 0, (0, 100)) is None
    assert axis_part(1000, 999, (500, 520), 499, (0, 40)) is None
    assert axis_part(1000, 999, (0, 20), 0, (0, 20)) is None
    assert axis_part(100, 50, (0, 50), 0, (0, 99)) is None
    assert axis_part(100, 50, (0, 50), 0, (1, 100)) is None


def test_flat_pictures_stay_flat() -> None:
    """No level is ever shifted, at any ratio."""
    rng = np.random.default_rng(0)
    for size_in, size_out in np.sort(rng.integers(1, 700, (100, 2)))[:, ::-1].tolist():
        part = axis_part(size_in, size_out, (0, size_out), 0, (0, size_in))
        if part is not None:
            level = int(rng.integers(256))
            flat = np.full((size_in, size_in, 3), level, np.uint8)
            assert np.all(shrink(flat, part, part) == level)


def test_pixels_outside_are_not_read() -> None:
    """What lies beyond the pixels said to be inside never shows, however the part is resized."""
    picture = noise(40, 40)
    other = picture.copy()
    other[:4] = other[36:] = other[:, :4] = other[:, 36:] = 255
    for size_out in (10, 20, 30, 40):
        first, last = -(-4 * size_out // 40), 36 * size_out // 40
        part = made(axis_part(40, size_out, (first, last), 0, (4, 36)))
        assert np.array_equal(shrink(picture, part, part), shrink(other, part, part))


def test_it_is_close_to_the_mean() -> None:
    """A picture with little contrast between neighbours comes out as its area mean does, to 45 dB."""
    y, x = np.mgrid[0:240, 0:240]
    waves = [127.5 + 80 * np.sin(x / a) * np.cos(y / b) for a, b in ((5, 7), (9, 4), (6, 5))]
    picture = np.rint(np.stack(waves, axis=2)).astype(np.uint8)
    for size_out in (60, 90, 120, 135, 160, 180):
        part = of_whole(240, size_out)
        taps = axis_taps(240, size_out, (0, size_out), 0, (0, 240))
        mean = resample(picture, row_bands(taps), column_bands(taps)).reshape(size_out, size_out, 3)
        error = np.mean((shrink(picture, part, part) - mean.astype(float)) ** 2)
        assert 10 * np.log10(255**2 / error) >= 45
