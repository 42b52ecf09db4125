"""Streams whose network is slower than the camera: what it added to a face is carried onto later frames."""

from __future__ import annotations

import io
import json
import math
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from players import Endless, Held, Kept, Played, Spots, spot, wait_until

from idrn_trt.errors import DeviceError, OptionError
from idrn_trt.streaming import schedule
from idrn_trt.streaming.feeder import Captured
from idrn_trt.streaming.lane import Lane
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import SourceStats
from idrn_trt.streaming.stream import Stream
from idrn_trt.types import Face, StreamResult, TrackedFace
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sinks.base import Sink
from idrn_trt.video.sinks.faces import FacesFolder
from idrn_trt.video.sinks.lines import JsonLines

UInt8 = npt.NDArray[np.uint8]

CARRY = StreamOptions(carry=True, reuse=False)
# Of a frame of spot(): what the dark becomes by plain enlargement.
DARK = 40
MOVING = [spot(50 + x, 60) for x in (0, 1, 2, 3, 2, 1)]


def upscaler(engine: Held, detector: Spots | None = None) -> Upscaler:
    """Frames keep their size; faces are white squares."""
    return Upscaler(engine=engine, detector=detector or Spots(), frame_scale=1)


def faces_of(results: list[StreamResult]) -> list[TrackedFace]:
    """All of them."""
    return [face for result in results for face in result.faces]


def test_a_slow_network_loses_no_frame() -> None:
    """Frames come while the network computes; a face that was never made is not in them, and later it is."""
    engine, sink = Held(allowed=1), Kept()
    camera = Endless(MOVING, every_s=0.02)
    running = Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY)
    with running, engine.freed():
        wait_until(lambda: len(sink.results) >= 8, "frames while the network computes")
        assert faces_of(sink.results) == []
        assert sink.results[-1].picture is not None
        engine.allow()
        wait_until(lambda: len(faces_of(sink.results)) >= 8, "faces in later frames")
        faces = faces_of(sink.results)
        assert running.stats.engine_windows == 1
    assert all(face.carried and not face.reused for face in faces)
    assert {face.track for face in faces} == {1}
    for face in faces:
        assert face.lr.shape == (48, 40, 3)
        assert face.sr.shape == (192, 160, 3)
    counts = running.stats.to_dict()["sources"][0]
    assert 8 <= counts["carried"] <= counts["faces"]


def test_carried_faces_are_where_the_face_is_now_and_clear() -> None:
    """Each has the window and the pixels of its own frame, and there what the network added before."""
    engine, sink = Held(allowed=2), Kept()
    camera = Endless(MOVING, every_s=0.02)
    with Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY), engine.freed():
        wait_until(lambda: len(faces_of(sink.results)) >= 12, "carried faces")
        results = list(sink.results)
    seen = [(result, face) for result in results for face in result.faces if face.carried]
    assert len({face.box.x for _, face in seen}) > 2
    for result, face in seen:
        window = face.window
        frame = result.frame[window.y : window.y + window.h, window.x : window.x + window.w]
        np.testing.assert_array_equal(face.lr, frame)
        left, right = int(face.box.x) - window.x, int(face.box.x + face.box.w) - window.x
        middle = face.sr[face.sr.shape[0] // 2]
        assert abs(int(middle[2].min()) - DARK - Held.MORE) <= 2
        assert middle[: 4 * left - 16].min() > DARK + Held.MORE / 2
        assert middle[4 * left + 8 : 4 * right - 8].min() > 240


def test_a_new_face_joins_those_that_are_carried() -> None:
    """While one is carried, another comes: it is not in the frames until the network has made it."""
    engine, sink = Held(allowed=2), Kept()
    alone, both = spot(50, 60), np.maximum(spot(50, 60), spot(200, 150))
    camera = Endless([alone], every_s=0.02)
    with Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY), engine.freed():
        wait_until(lambda: len(faces_of(sink.results)) >= 3, "the first face")
        camera._pictures = [both]
        before = len(sink.results)
        wait_until(lambda: len(sink.results) >= before + 40, "frames with both")
        assert {face.track for face in faces_of(sink.results)} == {1}
        engine.free()
        wait_until(lambda: len(sink.results[-1].faces) == 2, "the second face")
    assert {face.track for face in sink.results[-1].faces} == {1, 2}


