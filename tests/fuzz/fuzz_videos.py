"""Clips of several containers and codecs, damaged: pictures as promised, or a SourceError."""

from __future__ import annotations

import atexit
import functools
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from fuzz_damage import damaged
from fuzz_target import check_one_line
from hypothesis import strategies as st

from idrn_trt.errors import SourceError
from idrn_trt.video.find import is_video
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.reader import Reader

# clips.py makes the clips of the video tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

MOST_PIXELS = 100_000
# Ending -> what Clip takes. Small enough that damage to one byte matters.
_KINDS = {
    "mkv": {"codec": "libx264", "audio": "aac", "subtitles": "subrip"},
    "mp4": {"codec": "libx264", "audio": "aac", "container_options": {"movflags": "+faststart"}},
    "avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "webm": {"codec": "libvpx-vp9", "audio": "libopus"},
    "ts": {"codec": "mpeg2video", "audio": "mp2"},
    "mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


@functools.lru_cache(maxsize=1)
def scratch() -> Path:
    """A folder that is gone when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="idrn-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.lru_cache(maxsize=1)
def seeds() -> tuple[bytes, ...]:
    """One small clip a kind."""
    from clips import Clip, picture

    pictures = [picture(k, 48, 32) for k in range(6)]
    made = [
        Clip(scratch() / f"seed.{ending}", pictures, **kind).make()  # type: ignore[arg-type]
        for ending, kind in _KINDS.items()
    ]
    return tuple(path.read_bytes() for path in made)


def cases() -> st.SearchStrategy[bytes]:
    """Damaged clips."""
    return damaged(seeds())


def check(data: bytes) -> bool:
    """Read the whole clip, or what can be read of it."""
    path = scratch() / "fuzzed.mkv"
    path.write_bytes(data)
    is_video(path)
    shape: tuple[int, ...] | None = None
    try:
        with Reader(path, VideoOptions(max_pixels=MOST_PIXELS, threads=1)) as reader:
            for step in reader:
                if step.picture is None:
                    continue
                rgb = step.picture.rgb
                shape = shape or rgb.shape
                assert rgb.dtype == np.uint8
                assert rgb.shape == shape
                assert rgb.shape[0] * rgb.shape[1] <= MOST_PIXELS
    except SourceError as error:
        check_one_line(error)
        return False
    return True
