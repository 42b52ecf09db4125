"""The real clips of IDRN_TEST_DATA through the product as a user gets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import decode

from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip


def test_webcam_clips(tmp_path: Path, test_data: Path) -> None:
    """Faces are found and made clear, every time is kept, and the frame beside them is the input's."""
    clips = sorted((test_data / "video").glob("*.mkv"))[:2]
    if not clips:
        pytest.skip(f"{test_data} holds no video/*.mkv")
    with Upscaler(out_size=(640, 480), min_face_px=48) as upscaler:
        for clip in clips:
            options = VideoOptions(duration_s=0.2)
            report = upscale_clip(clip, tmp_path / "out.mkv", upscaler, options)
            before, after = decode(clip), decode(tmp_path / "out.mkv")
            assert after.times == before.times[: len(after.times)]
            assert report.frames == len(after.times) > 0
            assert report.faces > 0
            assert report.damage == ""
            assert report.preview is not None
            was = before.frames[0].to_ndarray(format="rgb24").astype(float)
            now = after.frames[0].to_ndarray(format="rgb24").astype(float)
            assert abs(float(was.mean() - now.mean())) < 2
            assert float(np.abs(was - now).mean()) < 6