def test_without_carry_every_frame_waits() -> None:
    """A live stream's frame comes when its own faces are made, and nothing is carried."""
    engine, sink = Held(allowed=1), Kept()
    options = StreamOptions(reuse=False)
    camera = Endless(MOVING, every_s=0.02)
    with Stream([camera], [sink], upscaler=upscaler(engine), options=options) as running:
        with engine.freed():
            wait_until(lambda: running.stats.sources[0].dropped >= 5, "frames that are lost")
            assert sink.results == []
        wait_until(lambda: len(sink.results) >= 5, "frames")
    assert all(len(result.faces) == 1 for result in sink.results)
    assert not any(face.carried for face in faces_of(sink.results))
    assert running.stats.engine_windows == running.stats.sources[0].results


def test_a_quick_network_makes_every_frames_own_faces() -> None:
    """With carry and a network that keeps up, faces are those of their own frame, as without it."""
    engine, sink = Held(), Kept()
    engine.free()
    camera = Endless(MOVING, every_s=0.5)
    with Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY):
        wait_until(lambda: len(sink.results) >= 5, "frames")
    own = [face for face in faces_of(sink.results) if not face.carried]
    assert own
    for face in own:
        np.testing.assert_array_equal(face.sr[::4, ::4], np.minimum(face.lr, 235) + Held.MORE)


def test_a_file_is_never_carried() -> None:
    """Every frame waits for its faces, however slow the network is."""
    engine, sink = Held(sleep_s=0.1), Kept()
    engine.free()
    with Stream([Played(MOVING)], [sink], upscaler=upscaler(engine), options=CARRY) as running:
        running.wait()
    assert [len(result.faces) for result in sink.results] == [1] * len(MOVING)
    assert not any(face.carried for face in faces_of(sink.results))
    assert running.stats.engine_windows == len(MOVING)


def test_what_is_kept_and_written_of_carried_faces() -> None:
    """JSON lines say which are; each stage has its time, carrying too."""
    engine, sink, text = Held(allowed=2), Kept(), io.StringIO()
    sinks: list[Sink] = [sink, JsonLines(text)]
    camera = Endless(MOVING, every_s=0.02)
    with Stream([camera], sinks, upscaler=upscaler(engine), options=CARRY), engine.freed():
        wait_until(lambda: '"carried": true' in text.getvalue(), "a line with a carried face")
    carried = {result.number: [face.carried for face in result.faces] for result in sink.results}
    for line in map(json.loads, text.getvalue().splitlines()):
        assert set(line["times_ms"]) == {"detect", "window", "engine", "carry", "paste"}
        if line["frame"] in carried:  # each sink may have missed some
            assert [face["carried"] for face in line["faces"]] == carried[line["frame"]]


def test_a_folder_of_faces_takes_nothing_carried(tmp_path: Path) -> None:
    """A best shot is what the network made of its own frame: the two together are refused."""
    sinks = [FacesFolder(tmp_path)]
    made = upscaler(Held())
    with pytest.raises(OptionError, match="faces folder"):
        Stream([Endless(MOVING)], sinks, upscaler=made, options=CARRY)
    Stream([Endless(MOVING)], sinks, upscaler=made, options=StreamOptions(carry=False))


def test_an_engine_that_fails_in_the_background_ends_the_stream() -> None:
    """Its error is raised where the stream is waited for, although frames did not wait for it."""
    engine, sink = Held(allowed=1), Kept()
    camera = Endless(MOVING, every_s=0.02)
    running = Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY)
    running.start()
    try:
        with engine.freed():
            wait_until(lambda: len(sink.results) >= 5, "frames while the network computes")
            engine.error = DeviceError("the card fell off the bus")
        with pytest.raises(DeviceError, match="fell off the bus"):
            running.wait()
    finally:
        running.close()
    assert sink.closed == camera.closed == 1


def test_no_thread_is_left() -> None:
    """The network's and those that finish the frames of several sources end with the stream."""

    def alive(*names: str) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]

    engine, sink = Held(), Kept()
    engine.free()
    cameras = [Endless(MOVING, every_s=0.02) for _ in range(2)]
    options = StreamOptions(carry=True, reuse=False, batch_wait_ms=1000)
    with Stream(cameras, [sink], upscaler=upscaler(engine), options=options):
        wait_until(lambda: bool(alive("idrn-engine") and alive("idrn-finish")), "both")
        wait_until(lambda: len(sink.results) >= 4, "frames")
    wait_until(lambda: not alive("idrn-"), "the end of all threads")


def test_where_frames_are_always_late_faces_come_all_the_same() -> None:
    """Looking for faces alone takes longer than a frame: they are found and made, if seldom."""

    class Slow(Spots):
        def detect(self, frame: UInt8) -> list[Face]:
            time.sleep(0.08)
            return super().detect(frame)

    engine, sink = Held(), Kept()
    engine.free()
    camera = Endless(MOVING, every_s=0.02)
    with Stream([camera], [sink], upscaler=upscaler(engine, Slow()), options=CARRY):
        wait_until(lambda: len(faces_of(sink.results)) >= 5, "faces")


