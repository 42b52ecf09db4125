"""A short soak: what is opened again and again leaves nothing behind (for long: benchmarks/stream.py)."""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
from players import Flaky, Kept, Played, picture, wait_until
from proxy import Proxy
from rtsp_process import RtspServer

from idrn_trt.errors import SourceError
from idrn_trt.streaming import backoff
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stream import Stream, stream
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sources import open_source
from idrn_trt.video.sources.network import NetworkSource

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

from clips import Clip


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost sources are tried again at once."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.002)


class Forgetful(Kept):
    """A sink that keeps nothing."""

    def write(self, result: StreamResult) -> None:
        del result


def test_memory_does_not_grow_with_frames_and_reconnects(
    faceless: Upscaler, caplog: pytest.LogCaptureFixture
) -> None:
    """After 300 reconnects Python's own memory is what it was after 30, to 200 KB."""
    caplog.set_level(logging.CRITICAL, "idrn_trt.stream")  # pytest keeps every line
    source = Flaky(good=2)
    running = Stream([source], [Forgetful()], upscaler=faceless)
    tracemalloc.start()
    try:
        with running:
            stats = running.stats.sources[0]
            wait_until(lambda: stats.reconnects > 30, "a beginning")
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            wait_until(lambda: stats.reconnects > 300, "300 reconnects")
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000


def test_connections_are_released(rtsp_server: RtspServer, faceless: Upscaler) -> None:
    """After ten losses of a real connection no file descriptor and no thread is left over."""
    proxy = Proxy(rtsp_server.port)
    source = NetworkSource(f"rtsp://127.0.0.1:{proxy.port}/live", VideoOptions(threads=1), 2.0)
    descriptors = Path("/proc/self/fd")
    open_files = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    threads = threading.active_count()
    with Stream(
        [source], [Forgetful()], upscaler=faceless, options=StreamOptions(wait=True)
    ) as running:
        stats = running.stats.sources[0]
        for _ in range(10):
            before = stats.connections
            wait_until(lambda: stats.connections > before and stats.state == "playing", "frames")  # noqa: B023 (called in this turn)
            proxy.mode = "refuse"
            wait_until(lambda: stats.state == "lost", "the loss")
            proxy.mode = "pass"
    proxy.mode = "refuse"
    wait_until(lambda: threading.active_count() <= threads, "the threads' end")
    if open_files:
        wait_until(lambda: len(list(descriptors.iterdir())) <= open_files + 1, "closed files")
    proxy.close()


def test_streams_can_be_opened_a_hundred_times(faceless: Upscaler) -> None:
    """One after another, ended early, without a thread left."""
    threads = threading.active_count()
    for _ in range(100):
        for _result in stream(Played([picture(1)] * 3), upscaler=faceless):
            break
    wait_until(lambda: threading.active_count() <= threads, "the threads' end")


@pytest.mark.parametrize("seed", range(6))
def test_a_clip_damaged_at_random_ends(seed: int, faceless: Upscaler, tmp_path: Path) -> None:
    """Its readable frames come in order; it ends well or with a SourceError, and never hangs."""
    path = Clip(tmp_path / "a.mkv", [picture(k, 160, 120) for k in range(40)]).make()
    data = bytearray(path.read_bytes())
    dice = random.Random(seed)  # noqa: S311 (the same damage every time)
    for _ in range(20):
        data[dice.randrange(200, len(data))] = dice.randrange(256)
    path.write_bytes(bytes(data[: dice.randrange(len(data) // 2, len(data))]))
    sink = Kept()
    with contextlib.suppress(SourceError):
        Stream([open_source(str(path))], [sink], upscaler=faceless).run()
    times = [result.time for result in sink.results]
    assert times == sorted(set(times))
    assert sink.closed == 1
