"""A clip in, a clip out: times, other tracks, geometry, views."""

from __future__ import annotations

import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from clips import Clip, decode, picture, plane_array, rgb_of
from told import Told

from idrn_trt.errors import OptionError, SourceError
from idrn_trt.types import Box
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip

EVEN = list(range(20))
UNEVEN = [0, 1, 2, 7, 8, 30, 31, 33, 60, 61, 100, 101]


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("pts", "time_base"),
    [
        (EVEN, Fraction(1, 25)),
        ([7 + k for k in EVEN], Fraction(1001, 30000)),
        ([11 * k for k in UNEVEN], Fraction(1, 1000)),
    ],
    ids=["25 fps", "29.97 fps from 0.23 s", "variable"],
)
def test_times_are_kept(
    tmp_path: Path, upscaler: Upscaler, ending: str, pts: list[int], time_base: Fraction
) -> None:
    """Each frame is shown exactly when it was, at fixed and variable rates, and for as long."""
    # Matroska counts milliseconds: what goes there comes from there, so that nothing is rounded.
    source = tmp_path / f"in{'.mkv' if ending == '.mkv' else '.mp4'}"
    Clip(source, [picture(k) for k in range(len(pts))], pts=pts, time_base=time_base).make()
    report = upscale_clip(source, tmp_path / f"out{ending}", upscaler)
    before, after = decode(source), decode(tmp_path / f"out{ending}")
    assert after.times == before.times
    if len(pts) == len(EVEN):
        assert abs(after.duration_s - before.duration_s) < 0.002
    assert (after.width, after.height) == (256, 192)
    assert report.frames == len(pts)
    assert report.faces == len(pts)
    assert report.damage == ""


def test_a_transport_stream_begins_at_its_first_frame(tmp_path: Path, upscaler: Upscaler) -> None:
    """The clock of a transport stream starts anywhere; the result's at 0, with sound in step."""
    source = Clip(
        tmp_path / "in.ts",
        [picture(k) for k in EVEN],
        audio="aac",
        container_options={"output_ts_offset": "100"},
    ).make()
    upscale_clip(source, tmp_path / "out.mp4", upscaler)
    before, after = decode(source), decode(tmp_path / "out.mp4")
    shift = min(before.times[0], before.packets["audio"][0][0])
    assert before.times[0] > 99
    assert min(after.times[0], after.packets["audio"][0][0]) == 0
    assert [t + shift for t in after.times] == before.times
    assert abs(after.packets["audio"][0][0] + shift - before.packets["audio"][0][0]) < Fraction(
        1, 40000
    )


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_sound_and_subtitles_are_copied(tmp_path: Path, upscaler: Upscaler, ending: str) -> None:
    """Audio and subtitle packets are the same bytes at the same times, in tracks of the same language."""
    words = "subrip" if ending == ".mkv" else None
    source = tmp_path / f"in{ending}"
    Clip(source, [picture(k) for k in EVEN], audio="aac", subtitles=words).make()
    target = tmp_path / f"out{ending}"
    report = upscale_clip(source, target, upscaler)
    before, after = decode(source), decode(target)
    assert len(before.packets["audio"]) > 30
    assert after.packets == before.packets
    assert after.languages == before.languages
    assert len(report.tracks) == len(before.packets)
    assert report.notes == []


