"""Between a video's colours and RGB: matrix, range and tags, in both directions.

Whole numbers as FFmpeg counts them: matrices, primaries and transfer functions are those of ITU-T H.273
(https://www.itu.int/rec/T-REC-H.273), which AVColorSpace and its fellows follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

UInt8 = npt.NDArray[np.uint8]

UNSPECIFIED = 2
BT709, FCC, BT470BG, BT601, SMPTE240M, BT2020 = 1, 4, 5, 6, 7, 9
LIMITED, FULL = 1, 2
PQ, HLG = 16, 18
TRANSPARENCY = "transparency is dropped"

# H.273 matrix -> libswscale's number for the same (SWS_CS_*, libswscale/swscale.h).
_SWSCALE = {BT709: 1, FCC: 4, BT470BG: 5, BT601: 5, SMPTE240M: 7, BT2020: 9}
# Flags of libswscale/swscale.h: bilinear, accurate rounding, full chroma interpolation and input. The
# default is fast and 1 to 2 grey levels off on average; with these it rounds rightly.
ACCURATE = 0x2 | 0x40000 | 0x2000 | 0x4000


@dataclass(frozen=True, slots=True)
class Colour:
    """How a video's numbers are colours: H.273 codes, and whether black and white are 0 and 255."""

    matrix: int
    full: bool
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    assumed: bool = False


def assumed_matrix(width: int, height: int) -> int:
    """The matrix players assume for an untagged video: BT.601 for standard definition, else BT.709.

    The limits are mpv's (https://mpv.io/manual/stable/, --vf=format, colormatrix).
    """
    return BT709 if width >= 1280 or height > 576 else BT601


def colour_of(frame: VideoFrame) -> tuple[Colour, list[str]]:
    """A decoded frame's colours, what is not tagged assumed as players do, with notes on doubts."""
    notes = []
    matrix, assumed = int(frame.colorspace), False
    if _is_rgb(frame.format) or matrix in {0, UNSPECIFIED}:
        matrix, assumed = assumed_matrix(frame.width, frame.height), True
    elif matrix not in _SWSCALE:
        notes.append(f"colour matrix {matrix} of H.273 is not known here: read as BT.709")
        matrix, assumed = BT709, True
    name = frame.format.name
    full = int(frame.color_range) == FULL or name.startswith("yuvj")
    if full and not _is_rgb(frame.format):
        notes.append(
            "full range (0 to 255): written in limited range (16 to 235), the same colours"
        )
    if int(frame.color_trc) in {PQ, HLG}:
        notes.append("high dynamic range: brought to 8 bits with its transfer function kept")
    if (bits := max(part.bits for part in frame.format.components)) > 8:
        notes.append(f"{bits}-bit ({name}): upscaled and written in 8 bits")
    if _has_alpha(frame.format):
        notes.append(TRANSPARENCY)
    colour = Colour(matrix, full, int(frame.color_primaries), int(frame.color_trc), assumed)
    return colour, notes


def output_colour(source: Colour, width: int, height: int) -> Colour:
    """The colours to write: the source's matrix; where it has no tag, what players assume for this size.

    Always in limited range, which every player takes for granted, and because swscale is up to 3 grey
    levels off in full range.
    """
    matrix = assumed_matrix(width, height) if source.assumed else source.matrix
    return replace(source, matrix=matrix, full=False)


class ToRgb:
    """Decoded frames as RGB, all of one size. One object serves one thread."""

    def __init__(self, colour: Colour, width: int, height: int, threads: int) -> None:
        self._colour = colour
        self._size = (width, height)
        self._threads = threads
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> UInt8:
        """uint8 RGB (H, W, 3), the caller's own."""
        matrix = _SWSCALE[self._colour.matrix]
        rgb = self._reformatter.reformat(
            frame,
            width=self._size[0],
            height=self._size[1],
            format="rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=FULL if self._colour.full or _is_rgb(frame.format) else LIMITED,
            dst_color_range=FULL,
            interpolation=ACCURATE,
            threads=self._threads,
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)


class FromRgb:
    """RGB as frames for an encoder. One object serves one thread."""

    def __init__(self, colour: Colour, pix_fmt: str, threads: int) -> None:
        self._colour = colour
        self._pix_fmt = pix_fmt
        self._rgb = _is_rgb(VideoFormat(pix_fmt))
        self._threads = threads
        self._reformatter = VideoReformatter()

    def __call__(self, picture: UInt8) -> VideoFrame:
        """A frame of its own memory; picture is uint8 RGB (H, W, 3)."""
        matrix = _SWSCALE[self._colour.matrix]
        frame = VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), "rgb24")
        frame = self._reformatter.reformat(
            frame,
            format=self._pix_fmt,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=FULL,
            dst_color_range=FULL if self._rgb else LIMITED,
            interpolation=ACCURATE,
            threads=self._threads,
        )
        frame.color_primaries = self._colour.primaries
        frame.color_trc = self._colour.transfer
        return frame


def _is_rgb(form: VideoFormat) -> bool:
    return form.is_rgb or form.has_palette


def _has_alpha(form: VideoFormat) -> bool:
    return any(part.is_alpha for part in form.components)
