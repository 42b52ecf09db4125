"""Clips before and after, as ffprobe sees them: nothing of FFmpeg inside PyAV, nothing of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clips import Clip, picture

from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip

FFPROBE = shutil.which("ffprobe")
pytestmark = pytest.mark.skipif(FFPROBE is None, reason="ffprobe is not installed")


def probe(path: Path) -> dict[str, Any]:
    """Duration, tracks, and every frame's and packet's time."""
    shown = "format=duration:stream=index,codec_type,codec_name:stream_tags=language"
    command = [
        str(FFPROBE), "-v", "error", "-show_entries",
        f"{shown}:packet=stream_index,pts_time,dts_time,size,data_hash:frame=stream_index,pts_time",
        "-show_data_hash", "md5", "-of", "json", "-show_packets", "-show_frames", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tracks(found: dict[str, Any], kind: str) -> list[tuple[str, str | None]]:
    """Codec and language of every track of a kind."""
    return [
        (stream["codec_name"], stream.get("tags", {}).get("language"))
        for stream in found["streams"]
        if stream["codec_type"] == kind
    ]


def of_video(found: dict[str, Any]) -> int:
    """The video track's number."""
    return next(s["index"] for s in found["streams"] if s["codec_type"] == "video")


def frame_times(found: dict[str, Any]) -> list[str]:
    """When each picture is shown, as printed."""
    video = of_video(found)
    entries = found["packets_and_frames"]
    return [
        e["pts_time"] for e in entries if e["type"] == "frame" and e.get("stream_index") == video
    ]


def copied(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Time and hash of every packet that is not the video's."""
    video = of_video(found)
    return sorted(
        (e["pts_time"], e["data_hash"])
        for e in found["packets_and_frames"]
        if e["type"] == "packet" and e["stream_index"] != video
    )


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Both agree on all but the pictures."""
    frame_s = 0.04
    durations = [float(found["format"]["duration"]) for found in (before, after)]
    assert abs(durations[0] - durations[1]) <= frame_s
    assert frame_times(after) == frame_times(before)
    assert copied(after) == copied(before)
    for kind in ("audio", "subtitle"):
        assert tracks(after, kind) == tracks(before, kind)


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_a_clip_with_sound(tmp_path: Path, same_size: Upscaler, ending: str) -> None:
    """Duration, number and times of frames, and sound and subtitles to the byte, are the input's."""
    source = Clip(
        tmp_path / f"in{ending}", [picture(k) for k in range(60)], audio="aac",
        subtitles="subrip" if ending == ".mkv" else None,
    ).make()  # fmt: skip
    upscale_clip(source, tmp_path / f"out{ending}", same_size)
    before = probe(source)
    assert len(frame_times(before)) == 60
    assert len(copied(before)) > 100
    same(before, probe(tmp_path / f"out{ending}"))


def test_a_real_clip(tmp_path: Path, test_data: Path, same_size: Upscaler) -> None:
    """A webcam's clip, whole, at its own size, agrees too."""
    clips = sorted((test_data / "video").glob("*.mkv"))
    if not clips:
        pytest.skip(f"{test_data} holds no video/*.mkv")
    target = tmp_path / "out.mkv"
    upscale_clip(clips[0], target, same_size, VideoOptions(preset="ultrafast"))
    before = probe(clips[0])
    assert len(frame_times(before)) > 30
    same(before, probe(target))