def test_a_track_the_container_cannot_hold_is_dropped_and_said(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    """SubRip does not go into MP4: a note names the track, and the sound is there."""
    source = tmp_path / "in.mkv"
    Clip(source, [picture(k) for k in EVEN], audio="aac", subtitles="subrip").make()
    report = upscale_clip(source, tmp_path / "out.mp4", upscaler)
    (note,) = report.notes
    assert note.startswith("subtitle track 2 (subrip, eng) is dropped: mp4 cannot hold it")
    after = decode(tmp_path / "out.mp4")
    assert list(after.packets) == ["audio"]
    assert [data for _, data in after.packets["audio"]] == [
        data for _, data in decode(source).packets["audio"]
    ]


@pytest.mark.parametrize(
    ("signs", "turned"),
    [
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
    ],
    ids=["90", "180", "270", "mirrored", "upside down", "transposed", "anti-transposed"],
)
def test_a_display_matrix_is_applied(
    tmp_path: Path, same_size: Upscaler, signs: tuple[int, int, int, int], turned: object
) -> None:
    """Frames come out upright, of the turned size and pixel shape, with no matrix left to apply."""
    shades = np.kron(
        np.random.default_rng(0).integers(0, 256, (6, 8, 1), np.uint8), np.ones((8, 8, 3), np.uint8)
    )
    source = Clip(
        tmp_path / "in.mp4", [shades] * 3, options={"crf": "1"}, sample_aspect=Fraction(4, 3),
        rotation=signs, matrix=1, color_range=1,
    ).make()  # fmt: skip
    report = upscale_clip(source, tmp_path / "out.mp4", same_size, VideoOptions(crf=1))
    after = decode(tmp_path / "out.mp4")
    expected = turned(shades)  # type: ignore[operator]
    swapped = signs[0] == 0
    assert (after.height, after.width) == expected.shape[:2]
    assert np.abs(rgb_of(after.frames[0]) - expected).mean() < 2
    assert after.sample_aspect == (Fraction(3, 4) if swapped else Fraction(4, 3))
    assert not after.frames[0].side_data.get("DISPLAYMATRIX") or after.frames[0].rotation == 0
    assert "display matrix" in report.notes[0]


def test_pixels_that_are_not_square_stay_so(tmp_path: Path, upscaler: Upscaler) -> None:
    """The sample aspect ratio is carried over."""
    source = tmp_path / "in.mp4"
    Clip(source, [picture(k) for k in EVEN], sample_aspect=Fraction(16, 11)).make()
    upscale_clip(source, tmp_path / "out.mp4", upscaler)
    assert decode(tmp_path / "out.mp4").sample_aspect == Fraction(16, 11)


def test_interlaced_frames_are_made_whole(tmp_path: Path, same_size: Upscaler) -> None:
    """An interlaced clip keeps its frames and times, is no longer interlaced, and a note says so."""
    source = Clip(
        tmp_path / "in.mp4", [picture(k) for k in EVEN], options={"x264-params": "interlaced=1"}
    ).make()
    assert decode(source).frames[3].interlaced_frame
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    before, after = decode(source), decode(tmp_path / "out.mp4")
    assert after.times == before.times
    assert not any(frame.interlaced_frame for frame in after.frames)
    assert any("interlaced" in note for note in report.notes)


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (63, 47)])
def test_odd_sizes(tmp_path: Path, same_size: Upscaler, width: int, height: int) -> None:
    """H.264 with halved colours wants even sides: the last row or column is repeated, and it is said."""
    pictures = [picture(k, width, height) for k in EVEN]
    source = Clip(tmp_path / "in.mkv", pictures, codec="ffv1", pix_fmt="bgr0").make()
    report = upscale_clip(source, tmp_path / "out.mp4", same_size, VideoOptions(crf=1))
    after = decode(tmp_path / "out.mp4")
    assert (after.width, after.height) == (64, 48)
    assert any("even sides" in note for note in report.notes)
    # Luma, which has full resolution: the picture itself is where it was.
    grey = plane_array(after.frames[5])[:height, :width].astype(int)
    want = pictures[5] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - (want * 219 / 255 + 16)).mean() < 3


def test_a_lossless_copy(tmp_path: Path, same_size: Upscaler) -> None:
    """FFV1 keeps RGB as it is: frames read and written at their own size are the very same."""
    pictures = [picture(k, 63, 47) for k in EVEN]
    source = Clip(tmp_path / "in.mkv", pictures, codec="ffv1", pix_fmt="bgr0").make()
    upscale_clip(source, tmp_path / "out.mkv", same_size, VideoOptions(codec="ffv1"))
    after = decode(tmp_path / "out.mkv")
    for frame, want in zip(after.frames, pictures, strict=True):
        assert np.array_equal(frame.to_ndarray(format="rgb24"), want)


@pytest.mark.skipif(sys.platform != "linux", reason="single threads have a niceness on Linux only")
def test_the_encoder_gives_way(tmp_path: Path, upscaler: Upscaler) -> None:
    """Encoding runs in threads that are nicer than the caller's, whose own niceness stays."""
    clip = Clip(tmp_path / "in.mkv", [picture(k) for k in range(4)]).make()
    here = os.getpriority(os.PRIO_PROCESS, 0)
    seen: set[int] = set()

    def look(_: object) -> None:
        ids = {thread.name: thread.native_id or 0 for thread in threading.enumerate()}
        if "idrn-encode" in ids:
            seen.add(os.getpriority(os.PRIO_PROCESS, ids["idrn-encode"]))

    upscale_clip(clip, tmp_path / "out.mkv", upscaler, on_frame=look)
    assert max(seen) > here
    assert os.getpriority(os.PRIO_PROCESS, 0) == here


