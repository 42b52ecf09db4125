"""What a decoded frame carries beside its picture that no result keeps."""

from __future__ import annotations

from av.video.frame import VideoFrame

_MASTERING = "the mastering data of high dynamic range is left out: players take their own for it"
# PyAV's names of FFmpeg's frame side data (libavutil/frame.h).
_LEFT_OUT = {
    "A53_CC": "closed captions inside the video track are left out",
    "STEREO3D": "stereoscopic: the mark that says so is left out",
    "SPHERICAL": "panoramic: the mark that says so is left out",
    "MASTERING_DISPLAY_METADATA": _MASTERING,
    "CONTENT_LIGHT_LEVEL": _MASTERING,
    "DYNAMIC_HDR_PLUS": _MASTERING,
    "DOVI_METADATA": "Dolby Vision: read as its base layer alone shows it",
}


def left_out(frame: VideoFrame) -> list[str]:
    """A sentence on each kind of it in this frame."""
    found = [words for name, words in _LEFT_OUT.items() if frame.side_data.get(name) is not None]
    return list(dict.fromkeys(found))
