"""Which encoder is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import Clip, decode, picture

from idrn_trt.errors import OptionError
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.encoders import CODECS, ENCODERS, HARDWARE, choose_encoder, container_of, opens
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip


@pytest.mark.parametrize(
    ("codec", "ending", "found"),
    [("h264", ".mp4", "h264"), ("hevc", ".mp4", "hevc"), ("av1", ".mp4", "av1"), ("av1", ".webm", "av1"),
     ("vp9", ".webm", "vp9"), ("auto", ".webm", "vp9"), ("auto", ".mov", "h264"), ("hevc", ".mkv", "hevc"),
     ("ffv1", ".mkv", "ffv1")],
)  # fmt: skip
def test_every_codec_makes_a_clip(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], codec: str, ending: str, found: str
) -> None:
    """Each codec writes a clip that reads back whole, at the same times, and nothing to the terminal."""
    source = Clip(tmp_path / "in.mkv", [picture(k, 160, 128) for k in range(10)]).make()
    with Upscaler(engine="bicubic", frame_scale=1) as upscaler:
        upscale_clip(source, tmp_path / f"out{ending}", upscaler, VideoOptions(codec=codec))
    after = decode(tmp_path / f"out{ending}")
    assert after.times == decode(source).times
    assert after.frames[0].width == 160
    chosen, _ = choose_encoder(codec, container_of(tmp_path / f"x{ending}"))
    assert chosen.name == CODECS.get(found, found)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_crf_and_preset_are_used(tmp_path: Path, same_size: Upscaler) -> None:
    """A higher crf makes a smaller file."""
    source = Clip(tmp_path / "in.mkv", [picture(k, 160, 128) for k in range(10)]).make()
    for crf in (10, 40):
        options = VideoOptions(crf=crf, preset="ultrafast")
        upscale_clip(source, tmp_path / f"{crf}.mp4", same_size, options)
    assert (tmp_path / "40.mp4").stat().st_size < (tmp_path / "10.mp4").stat().st_size / 2


@pytest.mark.parametrize(
    ("codec", "container", "words"),
    [
        ("h265", "mp4", "h264"),
        ("mpeg4", "mp4", "There are"),
        ("h264", "webm", "webm cannot hold"),
        ("vp9_", "mp4", "Did you mean"),
    ],
)
def test_a_codec_that_does_not_fit(codec: str, container: str, words: str) -> None:
    """An unknown codec, or one for another container, is refused with what to take."""
    with pytest.raises(OptionError, match=words):
        choose_encoder(codec, container)


@pytest.mark.parametrize(
    ("name", "crf", "preset", "words"),
    [
        ("libx264", 52, None, "from 0 to 51, got 52"),
        ("libx264", -1, None, "got -1"),
        ("libx264", None, "quick", "no preset 'quick'; it takes ultrafast"),
        ("libsvtav1", None, "14", "no preset '14'"),
        ("ffv1", 3, None, "lossless"),
    ],
)
def test_wishes_out_of_range(name: str, crf: int | None, preset: str | None, words: str) -> None:
    """A crf or preset the encoder does not take is refused with what it does."""
    with pytest.raises(OptionError, match=words):
        ENCODERS[name].options(crf, preset)


def test_hardware_falls_back_and_says_so() -> None:
    """Without a hardware encoder that opens, libx264 is taken with a note; with one, that one is."""
    encoder, notes = choose_encoder("hardware", "mp4")
    working = [name for name in HARDWARE if opens(ENCODERS[name])]
    if working:
        assert encoder.name == working[0]
        assert notes == []
    else:
        assert encoder.name == "libx264"
        assert "no hardware encoder works here" in notes[0]


def test_an_ending_no_container_has() -> None:
    """A result is not named .avi, which keeps no frame's time."""
    with pytest.raises(OptionError, match=r"\.mkv"):
        container_of(Path("out.avi"))