def test_a_part_of_a_clip(tmp_path: Path, upscaler: Upscaler) -> None:
    """Start and duration take the frames and sound of that part, and the first frame is at 0."""
    pictures = [picture(k) for k in range(100)]
    source = tmp_path / "in.mp4"
    Clip(source, pictures, audio="aac", options={"g": "10"}).make()
    options = VideoOptions(start_s=1.5, duration_s=0.8)
    report = upscale_clip(source, tmp_path / "out.mp4", upscaler, options)
    before, after = decode(source), decode(tmp_path / "out.mp4")
    wanted = [t for t in before.times if Fraction(3, 2) <= t < Fraction(23, 10)]
    assert report.frames == len(wanted) == 20
    assert after.times == [t - wanted[0] for t in wanted]
    sound = [(t, d) for t, d in before.packets["audio"] if wanted[0] <= t < Fraction(23, 10)]
    copied = after.packets["audio"]
    assert [data for _, data in copied] == [data for _, data in sound]
    assert all(
        abs(a + wanted[0] - b) <= Fraction(1, 48000)
        for (a, _), (b, _) in zip(copied, sound, strict=True)
    )
    assert report.damage == ""


def test_words_on_show_where_a_part_begins_and_ends(tmp_path: Path, upscaler: Upscaler) -> None:
    """A subtitle that lasts over the begin or the end of a part is in it, for as long as it is seen there."""
    source = Clip(
        tmp_path / "in.mkv", [picture(k) for k in range(25)], subtitles="subrip"
    ).make()  # lines from 0.1 to 0.3 s and from 0.4 to 0.6 s
    part = VideoOptions(start_s=0.2, duration_s=0.3)
    upscale_clip(source, tmp_path / "out.mkv", upscaler, part)
    with av.open(str(tmp_path / "out.mkv")) as container:
        words = [
            (packet.pts, packet.duration, bytes(packet))
            for packet in container.demux(subtitles=0)
            if packet.size
        ]
    assert words == [(0, 100, b"first line"), (200, 100, b"second")]


@pytest.mark.parametrize("start", [0.04, 0.2, 0.24, 0.56, 0.6, 0.92])
def test_a_part_that_begins_at_a_frame(tmp_path: Path, same_size: Upscaler, start: float) -> None:
    """A start and a duration given as decimals hit the frames at those times, though floats are not exact."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in range(50)]).make()
    part = VideoOptions(start_s=start, duration_s=0.36)
    assert upscale_clip(source, tmp_path / "out.mp4", same_size, part).frames == 9
    first = decode(tmp_path / "out.mp4").frames[0].to_ndarray(format="rgb24")
    assert first[..., 2].mean() == pytest.approx(9 * round(start * 25), abs=4)


def test_a_part_beyond_the_end(tmp_path: Path, upscaler: Upscaler) -> None:
    """A start after the last frame is an error that says where the clip ends."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN]).make()
    with pytest.raises(SourceError, match=r"ends at 0\.80 s"):
        upscale_clip(source, tmp_path / "out.mp4", upscaler, VideoOptions(start_s=5))
    assert not (tmp_path / "out.mp4").exists()


def test_views(tmp_path: Path, upscaler: Upscaler) -> None:
    """Side by side is twice as wide; the view of faces has a cell for the largest window, twice."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN]).make()
    upscale_clip(source, tmp_path / "both.mp4", upscaler, VideoOptions(view="side-by-side"))
    upscale_clip(source, tmp_path / "faces.mp4", upscaler, VideoOptions(view="faces"))
    both, faces = decode(tmp_path / "both.mp4"), decode(tmp_path / "faces.mp4")
    assert (both.width, both.height) == (512, 192)
    assert (faces.width, faces.height) == (512, 1028)
    assert faces.times == decode(source).times


class Late(Told):
    """Finds nothing in the first frames."""

    def __init__(self, first: int, *boxes: Box) -> None:
        super().__init__(*boxes)
        self.left = first

    def detect(self, frame: np.ndarray) -> list:
        self.left -= 1
        return [] if self.left >= 0 else super().detect(frame)


def test_faces_that_come_late(tmp_path: Path) -> None:
    """In the view of faces, frames before the first face are blank ones at their own times."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN], audio="aac").make()
    with Upscaler(engine="bicubic", detector=Late(7, Box(20, 12, 20, 20))) as upscaler:
        upscale_clip(source, tmp_path / "out.mp4", upscaler, VideoOptions(view="faces"))
    before, after = decode(source), decode(tmp_path / "out.mp4")
    assert after.times == before.times
    spread = [float(rgb_of(frame).std()) for frame in after.frames]
    assert max(spread[:7]) < 1 < min(spread[7:])
    assert after.packets == before.packets


