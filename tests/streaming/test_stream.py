"""Streams of sources and sinks that do as they are told."""

from __future__ import annotations

import logging
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from players import WAIT_S, Endless, Flaky, Kept, Played, Silent, Spots, picture, spot, wait_until

from idrn_trt.engines import open_engine
from idrn_trt.errors import DeviceError, OptionError, SinkError, SourceError
from idrn_trt.faces.window import WINDOW_SHAPES_PX
from idrn_trt.streaming import backoff
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stream import Stream, stream
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sources.base import SourceFrame


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost sources are tried again at once."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.002)


def test_every_frame_of_a_file_comes_in_order(faceless: Upscaler) -> None:
    """Nothing is dropped though the sink is slow, and times are kept."""
    sink = Kept(slow_s=0.002)
    times = [Fraction(k * k, 100) for k in range(40)]
    source = Played([picture(k) for k in range(40)], times=times)
    with Stream([source], [sink], upscaler=faceless) as running:
        running.wait()
    assert [int(r.frame[0, 0, 0]) for r in sink.results] == list(range(40))
    assert [r.time for r in sink.results] == times
    assert [r.number for r in sink.results] == list(range(40))
    assert (source.opened, source.closed, sink.closed) == (1, 1, 1)


def test_of_a_live_source_the_newest_comes(faceless: Upscaler) -> None:
    """With a sink slower than the camera frames are dropped and counted; those shown are in order."""
    sink = Kept(slow_s=0.05)
    source = Endless([picture(k) for k in range(256)], every_s=0.002)
    with Stream([source], [sink], upscaler=faceless) as running:
        wait_until(lambda: len(sink.results) >= 8, "eight results")
    numbers = [r.number for r in sink.results]
    assert numbers == sorted(set(numbers))
    counts, written = running.stats.sources[0], running.stats.sinks[0]
    assert counts.dropped + written.dropped > 0
    assert counts.results + counts.dropped == counts.frames
    assert written.written + written.dropped == counts.results


def test_a_result_tells_all(spots: Upscaler) -> None:
    """Source, number, time, capture, faces with their track, the picture at its size, stage times."""
    sink = Kept()
    source = Played([spot(50, 60)] * 3, name="front door")
    with Stream([source], [sink], upscaler=spots) as running:
        running.wait()
    result = sink.results[-1]
    assert (result.source, result.name, result.number) == (0, "front door", 2)
    assert result.time == Fraction(2, 25)
    assert result.picture is not None
    assert result.picture.shape == (240, 320, 3)
    (face,) = result.faces
    assert face.track == 1
    assert face.sr.shape == (4 * face.window.h, 4 * face.window.w, 3)
    assert face.reused
    assert set(result.times_ms) == {"detect", "window", "engine", "carry", "paste"}


def test_iterating_gives_every_frame_and_raises_at_the_end(faceless: Upscaler) -> None:
    """A for loop takes a file's frames; that the file is damaged is told after the last of them."""

    class Damaged(Played):
        def read(self) -> SourceFrame | None:
            if (frame := super().read()) is None:
                raise SourceError("cut off at 0.4 s")
            return frame

    seen: list[int] = []
    running = stream(Damaged([picture(k) for k in range(10)]), upscaler=faceless)
    with pytest.raises(SourceError, match=r"cut off at 0\.4 s"):
        seen.extend(result.number for result in running)
    assert seen == list(range(10))


def test_leaving_a_loop_releases_the_source(faceless: Upscaler) -> None:
    """After `break` the source is closed and no thread of the stream is left."""
    source = Endless([picture(1)])
    before = set(threading.enumerate())
    for _ in stream(source, upscaler=faceless):
        break
    assert source.closed == source.opened == 1
    wait_until(
        lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("idrn-")],
        "its threads' end",
    )


def test_a_callback_gets_every_result(faceless: Upscaler) -> None:
    """`run` calls a function with each result and returns the counts."""
    seen: list[int] = []
    stats = stream(Played([picture(1)] * 5), upscaler=faceless).run(lambda r: seen.append(r.number))
    assert seen == [0, 1, 2, 3, 4]
    assert stats.to_dict()["frames"] == 5


