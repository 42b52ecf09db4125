"""Clips whose format tells the times in a way of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet
from clips import Clip, decode, picture

from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip
from idrn_trt.video.reader import Reader

REORDERED = {"bf": "2", "g": "10", "b_strategy": "0"}


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_of_reordered_frames(tmp_path: Path, same_size: Upscaler, codec: str) -> None:
    """AVI tells decoding times only: frames come evenly from 0, in order, and nothing is remarked."""
    source = Clip(
        tmp_path / "in.avi", [picture(k) for k in range(30)], codec=codec, options=REORDERED
    ).make()
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    after = decode(tmp_path / "out.mp4")
    assert after.times == [Fraction(k, 25) for k in range(30)]
    assert not report.notes


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_part_of_an_avi(tmp_path: Path, same_size: Upscaler, codec: str) -> None:
    """A part of such a clip has the frames of that part: the first and last look as they should."""
    source = Clip(
        tmp_path / "in.avi", [picture(k) for k in range(30)], codec=codec, options=REORDERED
    ).make()
    part = VideoOptions(start_s=0.48, duration_s=0.2)
    upscale_clip(source, tmp_path / "out.mkv", same_size, part)
    after = decode(tmp_path / "out.mkv")
    assert after.times == [Fraction(k, 25) for k in range(5)]
    for frame, number in ((after.frames[0], 12), (after.frames[-1], 16)):
        blue = frame.to_ndarray(format="rgb24")[..., 2].mean()
        # The blue of picture k is 9 k.
        assert blue == pytest.approx(9 * number, abs=4.4)


def test_sound_cut_away_by_an_edit_list(tmp_path: Path, same_size: Upscaler) -> None:
    """What an MP4 hides before its begin stays hidden in Matroska, which has no such list."""
    whole = Clip(
        tmp_path / "whole.mp4", [picture(k) for k in range(30)], audio="aac", options={"g": "5"}
    ).make()
    source = tmp_path / "in.mp4"
    with av.open(str(whole)) as old, av.open(str(source), "w") as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                half = round(Fraction(1, 2) / packet.time_base)
                packet.pts, packet.dts = packet.pts - half, packet.dts - half
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    upscale_clip(source, tmp_path / "out.mkv", same_size)
    after = decode(tmp_path / "out.mkv")
    first = after.packets["audio"][0][0]
    assert Fraction(-8, 100) <= first <= 0
    assert len(after.times) == len(decode(source).times)


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_a_video_track_that_is_not_the_first(
    tmp_path: Path, same_size: Upscaler, ending: str
) -> None:
    """Sound before the video in the list of tracks costs no frame at the end."""
    whole = Clip(
        tmp_path / "whole.mkv", [picture(k) for k in range(12)], audio="aac", options=REORDERED
    ).make()
    source = tmp_path / f"in{ending}"
    with av.open(str(whole)) as old, av.open(str(source), "w") as new:
        tracks = [old.streams.audio[0], old.streams.video[0]]
        copies = {s.index: new.add_stream_from_template(s) for s in tracks}
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    assert report.frames == 12
    assert len(decode(tmp_path / "out.mp4").times) == 12


def dv(path: Path) -> Path:
    """A raw DV file of 10 frames, whose header tells a timecode."""
    pictures = [picture(k, 720, 576) for k in range(10)]
    return Clip(path, pictures, codec="dvvideo", audio="pcm_s16le").make()


def test_the_rate_of_raw_dv(tmp_path: Path) -> None:
    """DV's unit of time is not taken for its rate: 10 frames at 25 a second are expected."""
    with Reader(dv(tmp_path / "in.dv")) as reader:
        assert reader.rate == 25
        assert reader.expected_frames == 10


def test_the_timecode_of_a_part_is_left_out_and_said(tmp_path: Path, same_size: Upscaler) -> None:
    """A timecode is the first frame's: a part that begins later has none, and a note says so."""
    source = dv(tmp_path / "in.dv")
    upscale_clip(source, tmp_path / "whole.mp4", same_size)
    part = VideoOptions(start_s=0.2)
    report = upscale_clip(source, tmp_path / "part.mp4", same_size, part)
    assert any("timecode is left out" in note for note in report.notes)
    for name, told in (("whole", True), ("part", False)):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert any("timecode" in stream.metadata for stream in container.streams) is told