def test_no_face_at_all(tmp_path: Path, same_size: Upscaler) -> None:
    """In the view of faces a clip without one writes nothing, as with pictures."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN]).make()
    report = upscale_clip(source, tmp_path / "out.mp4", same_size, VideoOptions(view="faces"))
    assert report.output_size is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


def test_frames_of_another_size_are_fitted(tmp_path: Path, upscaler: Upscaler) -> None:
    """A stream whose frame size changes half-way goes on at its first size, and it is said."""
    for name, width in (("a", 64), ("b", 96)):
        pictures = [picture(k, width) for k in EVEN]
        Clip(tmp_path / f"{name}.h264", pictures, options={"preset": "ultrafast"}).make()
    joined = tmp_path / "in.h264"
    joined.write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    report = upscale_clip(joined, tmp_path / "out.mp4", upscaler)
    after = decode(tmp_path / "out.mp4")
    assert len(after.frames) == 40
    assert (after.width, after.height) == (256, 192)
    assert any("frame size changes" in note for note in report.notes)
    assert after.times == sorted(set(after.times))


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "-.mp4", "50 % #1?.mp4", "überbild \N{SNOWMAN}.mp4", "%03d.mp4"]
)
def test_any_name(tmp_path: Path, upscaler: Upscaler, name: str) -> None:
    """Characters that mean something to FFmpeg, as protocols or patterns, are plain in a name."""
    made = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN]).make()
    source = made.rename(tmp_path / name)
    (tmp_path / "out").mkdir()
    upscale_clip(source, tmp_path / "out" / name, upscaler)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]
    assert len(decode(tmp_path / "out" / name).frames) == 20


def test_metadata_is_kept(tmp_path: Path, upscaler: Upscaler) -> None:
    """A title and chapters are carried over."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.metadata["title"] = "Grüße"
        titles = {"Anfang": (0, 80), "Ende": (80, 200)}
        container.set_chapters(
            [
                {"id": start, "start": start, "end": end, "time_base": Fraction(1, 1000),
                 "metadata": {"title": title}}
                for title, (start, end) in titles.items()
            ]
        )  # fmt: skip
        for k in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), "rgb24")))
        container.mux(stream.encode(None))
    upscale_clip(source, tmp_path / "out.mp4", upscaler)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["title"] == "Grüße"
        kept = {c["metadata"]["title"]: c["start"] * c["time_base"] for c in container.chapters()}
        assert kept == {"Anfang": 0, "Ende": Fraction(80, 1000)}


def test_a_video_track_keeps_what_it_is_called(tmp_path: Path, same_size: Upscaler) -> None:
    """The video track's language, title and disposition are carried over."""
    whole = Clip(tmp_path / "whole.mkv", [picture(k) for k in range(5)]).make()
    with av.open(str(whole)) as old, av.open(str(tmp_path / "in.mkv"), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        copy.metadata.update({"language": "jpn", "title": "Main", "alpha_mode": "0"})
        copy.disposition = Disposition.default | Disposition.original
        for packet in old.demux():
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    upscale_clip(tmp_path / "in.mkv", tmp_path / "out.mkv", same_size)
    with av.open(str(tmp_path / "out.mkv")) as container:
        video = container.streams.video[0]
        assert video.language == "jpn"
        assert video.metadata["title"] == "Main"
        assert video.disposition == Disposition.default | Disposition.original


def test_chapters_of_a_part_are_left_out_and_said(tmp_path: Path, same_size: Upscaler) -> None:
    """Chapters are the whole clip's: a part has none, and a note says so."""
    whole = Clip(tmp_path / "whole.mkv", [picture(k) for k in range(50)]).make()
    with av.open(str(whole)) as old, av.open(str(tmp_path / "in.mkv"), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        chapter = {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000)}
        new.set_chapters([{**chapter, "metadata": {"title": "One"}}])
        for packet in old.demux():
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    part = VideoOptions(duration_s=1.0)
    report = upscale_clip(tmp_path / "in.mkv", tmp_path / "out.mkv", same_size, part)
    assert report.notes == ["chapters (1) are left out: they are the whole clip's"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert not container.chapters()


def test_the_index_is_at_the_front(tmp_path: Path, upscaler: Upscaler) -> None:
    """An .mp4 plays before it is wholly there: its index comes before its data."""
    source = Clip(tmp_path / "in.mp4", [picture(k) for k in EVEN]).make()
    upscale_clip(source, tmp_path / "out.mp4", upscaler)
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("view", ["", "all"])
def test_options_are_checked(view: str) -> None:
    """Values outside what is documented are OptionErrors that give what they got."""
    with pytest.raises(OptionError, match="view must be one of"):
        VideoOptions(view=view)  # type: ignore[arg-type]
    for wrong in (
        {"start_s": -1.0},
        {"duration_s": 0.0},
        {"duration_s": float("nan")},
        {"threads": 0},
    ):
        with pytest.raises(OptionError, match="got"):
            VideoOptions(**wrong)  # type: ignore[arg-type]
