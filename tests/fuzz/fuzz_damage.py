"""Damage to the bytes of good files: what bad disks, bad networks and enemies do to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

PNG = b"\x89PNG\r\n\x1a\n"
# Sizes, offsets and counts that programs get wrong, in the widths and orders that formats store them in.
_NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
_LAYOUTS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_LONGEST = 1 << 18

Edit = tuple[str, int, int, bytes]


def _numbers() -> st.SearchStrategy[bytes]:
    def packed(layout: str, number: int) -> bytes:
        return struct.pack(layout, number & ((1 << 8 * struct.calcsize(layout)) - 1))

    return st.builds(packed, st.sampled_from(_LAYOUTS), st.sampled_from(_NUMBERS))


def _edits() -> st.SearchStrategy[Edit]:
    # Headers decide more than pixels do: half the damage is done to the first bytes.
    place = st.one_of(st.integers(0, 64), st.integers(0, _LONGEST))
    return st.tuples(
        st.sampled_from(
            ("set", "set", "set", "insert", "delete", "double", "zero", "splice", "cut")
        ),
        place,
        st.sampled_from((1, 2, 4, 16, 256, 4096)),
        st.one_of(_numbers(), st.binary(min_size=1, max_size=8)),
    )


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to several edits."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for edit in draw(st.lists(_edits(), min_size=1, max_size=6)):
        _apply(data, edit, seeds)
    if data.startswith(PNG) and draw(st.booleans()):
        return with_checksums(bytes(data[:_LONGEST]))
    return bytes(data[:_LONGEST])


def _apply(data: bytearray, edit: Edit, seeds: Sequence[bytes]) -> None:
    kind, place, length, new = edit
    start = place % (len(data) + 1)
    stretch = slice(start, start + length)
    if kind == "set":
        data[start : start + len(new)] = new
    elif kind == "insert":
        data[start:start] = new
    elif kind == "delete":
        del data[stretch]
    elif kind == "double":
        data[start:start] = data[stretch]
    elif kind == "zero":
        data[stretch] = bytes(len(data[stretch]))
    elif kind == "cut":
        del data[start:]
    else:
        data[stretch] = seeds[place % len(seeds)][stretch]


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them, so that a decoder looks at it."""
    out, place = bytearray(data), len(PNG)
    while place + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, place)
        end = place + 8 + length
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[place + 4 : end]))
        place = end + 4
    return bytes(out)
