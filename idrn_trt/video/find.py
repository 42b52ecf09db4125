"""Which inputs are videos and which pictures: by their first bytes, by their names where those do not tell.

Standard library only, but for the list of pictures' endings.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from idrn_trt.errors import OptionError
from idrn_trt.files import exists, is_folder
from idrn_trt.images import READ_SUFFIXES, Source

VIDEO_SUFFIXES = frozenset(
    {
        ".3g2", ".3gp", ".264", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265", ".hevc",
        ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg",
        ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv",
        ".wtv", ".y4m",
    }
)  # fmt: skip
_HEAD_BYTES = 512
_TS_PACKET_BYTES = 188
_PICTURES = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P1", b"P2", b"P3", b"P4", b"P5",
    b"P6",
)  # fmt: skip
_PICTURE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"})
_VIDEOS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"0&\xb2u",  # ASF, WMV
    b"DKIF",  # IVF
    b"YUV4MPEG2",
    b"\x06\x0e\x2b\x34",  # MXF
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG-1 and -2
)
# The first box of an ISO or QuickTime file.
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


@dataclass(frozen=True, slots=True)
class Input:
    """Something to upscale: where it is and belongs (a picture's Source), and whether it is a video."""

    source: Source
    video: bool


def find_inputs(inputs: list[str]) -> list[Input]:
    """The pictures and videos that files, folders (searched below) and glob patterns stand for, in order.

    A named file that does not exist is kept, so that it is reported with the others. Raises OptionError
    when a folder or pattern holds neither.
    """
    found: dict[Path, Input] = {}
    for text in inputs:
        for source in _expand(text):
            if (place := source.path.absolute()) not in found:
                found[place] = Input(source, is_video(source.path))
    return list(found.values())


def _expand(text: str) -> Iterator[Source]:
    if not text:
        raise OptionError("an input is an empty text: expected a file, folder or pattern")
    path = Path(text)
    if is_folder(path):
        inside = sorted(p for p in path.rglob("*") if _may_be_one(p))
        files = [Source(p, p.relative_to(path)) for p in inside]
    elif not exists(path) and glob.has_magic(text):
        matches = sorted(Path(p) for p in glob.glob(text, recursive=True))
        files = [Source(p, Path(p.name)) for p in matches if p.is_file()]
    else:
        files = [Source(path, Path(path.name))]
    if not files:
        raise OptionError(
            f"no picture or video found in {text!r}: expected files ending in "
            f"{', '.join(sorted(READ_SUFFIXES | VIDEO_SUFFIXES))}"
        )
    yield from files


def _may_be_one(path: Path) -> bool:
    """Whether a file of a folder is taken, by its name; .ts is also what TypeScript is called.

    "._a.jpg" is what macOS keeps of a.jpg beside it on disks of other systems: no picture.
    """
    if path.name.startswith("._"):
        return False
    suffix = path.suffix.lower()
    if suffix == ".ts":
        return path.is_file() and is_video(path)
    return suffix in READ_SUFFIXES | VIDEO_SUFFIXES and path.is_file()


def is_video(path: Path) -> bool:
    """Whether the file at `path` is to be read as a video. One that cannot be read: by its name."""
    suffix = path.suffix.lower()
    try:
        if not path.is_file():
            return suffix in VIDEO_SUFFIXES
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return suffix in VIDEO_SUFFIXES
    told = _by_content(head)
    if told is None:
        return suffix in VIDEO_SUFFIXES and not (suffix == ".ts" and head)
    return told


def is_video_stream(file: BinaryIO) -> bool:
    """Whether what comes through a pipe begins as a video; nothing is taken out of it."""
    peek = getattr(file, "peek", None)
    return peek is not None and _by_content(peek(_HEAD_BYTES)) is True


def _by_content(head: bytes) -> bool | None:
    """True for a video, False for a picture, None where the bytes do not tell."""
    if head[4:8] in _BOXES:
        return head[8:12] not in _PICTURE_BRANDS
    if head[:4] == b"RIFF":
        return {b"AVI ": True, b"WEBP": False}.get(head[8:12])
    if head.startswith(_VIDEOS) or _is_transport_stream(head):
        return True
    return False if head.startswith(_PICTURES) else None


def _is_transport_stream(head: bytes) -> bool:
    """Two packets that begin with the sync byte; .m2ts puts four bytes before each."""
    return any(
        head[start : start + 1] == b"G" == head[start + size : start + size + 1]
        for start, size in ((0, _TS_PACKET_BYTES), (4, _TS_PACKET_BYTES + 4))
    )
