"""Where a stream's results go."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from clips import decode

from idrn_trt.errors import BackendUnavailable, OptionError, SinkError
from idrn_trt.images import read_image
from idrn_trt.types import Box, StreamResult, TrackedFace, Window
from idrn_trt.video.fit import fitted
from idrn_trt.video.hud import Hud
from idrn_trt.video.sinks import SinkOptions, open_sinks
from idrn_trt.video.sinks.base import Enough
from idrn_trt.video.sinks.faces import FacesFolder, Retention
from idrn_trt.video.sinks.file import VideoFile
from idrn_trt.video.sinks.lines import JsonLines
from idrn_trt.video.sinks.window import WindowSink

UInt8 = npt.NDArray[np.uint8]


def face(track: int = 1, sharpness: float = 100.0, level: int = 90) -> TrackedFace:
    """A face of 20 px in a window of 32."""
    lr = np.full((32, 32, 3), level, np.uint8)
    sr = np.full((128, 128, 3), level, np.uint8)
    box = Box(10.25, 12.0, 20.0, 20.0)
    return TrackedFace(box, 0.9, Window(4, 6, 32, 32), lr, sr, track, sharpness, reused=False)


def result(number: int = 0, *faces: TrackedFace, **changes: Any) -> StreamResult:
    """A frame of 64x48 at 25 frames/s, grey."""
    picture = np.full((48, 64, 3), 100, np.uint8)
    made = StreamResult(
        source=0, name="camera 0", number=number, time=5 + Fraction(number, 25),
        captured_s=1_700_000_000 + number / 25, captured_ns=time.perf_counter_ns(), frame=picture,
        picture=picture, faces=list(faces), too_large=[], times_ms={"engine": 1.0},
    )  # fmt: skip
    return replace(made, **changes)


def write_all(sink: Any, results: list[StreamResult]) -> None:
    """As an outlet does."""
    try:
        for one in results:
            sink.write(one)
    finally:
        sink.close()


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_file_keeps_times(tmp_path: Path, ending: str) -> None:
    """It begins at 0 with the first picture; uneven times come through, and equal ones are put apart."""
    numbers = [0, 1, 2, 10, 10, 50]
    write_all(VideoFile(tmp_path / f"a{ending}"), [result(k) for k in numbers])
    times = decode(tmp_path / f"a{ending}").times
    assert [round(float(t), 2) for t in times] == [0, 0.04, 0.08, 0.4, 0.4, 2.0]
    assert times == sorted(set(times))


def test_a_gap_is_not_added_to_the_end(tmp_path: Path) -> None:
    """A camera that was off for a minute, and on again for one picture, makes a minute, not two."""
    write_all(VideoFile(tmp_path / "a.mkv"), [result(k) for k in (0, 1, 2, 1500)])
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.duration is not None
        assert 60 < container.duration / av.time_base <= 61


def test_another_size_is_fitted_into_the_file(tmp_path: Path) -> None:
    """The first picture's size is the file's; a wide one gets black above and below."""
    wide = np.full((20, 80, 3), 200, np.uint8)
    write_all(VideoFile(tmp_path / "a.mkv", codec="ffv1"), [result(0), result(1, picture=wide)])
    clip = decode(tmp_path / "a.mkv")
    assert (clip.width, clip.height) == (64, 48)
    np.testing.assert_array_equal(fitted(wide, (64, 48))[0], 0)
    assert abs(int(fitted(wide, (64, 48))[24].min()) - 200) <= 1


def test_a_file_appears_when_it_is_finished(tmp_path: Path) -> None:
    """Nothing is there without a picture or after an error; an older file stays then."""
    target = tmp_path / "a.mp4"
    write_all(VideoFile(target), [result(0, picture=None)])
    assert list(tmp_path.iterdir()) == []
    target.write_bytes(b"older")
    sink = VideoFile(target)
    sink.write(result(0))
    assert target.read_bytes() == b"older"
    with pytest.raises(ValueError, match=r"broadcast|dimension|shape|unpack|axis|index"):
        sink.write(result(1, picture=np.zeros((4,), np.uint8)))
    sink.close()
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """It is a SinkError that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"a\.mp4"):
        write_all(VideoFile(tmp_path / "file" / "a.mp4"), [result()])


def test_words_in_the_picture() -> None:
    """They change a copy's corner and nothing else."""
    one = result(0, face(), picture=np.full((480, 640, 3), 100, np.uint8))
    drawn = Hud("openvino int8").drawn(one)
    assert one.picture is not None
    assert (one.picture == 100).all()
    assert (drawn[:40] != 100).any()
    assert (drawn[60:] == 100).all()