def test_a_lost_source_is_opened_again_and_logged_once(
    faceless: Upscaler, caplog: pytest.LogCaptureFixture
) -> None:
    """A camera that breaks off and cannot always be opened goes on; each change of state is one line."""
    caplog.set_level(logging.INFO, "idrn_trt.stream")
    source, sink = Flaky(), Kept()
    with Stream([source], [sink], upscaler=faceless) as running:
        wait_until(lambda: running.stats.sources[0].reconnects >= 5, "five reconnects")
    times = [r.time for r in sink.results]
    assert times == sorted(set(times))
    assert source.closed == source.opened
    lines = [record.getMessage() for record in caplog.records]
    assert all(first != second for first, second in pairwise(lines))
    assert any("broken off" in line for line in lines)


def test_a_source_that_is_not_there_at_the_start(faceless: Upscaler) -> None:
    """It is an error, unless it is to be waited for."""

    class Absent(Flaky):
        def open(self) -> None:
            self.opened += 1
            if self.opened < 4:
                raise SourceError("no camera 7")

    with pytest.raises(SourceError, match="no camera 7"):
        stream(Absent(), upscaler=faceless).run()
    absent = Absent()
    for _ in stream(absent, upscaler=faceless, options=StreamOptions(wait=True)):
        break
    assert absent.opened >= 4


def test_one_that_fails_does_not_end_the_others(faceless: Upscaler) -> None:
    """A file that cannot be read is told at the end, after all frames of the other."""

    class Missing(Played):
        def open(self) -> None:
            raise SourceError("no such file")

    sink = Kept()
    running = Stream([Missing([]), Played([picture(3)] * 6)], [sink], upscaler=faceless)
    with pytest.raises(SourceError, match="no such file"):
        running.run()
    assert [r.number for r in sink.results if r.source == 1] == list(range(6))
    assert running.stats.sources[0].state == "failed"
    assert running.stats.sources[1].state == "ended"


def test_a_silent_source_is_stalled_and_delays_nobody(faceless: Upscaler) -> None:
    """It is said to be stalled, another goes on, and stopping does not wait for it."""
    silent, other, sink = Silent(), Endless([picture(2)]), Kept()
    running = Stream(
        [silent, other], [sink], upscaler=faceless, options=StreamOptions(stall_s=0.05)
    )
    with running:
        wait_until(lambda: running.stats.sources[0].state == "stalled", "the stall")
        before = len(sink.results)
        wait_until(lambda: len(sink.results) > before + 5, "the other's frames")
    assert sink.closed == 1
    silent.release.set()


@pytest.mark.parametrize("place", ["source", "detector", "sink", "closing"])
def test_an_error_of_any_thread_ends_the_stream(place: str, faceless: Upscaler) -> None:
    """Whatever thread it is in, it is raised where the stream is waited for, and sinks are closed."""

    class Broken(Kept, Endless):
        def __init__(self) -> None:
            Endless.__init__(self, [picture(0)])
            Kept.__init__(self)

        def read(self) -> SourceFrame | None:
            if place == "source":
                raise ZeroDivisionError(place)
            return super().read()

        def write(self, result: StreamResult) -> None:
            if place == "sink":
                raise ZeroDivisionError(place)
            super().write(result)

        def close(self) -> None:
            super().close()
            if place == "closing" and self.results:
                raise ZeroDivisionError(place)

    class Detector:
        name = "broken"
        smallest_face_px = 24

        def detect(self, frame: object) -> list[object]:
            del frame
            raise ZeroDivisionError(place)

    faceless.detector = Detector() if place == "detector" else faceless.detector  # type: ignore[assignment]
    broken, other = Broken(), Kept()
    sinks = [other] if place == "source" else [broken, other]
    running = Stream(
        [broken if place == "source" else Endless([picture(0)])], sinks, upscaler=faceless
    )
    if place == "closing":
        threading.Timer(0.3, running.stop).start()
    with pytest.raises(ZeroDivisionError, match=place):
        running.run()
    assert other.closed == 1