def test_a_camera_of_another_size_shows_other_faces() -> None:
    """None of them has the number of one before, whose detail it would be given."""
    engine, sink = Held(), Kept()
    engine.free()
    camera = Endless([spot(50, 60)], every_s=0.02)
    with Stream([camera], [sink], upscaler=upscaler(engine), options=CARRY):
        wait_until(lambda: bool(faces_of(sink.results)), "a face")
        camera._pictures = [spot(20, 30, size=(160, 120))]
        wait_until(
            lambda: any(r.faces and r.frame.shape[0] == 120 for r in list(sink.results)), "another"
        )
    tracks = [
        {face.track for r in sink.results if r.frame.shape[0] == height for face in r.faces}
        for height in (240, 120)
    ]
    assert tracks[0]
    assert tracks[0].isdisjoint(tracks[1])


@pytest.fixture(autouse=True)
def _never_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a call is held, frames do not begin to wait for it."""
    monkeypatch.setattr(schedule, "_LONGEST_CALL_NS", math.inf)


@pytest.fixture
def lane() -> Lane:
    """One whose frames are prepared and finished by the test."""
    options = StreamOptions(carry=True, detect_every=1)
    return Lane(upscaler(Held()), options, SourceStats("camera"), live=True, carry=True)


def captured(number: int, picture: UInt8, *, late: bool = False) -> Captured:
    """A live frame; one that is not late never becomes so, however slow the machine."""
    an_hour_ns = 3600 * 10**9
    captured_ns = time.perf_counter_ns() + (-an_hour_ns if late else an_hour_ns)
    return Captured(
        source=0, number=number, time=Fraction(number, 25), captured_s=0.0, captured_ns=captured_ns,
        live=True, rgb=picture,
    )  # fmt: skip


def test_in_a_late_frame_faces_are_where_they_were(lane: Lane) -> None:
    """There is no time to look for them; in the next there is, late or not."""
    lane.prepare(captured(0, spot(50, 60)))
    boxes = [
        lane.prepare(captured(number, spot(58, 60), late=True)).faces[0][1].box.x
        for number in (1, 2)
    ]
    assert boxes == pytest.approx([50, 58], abs=2)


def test_a_face_that_has_not_changed_keeps_its_picture(lane: Lane) -> None:
    """Also when a call for a frame between ends in this one: as after a blink, whose picture is another."""
    open_eyes, closed_eyes = spot(50, 60), spot(50, 60)
    closed_eyes[70:76, 54:70] = 205
    made = np.full((192, 160, 3), 1, np.uint8)
    first = lane.prepare(captured(0, open_eyes))
    lane.keep(first.todo[0], made)
    assert not lane.finish(first, 0.0, shown=True).faces[0].carried
    blink = lane.prepare(captured(1, closed_eyes))
    (asked,) = blink.todo
    assert lane.finish(blink, 0.0, shown=True).faces[0].carried
    after = lane.prepare(captured(2, open_eyes))
    assert after.todo == []
    lane.keep(asked, np.full((192, 160, 3), 2, np.uint8))
    (face,) = lane.finish(after, 0.0, shown=True).faces
    assert face.reused
    assert not face.carried
    np.testing.assert_array_equal(face.lr, first.todo[0].lr)
    np.testing.assert_array_equal(face.sr, made)


def test_a_face_that_grows_is_carried_in_its_old_shape(lane: Lane) -> None:
    """Until it has been made in the new one: its window is the made one's size, around where it is now."""
    first = lane.prepare(captured(0, spot(50, 60)))
    lane.keep(first.todo[0], np.full((192, 160, 3), 90, np.uint8))
    lane.finish(first, 0.0, shown=True)
    grown = lane.prepare(captured(1, spot(46, 56, side=32)))
    (asked,) = grown.todo
    assert asked.lr.shape == (64, 48, 3) != first.todo[0].lr.shape
    (face,) = lane.finish(grown, 0.0, shown=True).faces
    assert face.carried
    assert face.window.shape == (48, 40)
    assert (face.window.x, face.window.y) == (46 + 16 - 20, 56 + 16 - 24)
    assert face.lr.shape == (48, 40, 3)
    assert face.sr.shape == (192, 160, 3)
    lane.keep(asked, np.full((256, 192, 3), 90, np.uint8))
    (made,) = lane.finish(grown, 0.0, shown=True).faces
    assert not made.carried
    assert made.window.shape == (64, 48)
