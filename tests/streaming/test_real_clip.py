"""A real clip through a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stream import stream
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler


def results(clip: Path, upscaler: Upscaler, *, reuse: bool) -> list[StreamResult]:
    """All of a clip's frames."""
    return list(stream(str(clip), upscaler=upscaler, options=StreamOptions(reuse=reuse)))


def test_one_face_is_followed_and_its_window_is_still(test_data: Path) -> None:
    """In every frame, under one number, at one size, with far fewer moves than frames."""
    upscaler = Upscaler(engine="bicubic", detector="haar", frame_scale=1)
    found = results(test_data / "video" / "help.mkv", upscaler, reuse=True)
    assert all(len(result.faces) == 1 for result in found)
    faces = [result.faces[0] for result in found]
    assert {face.track for face in faces} == {1}
    assert len({face.window.shape for face in faces}) <= 2
    assert len({face.window for face in faces}) < len(faces) / 4


def test_reuse_changes_hardly_a_pixel(test_data: Path) -> None:
    """Against the same clip without reuse: 40 dB and more."""
    upscaler = Upscaler(engine="bicubic", detector="haar", frame_scale=1)
    clip = test_data / "video" / "help.mkv"
    with_reuse = results(clip, upscaler, reuse=True)
    without = results(clip, upscaler, reuse=False)
    errors = [
        np.mean((a.picture.astype(float) - b.picture) ** 2)
        for a, b in zip(with_reuse, without, strict=True)
        if a.picture is not None and b.picture is not None
    ]
    assert len(errors) == len(with_reuse)
    assert 10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)) >= 40
