"""A part of a picture made smaller: halved while it is twice too large, then interpolated by two taps.

Every step is one of cv2's INTER_LINEAR_EXACT, which is the same byte for byte on every processor. With
`factor` outputs for each input pixel, a step makes of one axis, in double precision,

    at = (i + 0.5) * (1 / factor) - 0.5,  j = floor(at),  t = round(256 * (at - j))

output i of 256 - t parts of input j and t parts of input j + 1 (round() to the nearest whole number,
halves to the even one; of pixels that are not there the nearest). Both axes together make

    (sum over rows of weight * (sum over columns of weight * pixel) + 32768) // 65536
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

# Outputs lie within 1 / GAP of an input pixel of where they belong.
GAP = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One axis of what `shrink` makes.

    Input pixels [first, end) are halved `halvings` times and have `factor` outputs each then; of those
    the `count` from `skip` on are wanted.
    """

    first: int
    end: int
    halvings: int
    factor: float
    skip: int
    count: int


def axis_part(
    size_in: int, size_out: int, outputs: tuple[int, int], offset: int, inside: tuple[int, int]
) -> Part | None:
    """What makes output pixels [outputs) of an axis resized from size_in to size_out pixels.

    The arguments are those of resample.axis_taps, which makes what cannot be made here: None where the
    axis grows, where outputs reach beyond `inside`, and where none of those before the first has its
    edge within 1 / GAP of an input pixel's edge. Reading starts at the nearest such edges.
    """
    reach = ((offset + inside[0]) * size_out, (offset + inside[1]) * size_out)
    before = range(outputs[0], -(-reach[0] // size_in) - 1, -1)
    if size_out > size_in or not before or outputs[1] * size_in > reach[1]:
        return None
    start = min(before, key=lambda output: _gap(output * size_in, size_out))
    halvings = (size_in // size_out).bit_length() - 1
    factor = (size_out << halvings) / size_in
    first = (2 * start * size_in + size_out) // (2 * size_out) - offset
    # The last output's second tap may lie one pixel on.
    length = -(-(outputs[1] - start) * size_in // size_out) + (1 << halvings)
    end = min(first + length, inside[1])
    halved = -(-(end - first) // (1 << halvings))
    # cv2.resize copies a picture that keeps its size, whatever the factor.
    copied = factor < 1 and round(halved * factor) == halved
    if copied or GAP * _gap(start * size_in, size_out) > size_out:
        return None
    return Part(first, end, halvings, factor, outputs[0] - start, outputs[1] - outputs[0])


def shrink(picture: UInt8, rows: Part, columns: Part) -> UInt8:
    """uint8 (h, w, 3) -> uint8 (rows.count, columns.count, 3); may be a view of the picture."""
    part = picture[rows.first : rows.end, columns.first : columns.end]
    for step in range(max(rows.halvings, columns.halvings)):
        down, across = (step < axis.halvings for axis in (rows, columns))
        odd = (len(part) % 2 * down, part.shape[1] % 2 * across)
        if any(odd):
            part = _array(cv2.copyMakeBorder(part, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE))
        part = _step(part, 0.5 if down else 1.0, 0.5 if across else 1.0)
    if (rows.factor, columns.factor) != (1.0, 1.0):
        # OpenCV makes pixels of four values faster than those of three, conversions included.
        part = _array(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA))
        part = _step(part, rows.factor, columns.factor)
        part = _array(cv2.cvtColor(part, cv2.COLOR_RGBA2RGB))
    return part[rows.skip : rows.skip + rows.count, columns.skip : columns.skip + columns.count]


def _gap(edge: int, unit: int) -> int:
    """From `edge` to the nearest multiple of `unit`."""
    return min(edge % unit, -edge % unit)


def _step(picture: UInt8, down: float, across: float) -> UInt8:
    return _array(
        cv2.resize(picture, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR_EXACT)
    )


def _array(picture: object) -> UInt8:
    return np.asarray(picture, np.uint8)
