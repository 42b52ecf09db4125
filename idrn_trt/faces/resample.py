"""A part of a picture at another scale, aligned as if the whole picture had been resized.

All arithmetic is on whole numbers (carried in float32, which is exact up to 2^24), so the result does
not depend on the order of summation and is the same, byte for byte, in any language.
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

# Output lines computed by one product: enough to be worth a call, few enough that the band of weights
# is mostly not zeros and that a BLAS library computes it in the calling thread (OpenBLAS starts others
# from 2^18 multiplications on, and then waits for them where the processors are busy).
BLOCK = 4

# Bicubic coefficient of cv2.INTER_CUBIC, so that a face is enlarged as its background is.
CUBIC_A = -0.75


_kept = threading.local()


@dataclass(frozen=True, slots=True)
class Taps:
    """Weights of one axis: `count` outputs, in blocks of BLOCK.

    Block b is weights[b] (BLOCK, span) times the input lines from starts[b] on.
    """

    count: int
    starts: tuple[int, ...]
    weights: Float32


def axis_taps(
    size_in: int, size_out: int, outputs: tuple[int, int], offset: int, inside: tuple[int, int]
) -> Taps:
    """Weights that make output pixels [outputs) of an axis resized from size_in to size_out pixels.

    The input at hand is a part of that axis: its first pixel is at `offset`. Pixels of it outside
    `inside` (counted from offset) are not read; the nearest one within is read instead. Shrinking
    takes the mean of what an output pixel covers; enlarging is cubic, pixel centres aligned.
    """
    which = np.arange(*outputs, dtype=np.int64)
    places, weights = (_area if size_in >= size_out else _cubic)(size_in, size_out, which)
    places = np.clip(places - offset, inside[0], inside[1] - 1)
    return _blocks(places, weights, inside[1])


def resample(picture: UInt8, rows: Taps, columns: Taps) -> UInt8:
    """uint8 (h, w, 3) -> uint8 (rows.count, columns.count, 3), a new array."""
    height, width = picture.shape[:2]
    lines = _work("lines", height, width * 3)
    np.copyto(lines, picture.reshape(height, -1))
    product = _work("product", rows.count, width * 3)
    tall = _rounded(_product(rows, lines, BETWEEN / WEIGHT, product))
    turned = _work("turned", width, rows.count, 3)
    cv2.transpose(tall.reshape(rows.count, width, 3), dst=turned)
    product = _work("product", columns.count, rows.count * 3)
    turned = turned.reshape(width, -1)
    wide = _rounded(_product(columns, turned, 1 / (BETWEEN * WEIGHT), product))
    levels = np.clip(wide, 0, 255, out=wide).astype(np.uint8)
    turned_back = cv2.transpose(levels.reshape(columns.count, rows.count, 3))
    return np.asarray(turned_back, np.uint8)


def resample_line(values: Ints, taps: Taps) -> Ints:
    """Whole numbers up to 256, weighted as the pixels are and rounded: one axis of a mask."""
    column = values.astype(np.float32)[:, None]
    out = np.empty((taps.count, 1), np.float32)
    return _rounded(_product(taps, column, 1 / WEIGHT, out))[:, 0].astype(np.int64)


def _work(name: str, *shape: int) -> Float32:
    """An array of this thread's, kept from call to call: a fresh one costs more than what is done in it."""
    size = math.prod(shape)
    array: Float32 | None = getattr(_kept, name, None)
    if array is None or array.size < size:
        array = np.empty(size, np.float32)
        setattr(_kept, name, array)
    return array[:size].reshape(shape)


def _product(taps: Taps, lines: Float32, factor: float, out: Float32) -> Float32:
    """The weighted sums times factor, a power of two, which keeps them exact; in `out`."""
    weights = taps.weights * np.float32(factor)
    span = weights.shape[2]
    for block, start in enumerate(taps.starts):
        some = out[block * BLOCK : (block + 1) * BLOCK]
        np.matmul(weights[block, : len(some)], lines[start : start + span], out=some)
    return out


def _rounded(values: Float32) -> Float32:
    """To the nearest whole number, halves up, in place."""
    values += 0.5
    return np.floor(values, out=values)


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


def _blocks(places: Ints, weights: Ints, end: int) -> Taps:
    """Banded weights of inputs below `end`."""
    count = len(places)
    first = places[::BLOCK, 0]
    span = int((np.maximum.reduceat(places[:, -1], np.arange(0, count, BLOCK)) - first).max()) + 1
    starts = np.minimum(first, end - span)
    dense = np.zeros((len(starts), BLOCK, span), np.float32)
    block, row = np.divmod(np.arange(count)[:, None], BLOCK)
    # Several places may be one and the same after clipping: add, do not assign.
    np.add.at(dense, (block, row, places - starts[block]), weights)
    return Taps(count, tuple(map(int, starts)), dense)