def test_a_sink_takes_its_own_source_only(faceless: Upscaler) -> None:
    """With `source` set, results of the others do not reach it."""
    sink, everything = Kept(source=1), Kept()
    sources = [Played([picture(5)] * 4), Played([picture(6)] * 3)]
    with Stream(sources, [sink, everything], upscaler=faceless) as running:
        running.wait()
    assert {r.source for r in sink.results} == {1}
    assert len(everything.results) == 7


def test_files_loop_and_their_times_go_on(faceless: Upscaler) -> None:
    """With `loop` the first frame follows the last as if the file went on; nothing was lost between."""
    seen = []
    source = Played([picture(k) for k in range(3)])
    running = stream(source, upscaler=faceless, options=StreamOptions(loop=True))
    for result in running:
        seen.append(result.time * 25)
        if len(seen) == 8:
            break
    assert seen == list(range(8))
    assert running.stats.sources[0].reconnects == 0


def test_a_part_of_a_file_and_a_lower_rate(faceless: Upscaler) -> None:
    """duration_s goes by the file's own times; max_fps passes over evenly and counts what it left out."""
    options = StreamOptions(duration_s=2.0, max_fps=5)
    sink = Kept()
    running = Stream([Played([picture(1)] * 100)], [sink], upscaler=faceless, options=options)
    with running:
        running.wait()
    assert [r.time * 25 for r in sink.results] == list(range(0, 50, 5))
    assert running.stats.sources[0].passed_over == 40


def test_a_live_stream_ends_by_the_clock(faceless: Upscaler) -> None:
    """duration_s ends a camera that would go on for ever."""
    running = stream(
        Endless([picture(1)]), upscaler=faceless, options=StreamOptions(duration_s=0.5)
    )
    assert running.run().sources[0].frames > 0


def test_a_file_in_real_time_is_dropped_like_a_camera(faceless: Upscaler) -> None:
    """Played at its own pace, what is too fast for the sink is left out, and ages stay bounded."""
    sink = Kept(slow_s=0.1)
    source = Played([picture(k) for k in range(40)])
    running = Stream([source], [sink], upscaler=faceless, options=StreamOptions(realtime=True))
    with running:
        running.wait()
    assert 3 <= len(sink.results) < 40
    assert sink.results[-1].number == 39