def test_json_lines() -> None:
    """One object a frame, with each face's track and whether it was carried."""
    text = io.StringIO()
    carried = replace(face(8), carried=True)
    write_all(JsonLines(text), [result(0), result(1, face(7), carried)])
    first, second = map(json.loads, text.getvalue().splitlines())
    assert [one["carried"] for one in second["faces"]] == [False, True]
    assert first["faces"] == []
    assert second["frame"] == 1
    assert second["time_s"] == 5.04
    assert second["faces"][0]["track"] == 7
    assert second["faces"][0]["box"] == [10.25, 12.0, 20.0, 20.0]


def listed(folder: Path) -> list[dict[str, Any]]:
    """The lines of faces.jsonl."""
    return [json.loads(line) for line in (folder / "faces.jsonl").read_text().splitlines()]


def test_the_best_shot_of_each_face_is_kept(tmp_path: Path) -> None:
    """Of a track's frames the sharpest, as seen and as made, with a line that tells where and when."""
    results = [
        result(k, face(1, sharp, level), face(2, 5.0))
        for k, (sharp, level) in enumerate([(10, 10), (90, 50), (20, 20)])
    ]
    write_all(FacesFolder(tmp_path), results)
    one, two = listed(tmp_path)
    assert (one["track"], one["frame"], one["sharpness"], two["track"]) == (1, 1, 90.0, 2)
    assert one["time"] == "2023-11-14T22:13:20.040Z"
    assert one["name"] == "camera 0"
    lr, sr = read_image(tmp_path / one["lr"]), read_image(tmp_path / one["sr"])
    assert (lr.shape, sr.shape) == ((32, 32, 3), (128, 128, 3))
    assert (lr == 50).all()
    assert (sr == 50).all()


def test_a_shot_is_written_when_the_face_is_gone_or_stays(tmp_path: Path) -> None:
    """A second after it was last seen; and again and again while it stays."""
    sink = FacesFolder(tmp_path, every_s=2.0)
    for k in range(26):
        sink.write(result(k, face(1)))
    assert not (tmp_path / "faces.jsonl").exists()
    for k in range(26, 60):
        sink.write(result(k))
    assert [line["track"] for line in listed(tmp_path)] == [1]
    for k in range(60, 60 + 160):
        sink.write(result(k, face(2)))
    sink.close()
    assert [line["track"] for line in listed(tmp_path)] == [1, 2, 2, 2, 2]
    every = FacesFolder(tmp_path / "every", every_s=0.0)
    write_all(every, [result(k, face(3)) for k in range(5)])
    assert len(listed(tmp_path / "every")) == 5