@pytest.mark.parametrize(
    ("ending", "codec", "audio"), [(".ts", "libx264", "aac"), (".mpg", "mpeg2video", "mp2")]
)
def test_recordings_put_together(
    tmp_path: Path, same_size: Upscaler, ending: str, codec: str, audio: str
) -> None:
    """Where a stream's clock goes back, pictures and sound go on at their rates, in step, and it is said."""
    pictures = [picture(k) for k in range(25)]
    one = Clip(
        tmp_path / f"one{ending}", pictures, codec=codec, audio=audio, options={"bf": "2"}
    ).make()
    source = tmp_path / f"in{ending}"
    source.write_bytes(one.read_bytes() * 3)
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    single, after = decode(one), decode(tmp_path / "out.mp4")
    steps = [later - earlier for earlier, later in zip(after.times, after.times[1:], strict=False)]
    assert len(after.times) == 75
    # At each joint the longer of the tracks is waited for.
    assert sum(step == Fraction(1, 25) for step in steps) >= 72
    assert Fraction(1, 50) <= min(steps)
    assert max(steps) < Fraction(1, 5)
    assert len(after.packets["audio"]) >= 3 * len(single.packets["audio"]) - 6
    assert "the stream's clock jumps 2 times: joined there" in report.notes


def copied(source: Path, target: Path, wanted: Callable[[Packet[Any]], bool]) -> Path:
    """The packets of a file that are wanted, in another."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size and wanted(packet):
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    return target


def test_sound_that_pauses_stays_in_step(tmp_path: Path, same_size: Upscaler) -> None:
    """A gap in one track is no jump of the clock: what comes after it is where it was."""
    whole = Clip(tmp_path / "whole.ts", [picture(k % 20) for k in range(360)], audio="aac").make()

    def wanted(packet: Packet[Any]) -> bool:
        begin = packet.pts * packet.time_base
        return packet.stream.type == "video" or not 2.5 < begin < 13.5

    source = copied(whole, tmp_path / "in.ts", wanted)
    report = upscale_clip(source, tmp_path / "out.mkv", same_size)
    before, after = decode(source), decode(tmp_path / "out.mkv")
    lag = [
        clip.packets["audio"][-1][0] - clip.times[-1] for clip in (before, after)
    ]  # fmt: skip
    assert lag[1] == pytest.approx(lag[0], abs=0.05)
    assert not any("jumps" in note for note in report.notes)


def test_an_avi_that_begins_between_key_frames(tmp_path: Path, same_size: Upscaler) -> None:
    """Pictures that cannot be decoded yet take their time: those that come are in step with the sound."""
    whole = Clip(
        tmp_path / "whole.avi",
        [picture(k) for k in range(40)],
        audio="pcm_s16le",
        options=REORDERED,
    ).make()
    numbers = itertools.count()
    source = copied(
        whole, tmp_path / "in.avi", lambda p: p.stream.type == "audio" or next(numbers) >= 14
    )
    upscale_clip(source, tmp_path / "out.mkv", same_size)
    after = decode(tmp_path / "out.mkv")
    # 14 packets are gone; of the others, those before the key frame 20 cannot be shown.
    blue = after.frames[-1].to_ndarray(format="rgb24")[..., 2].mean()
    assert blue == pytest.approx(9 * 39 % 256, abs=6)
    assert after.times[-1] == Fraction(39, 25)


def test_what_lies_before_a_part_is_not_kept(tmp_path: Path) -> None:
    """While a transport stream is read up to the part, the sound on the way there is let go."""
    source = Clip(
        tmp_path / "in.ts", [picture(k % 20) for k in range(200)], audio="aac", options={"g": "400"}
    ).make()
    with Reader(source, VideoOptions(start_s=7)) as reader:
        first = next(step for step in reader if step.picture is not None)
    assert len(first.packets) < 30