def test_faces_of_all_sources_are_one_engine_call(spots: Upscaler) -> None:
    """Windows of one shape from three cameras are run as one batch."""
    calls: list[int] = []
    run = spots.engine.run

    def counted(batch: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        calls.append(len(batch))
        return run(batch, out)

    spots.engine.run = counted  # type: ignore[method-assign]
    sources = [Played([spot(40 + 60 * k, 80)] * 3) for k in range(3)]
    options = StreamOptions(reuse=False, batch_wait_ms=WAIT_S * 1e3)
    with Stream(sources, [Kept()], upscaler=spots, options=options) as running:
        running.wait()
    assert calls == [3, 3, 3]


def test_nothing_is_compiled_once_a_camera_plays(tiny_model: Path) -> None:
    """Before the camera is opened the engine has been run on all that any number of faces comes down to."""

    class Watching(Endless):
        def open(self) -> None:
            super().open()
            compiled.append(set(engine._graphs))  # type: ignore[attr-defined]

    compiled: list[set[tuple[int, int, int]]] = []
    engine = open_engine(tiny_model, engine="openvino", precision="fp32", threads=1)
    upscaler = Upscaler(engine=engine, detector=Spots(), frame_scale=1)
    for _ in stream(Watching([picture(1)]), upscaler=upscaler):
        break
    for shape in WINDOW_SHAPES_PX:
        for count in (1, 2, 5, 15):
            engine.run(np.zeros((count, *shape, 3), np.uint8))
    assert compiled == [set(engine._graphs)]  # type: ignore[attr-defined]
    engine.close()


def test_an_engine_that_fails_at_first_ends_the_stream(spots: Upscaler) -> None:
    """Its error is raised, and no camera is opened."""

    def fails(batch: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        raise DeviceError(f"no memory for {batch.shape} and {out is None}")

    spots.engine.run = fails  # type: ignore[method-assign]
    source = Endless([picture(1)])
    with pytest.raises(DeviceError, match="no memory"):
        stream(source, upscaler=spots).run()
    assert source.opened == 0


def test_two_streams_share_one_engine() -> None:
    """Each has its own upscaler over the same engine, and neither gets the other's pictures."""

    def run(level: int, wrong: list[int]) -> None:
        upscaler = Upscaler(engine=engine, detector=Spots(), frame_scale=1)
        source = Played([spot(50, 60) // 2 + level] * 200)
        for result in stream(source, upscaler=upscaler, options=StreamOptions(reuse=False)):
            wrong.extend(1 for face in result.faces if int(face.sr[0, 0, 0]) != 20 + level)
            met.extend(level for _ in result.faces)

    engine = open_engine(engine="bicubic")
    wrong: list[int] = []
    met: list[int] = []
    threads = [threading.Thread(target=run, args=(level, wrong)) for level in (100, 128)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert wrong == []
    assert sorted(met) == [100] * 200 + [128] * 200


def test_the_frame_size_may_change(spots: Upscaler) -> None:
    """Frames of another size are looked at anew; none of the old tracks is kept."""
    pictures = [spot(50, 60)] * 3 + [spot(20, 30, size=(160, 120))] * 3
    sink = Kept()
    with Stream([Played(pictures)], [sink], upscaler=spots) as running:
        running.wait()
    assert [len(r.faces) for r in sink.results] == [1] * 6
    assert [round(r.faces[0].box.x) for r in sink.results] == [50] * 3 + [20] * 3


def test_the_rate_may_change(faceless: Upscaler) -> None:
    """A camera that slows down, as many do in the dark, goes on, and its rate is what it is now."""
    source = Endless([picture(1)], every_s=0.001)
    with Stream([source], [Kept()], upscaler=faceless) as running:
        stats = running.stats.sources[0]
        wait_until(lambda: stats.fps > 15, "a fast camera")
        source.every_s = 0.1
        wait_until(lambda: 0 < stats.fps < 11, "a slow camera")
        assert stats.state == "playing"


def test_memory_is_bounded_whatever_the_speed(faceless: Upscaler) -> None:
    """A source far faster than its sink leaves no more than a few frames waiting."""
    alive: list[int] = []

    class Counted(Kept):
        def write(self, result: StreamResult) -> None:
            alive.append(running.stats.sources[0].frames - result.number)
            self.results = []
            super().write(result)

    sink = Counted(slow_s=0.02)
    running = Stream([Played([picture(k) for k in range(60)])], [sink], upscaler=faceless)
    with running:
        running.wait()
    # In the sink, before it, in the worker, before it, and one in the reader.
    assert max(alive) <= 5


def test_a_stream_runs_once_and_needs_a_source(faceless: Upscaler) -> None:
    """Both are said in one line."""
    with pytest.raises(OptionError, match="at least one source"):
        Stream([], upscaler=faceless)
    running = stream(Played([picture(1)]), upscaler=faceless)
    running.run()
    with pytest.raises(OptionError, match="runs once"):
        running.start()


def test_a_sink_error_keeps_its_words(faceless: Upscaler) -> None:
    """A SinkError reaches the caller as it was raised."""

    class Full(Kept):
        def write(self, result: StreamResult) -> None:
            raise SinkError(f"no space left for frame {result.number}")

    with pytest.raises(SinkError, match="no space left"):
        Stream([Endless([picture(1)])], [Full()], upscaler=faceless).run()


@pytest.mark.parametrize(
    "wrong",
    [
        {"view": "front"}, {"max_fps": 0}, {"duration_s": float("nan")}, {"stall_s": -1},
        {"detect_every": -1}, {"batch_wait_ms": 1e300}, {"batch_wait_ms": float("nan")},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    """Each says its name and the value it got."""
    (name,) = wrong
    with pytest.raises(OptionError, match=name):
        StreamOptions(**wrong)  # type: ignore[arg-type]