@pytest.mark.parametrize(
    ("keep", "left"),
    [(Retention(count=3), 3), (Retention(megabytes=0.0015), 4), (Retention(days=0.5), 0)],
    ids=["count", "size", "age"],
)
def test_old_faces_are_removed(
    tmp_path: Path, keep: Retention, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number, size and age, the oldest first, those of an earlier run included."""
    monkeypatch.setattr("idrn_trt.video.sinks.faces._MOST_STALE", 2)
    write_all(FacesFolder(tmp_path, every_s=0), [result(k, face(k)) for k in range(5)])
    pair_bytes = sum(path.stat().st_size for path in tmp_path.glob("*.png")) / 5
    if keep.megabytes:
        keep = Retention(megabytes=4.5 * pair_bytes / 1e6)
    write_all(
        FacesFolder(tmp_path, every_s=0, keep=keep), [result(k, face(k)) for k in range(5, 12)]
    )
    present = sorted(path.name for path in tmp_path.glob("*.sr.png"))
    assert len(present) == left
    assert len(list(tmp_path.glob("*.lr.png"))) == left
    lines = [line["sr"] for line in listed(tmp_path)]
    assert lines[len(lines) - left :] == present
    assert len(lines) <= left + 3  # the list is written anew now and then


def test_faces_grow_old_while_none_comes(tmp_path: Path) -> None:
    """Those of an earlier run are removed by their age although the frames are empty."""
    write_all(FacesFolder(tmp_path), [result(0, face())])
    sink = FacesFolder(tmp_path, keep=Retention(days=0.5))
    assert len(list(tmp_path.glob("*.png"))) == 2
    sink.write(result(1))
    assert not list(tmp_path.glob("*.png"))


def test_a_damaged_list_is_no_obstacle(tmp_path: Path) -> None:
    """Lines cut off, foreign or pointing out of the folder are passed over and remove nothing."""
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"mine")
    folder = tmp_path / "faces"
    folder.mkdir()
    evil = {"time": "2020-01-01T00:00:00Z", "lr": "../outside.png", "sr": "../outside.png"}
    lines = ["{", "[]", '"x"', '{"time": 3}', json.dumps(evil), '{"lr": 5, "sr": 6, "time": "x"}']
    (folder / "faces.jsonl").write_text("\n".join(lines) + "\n")
    write_all(FacesFolder(folder, keep=Retention(count=1)), [result(0, face())])
    assert outside.read_bytes() == b"mine"
    assert len(list(folder.glob("*.sr.png"))) == 1


def test_a_list_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    """What comes after the half line has a line of its own."""
    (tmp_path / "faces.jsonl").write_text('{"time": "2026-0')
    write_all(FacesFolder(tmp_path), [result(0, face())])
    half, *whole = (tmp_path / "faces.jsonl").read_text().splitlines()
    assert half == '{"time": "2026-0'
    assert [json.loads(line)["track"] for line in whole] == [1]


def test_a_face_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """No half of it is left, which no list names and nothing would ever remove."""
    write_all(FacesFolder(tmp_path), [result(0, face())])
    (taken,) = tmp_path.glob("*.sr.png")
    (lr,) = tmp_path.glob("*.lr.png")
    for path in (taken, lr, tmp_path / "faces.jsonl"):
        path.unlink()
    (taken / "in the way").mkdir(parents=True)
    with pytest.raises(SinkError, match="cannot write picture"):
        write_all(FacesFolder(tmp_path), [result(0, face())])
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize("wrong", [{"count": 0}, {"days": -1.0}, {"megabytes": float("nan")}])
def test_wrong_limits_are_refused(wrong: dict[str, float]) -> None:
    """With the name and the value."""
    (name,) = wrong
    with pytest.raises(OptionError, match=name):
        Retention(**wrong)  # type: ignore[arg-type]


def test_what_a_text_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and addresses, one for each source where {} is; null and JSON lines take all."""
    one, two = open_sinks("clear-{}.mp4", 2)
    assert (one.name, one.source, two.name, two.source) == ("clear-0.mp4", 0, "clear-1.mp4", 1)
    assert [sink.source for sink in open_sinks("null", 3)] == [None]
    assert [sink.pictures for sink in open_sinks("-", 3)] == [False]
    (push,) = open_sinks("rtsp://u:secret@host/in", 1)
    assert push.name == "rtsp://***@host/in"
    for text, sources in (("clear.mp4", 2), ("clear.avi", 1), ("ftp://u:secret@host/x", 1)):
        with pytest.raises(OptionError) as caught:
            open_sinks(text, sources)
        assert "secret" not in str(caught.value)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BackendUnavailable, match="--out FILE"):
        open_sinks("window", 1)


def test_a_virtual_camera_without_a_device_says_what_to_do() -> None:
    """The reason, and how to get one; where the kernel has one, it takes pictures."""
    pytest.importorskip("pyvirtualcam")
    (sink,) = open_sinks("virtualcam", 1)
    if Path("/sys/devices/virtual/video4linux").is_dir():
        write_all(sink, [result()])
        return
    with pytest.raises(SinkError, match="v4l2loopback"):
        write_all(sink, [result()])


def test_without_pyvirtualcam_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(BackendUnavailable, match=r"idrn-trt\[virtualcam\]"):
        open_sinks("virtualcam", 1, SinkOptions())


def test_a_window_shows_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a virtual screen its memory then holds the picture's colour; a closed window ends the stream."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual screen here: apt install xvfb")
    import cv2

    if "QT" not in cv2.getBuildInformation().partition("GUI:")[2].splitlines()[0]:
        pytest.skip("this OpenCV has no windows")
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-fbdir", str(tmp_path)],  # noqa: S607 (by PATH)
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert screen.stdout is not None
        monkeypatch.setenv("DISPLAY", f":{screen.stdout.readline().strip()}")
        picture = np.empty((240, 320, 3), np.uint8)
        picture[:] = 201, 33, 91
        sink = WindowSink(0, Hud("engine"))
        for number in range(10):
            sink.write(result(number, picture=picture))
        memory = (tmp_path / "Xvfb_screen0").read_bytes()
        sink.close()
        other = WindowSink(1)
        other.write(result())
        assert other._process is not None
        other._process.terminate()
        other._process.wait()
        with pytest.raises(Enough):
            write_all(other, [result(1)])
    finally:
        screen.terminate()
        screen.communicate()
    assert memory.count(bytes((91, 33, 201))) > 320 * 240 // 2  # blue first, as the screen has it


def test_a_screen_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window's process ends, the stream's does not: a SinkError says why."""
    monkeypatch.setenv("DISPLAY", ":7654")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match=r"cannot open a window: .*display.*:7654.*--out FILE"):
        write_all(WindowSink(), [result()])
