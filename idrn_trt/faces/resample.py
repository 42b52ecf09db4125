"""A part of a picture at another scale, aligned as if the whole picture had been resized.

All arithmetic is on whole numbers (carried in float32, which is exact up to 2^24), so the result does
not depend on the order of summation and is the same, byte for byte, in any language. With weights in
units of 1 / WEIGHT and round() to the nearest whole number, halves to the even one:

    between[i, x] = round(BETWEEN * sum over j of rows[i, j] * picture[j, x] / WEIGHT)
    result[i, k] = round(sum over j of columns[k, j] * between[i, j] / (BETWEEN * WEIGHT)), held to 0..255
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Weights are multiples of 2^-11, as in cv2.resize. Between the two passes a value keeps 4 bits behind
# the point: 255 * 16 * 2048, times at most 1.2 * 1.4 for what bicubic weights overshoot, is below 2^24.
WEIGHT = 2048
BETWEEN = 16

# Outputs computed by one product: enough to be worth a call, few enough that the band of weights is
# mostly not zeros.
BLOCK = 8
# OpenBLAS starts threads for a product of more multiplications, and waits for them where the
# processors are busy.
_MOST_MULTIPLICATIONS = 1 << 18
_CHANNELS = 3

# Bicubic coefficient of cv2.INTER_CUBIC, so that a face is enlarged as its background is.
CUBIC_A = -0.75


_kept = threading.local()


@dataclass(frozen=True, slots=True)
class Taps:
    """How the outputs of one axis are made: output i is the sum of weights[i] * inputs[places[i]]."""

    places: Ints
    weights: Ints


@dataclass(frozen=True, slots=True)
class Bands:
    """Taps as products of matrices, for `count` outputs of `step` interleaved values each.

    Only inputs from `first` to `end` are read. Of those, the outputs of block b are made of the ones
    from starts[b] on: their values side by side, times weights[b] (step * span, step * BLOCK).
    """

    count: int
    step: int
    first: int
    end: int
    starts: tuple[int, ...]
    weights: Float32


def axis_taps(
    size_in: int, size_out: int, outputs: tuple[int, int], offset: int, inside: tuple[int, int]
) -> Taps:
    """Taps that make output pixels [outputs) of an axis resized from size_in to size_out pixels.

    The input at hand is a part of that axis: its first pixel is at `offset`. Pixels of it outside
    `inside` (counted from offset) are not read; the nearest one within is read instead. Shrinking
    takes the mean of what an output pixel covers; enlarging is cubic, pixel centres aligned. Weights
    are in units of 1 / WEIGHT.
    """
    which = np.arange(*outputs, dtype=np.int64)
    places, weights = (_area if size_in >= size_out else _cubic)(size_in, size_out, which)
    return Taps(np.clip(places - offset, inside[0], inside[1] - 1), weights)


def row_bands(taps: Taps) -> Bands:
    """What `resample` takes for the lines of a picture."""
    return _bands(taps, 1, BETWEEN / WEIGHT)


def column_bands(taps: Taps) -> Bands:
    """What `resample` takes for the pixels of a line."""
    return _bands(taps, _CHANNELS, 1 / (BETWEEN * WEIGHT))


def resample(picture: UInt8, rows: Bands, columns: Bands) -> UInt8:
    """uint8 (h, w, 3) -> uint8 (rows.count, 3 * columns.count), a new array, pixels side by side."""
    across = slice(_CHANNELS * columns.first, _CHANNELS * columns.end)
    used = picture.reshape(len(picture), -1)[rows.first : rows.end, across]
    lines = _work("ends", *used.shape)
    np.copyto(lines, used)
    between = _work("between", rows.count, lines.shape[1])
    _product(lines.T, rows, between.T)
    np.rint(between, out=between)
    result = _work("ends", rows.count, _CHANNELS * columns.count)
    _product(between, columns, result)
    # The conversion rounds and holds to 255, but would make negatives positive.
    cv2.threshold(result, 0, 0, cv2.THRESH_TOZERO, dst=result)
    return np.asarray(cv2.convertScaleAbs(result), np.uint8)


def resample_line(values: Ints, taps: Taps) -> Ints:
    """Whole numbers weighted as the pixels are and rounded, halves up: one axis of a mask."""
    sums = (values[taps.places] * taps.weights).sum(axis=1)
    return np.asarray((2 * sums + WEIGHT) // (2 * WEIGHT), np.int64)


def _work(name: str, *shape: int) -> Float32:
    """An array of this thread's, kept from call to call: a fresh one costs more than what is done in it."""
    size = math.prod(shape)
    array: Float32 | None = getattr(_kept, name, None)
    if array is None or array.size < size:
        array = np.empty(size, np.float32)
        setattr(_kept, name, array)
    return array[:size].reshape(shape)


def _product(lines: Float32, bands: Bands, out: Float32) -> None:
    """Every line's outputs, exact because the weights' unit is a power of two."""
    step = bands.step
    span, wide = bands.weights.shape[1:]
    most = max(1, _MOST_MULTIPLICATIONS // (span * wide))
    for top in range(0, len(lines), most):
        some, made = lines[top : top + most], out[top : top + most]
        for block, start in enumerate(bands.starts):
            part = made[:, block * wide : (block + 1) * wide]
            read = some[:, start * step : start * step + span]
            np.matmul(read, bands.weights[block, :, : part.shape[1]], out=part)


def _area(size_in: int, size_out: int, which: Ints) -> tuple[Ints, Ints]:
    """In units of 1/size_out input pixels, output i covers [i * size_in, (i + 1) * size_in).

    The running sum of the weights is what is rounded, so that they always add up to WEIGHT.
    """
    left = which[:, None] * size_in
    count = -(-size_in // size_out) + 1
    places = left // size_out + np.arange(count)
    covered = np.clip((places + 1) * size_out - left, 0, size_in)
    running = (2 * WEIGHT * covered + size_in) // (2 * size_in)
    return places, np.diff(running, axis=1, prepend=0)


def _cubic(size_in: int, size_out: int, which: Ints) -> tuple[Ints, Ints]:
    """The four taps around each output's centre; the second takes what rounding leaves over."""
    doubled = (2 * which + 1) * size_in - size_out  # the centre, in units of 1/(2 size_out)
    first = doubled // (2 * size_out)
    t = (doubled - first * 2 * size_out) / (2 * size_out)
    a = CUBIC_A
    before = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    after = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) ** 2 + 1
    beyond = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a
    rounded = [np.floor(WEIGHT * w + 0.5).astype(np.int64) for w in (before, after, beyond)]
    weights = np.stack([rounded[0], WEIGHT - sum(rounded), rounded[1], rounded[2]], axis=1)
    return first[:, None] + np.arange(-1, 3), weights


def _bands(taps: Taps, step: int, unit: float) -> Bands:
    """The taps times `unit`, a power of two."""
    count = len(taps.places)
    end = int(taps.places[:, -1].max()) + 1
    first = taps.places[::BLOCK, 0]
    lasts = np.maximum.reduceat(taps.places[:, -1], np.arange(0, count, BLOCK))
    span = int((lasts - first).max()) + 1
    starts = np.minimum(first, end - span)
    begin = int(starts[0])
    dense = np.zeros((len(starts), span, BLOCK), np.float32)
    block, column = np.divmod(np.arange(count)[:, None], BLOCK)
    # Several places may be one and the same after clipping: add, do not assign.
    np.add.at(dense, (block, taps.places - starts[block], column), taps.weights * unit)
    weights = np.kron(dense, np.eye(step, dtype=np.float32))
    return Bands(count, step, begin, end, tuple(int(s) - begin for s in starts), weights)
