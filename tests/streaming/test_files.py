"""Files with every fault that files have, from source to sink."""

from __future__ import annotations

import contextlib
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from players import Kept

from idrn_trt.errors import SinkError, SourceError
from idrn_trt.streaming.stream import Stream
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sinks.file import VideoFile
from idrn_trt.video.sources import open_source

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

from clips import Clip, decode, picture

MS = Fraction(1, 1000)


def streamed(clip: Path, upscaler: Upscaler, *, into: Path) -> Kept:
    """The results of a clip that also goes into a file."""
    sink = Kept()
    try:
        Stream([open_source(str(clip))], [sink, VideoFile(into)], upscaler=upscaler).run()
    finally:
        assert sink.closed == 1
    return sink


def test_a_variable_frame_rate_is_kept(faceless: Upscaler, tmp_path: Path) -> None:
    """Each picture has in the written file, to a millisecond, the time it had in the one that was read."""
    times = [0, 40, 45, 200, 1000, 1001, 1500]
    clip = Clip(tmp_path / "in.mkv", [picture(k) for k in range(7)], pts=times, time_base=MS).make()
    sink = streamed(clip, faceless, into=tmp_path / "out.mkv")
    assert [result.time for result in sink.results] == [k * MS for k in times]
    assert decode(tmp_path / "out.mkv").times == [k * MS for k in times]


def test_missing_time_stamps_are_made_up(faceless: Upscaler, tmp_path: Path) -> None:
    """A bare H.264 stream has none: all its frames come, in order and evenly, and so they are written."""
    clip = Clip(tmp_path / "in.mkv", [picture(k) for k in range(20)], options={"bf": "2"}).make()
    bare = tmp_path / "in.h264"
    with av.open(str(clip)) as given, av.open(str(bare), "w", format="h264") as taken:
        track = taken.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = track
                taken.mux(packet)
    sink = streamed(bare, faceless, into=tmp_path / "out.mkv")
    assert len(sink.results) == 20
    steps = {b.time - a.time for a, b in pairwise(sink.results)}
    assert steps == {Fraction(1, 25)}
    assert len(decode(tmp_path / "out.mkv").times) == 20


def test_a_sink_that_fails_spoils_no_other(faceless: Upscaler, tmp_path: Path) -> None:
    """The stream ends with that sink's error; what the other has written so far is a file that plays."""

    class Full(Kept):
        def write(self, result: StreamResult) -> None:
            super().write(result)
            if len(self.results) == 10:
                raise SinkError("no space left")

    clip = Clip(tmp_path / "in.mkv", [picture(k) for k in range(60)]).make()
    sinks = [Full(), VideoFile(tmp_path / "out.mkv")]
    with pytest.raises(SinkError, match="no space left"):
        Stream([open_source(str(clip))], sinks, upscaler=faceless).run()
    assert 8 <= len(decode(tmp_path / "out.mkv").times) < 60


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_what_a_cut_off_file_holds_is_finished(
    ending: str, faceless: Upscaler, tmp_path: Path
) -> None:
    """Its frames are in the written file, which plays; then the stream ends with what is wrong."""
    options = {"movflags": "frag_keyframe+empty_moov"} if ending == ".mp4" else {}
    clip = Clip(
        tmp_path / f"in{ending}", [picture(k, 320, 240) for k in range(60)],
        options={"g": "5"}, container_options=options,
    ).make()  # fmt: skip
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(SourceError, match="cut off"):
        streamed(clip, faceless, into=tmp_path / "out.mkv")
    assert 10 < len(decode(tmp_path / "out.mkv").times) < 60


def test_frames_that_are_damaged_are_passed_over(faceless: Upscaler, tmp_path: Path) -> None:
    """A clip with bytes overwritten in its middle goes on behind them, with the times that it has there."""
    clip = Clip(
        tmp_path / "in.mkv", [picture(k, 320, 240) for k in range(60)], options={"g": "10"}
    ).make()
    data = bytearray(clip.read_bytes())
    middle, tenth = len(data) // 2, len(data) // 10
    data[middle : middle + tenth] = bytes(tenth)
    clip.write_bytes(data)
    with contextlib.suppress(SourceError):  # FFmpeg notices not all damage
        streamed(clip, faceless, into=tmp_path / "out.mkv")
    times = decode(tmp_path / "out.mkv").times
    assert times == sorted(set(times))
    assert set(times) < {Fraction(k, 25) for k in range(60)}
    assert times[-1] == Fraction(59, 25)
