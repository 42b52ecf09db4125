"""What lies beside the pictures in a video track and cannot be kept is said."""

from __future__ import annotations

from pathlib import Path

from clips import Clip, picture

from idrn_trt.upscaler import Upscaler
from idrn_trt.video.pipeline import upscale_clip

# A supplemental message with two bytes of captions (ITU-T H.264, 7.3.2.3 and D.1.6; ATSC A/53 Part 4,
# 6.2.3): its unit's type, the message's type and size, country, provider, "GA94", kind, count, and data.
CAPTION = b"\0\0\0\1" + bytes([6, 4, 14, 0xB5, 0, 0x31]) + b"GA94" + bytes(
    [3, 0xC1, 0xFF, 0xFC, 0x94, 0x2C, 0xFF, 0x80]
)  # fmt: skip


def test_captions_inside_the_pictures_are_said(tmp_path: Path, same_size: Upscaler) -> None:
    """Closed captions that travel within the video track are left out with a note; without, none."""
    plain = Clip(tmp_path / "plain.h264", [picture(k) for k in range(3)]).make()
    data = plain.read_bytes()
    key_frame = data.index(b"\0\0\1\x65")
    (tmp_path / "in.h264").write_bytes(data[:key_frame] + CAPTION[1:] + data[key_frame:])
    captions = "closed captions inside the video track are left out"
    for source, said in ((tmp_path / "in.h264", True), (plain, False)):
        report = upscale_clip(source, tmp_path / "out.mp4", same_size)
        assert report.frames == 3
        assert (captions in report.notes) is said
