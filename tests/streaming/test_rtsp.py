"""A real RTSP server on this machine, and every way in which a camera goes wrong."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from players import WAIT_S, Kept, Played, picture, wait_until
from proxy import Proxy
from rtsp_process import RtspServer

from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import SourceStats
from idrn_trt.streaming.stream import Stream
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sinks.push import Push
from idrn_trt.video.sources.network import NetworkSource

TIMEOUT_S = 1.5
SECRET = "pass-word"  # noqa: S105 (nobody's)


@pytest.fixture
def proxy(rtsp_server: RtspServer) -> Iterator[Proxy]:
    """A connection to the server that can be made to fail."""
    proxy = Proxy(rtsp_server.port)
    yield proxy
    proxy.mode = "refuse"
    proxy.close()


@contextmanager
def watched(port: int, upscaler: Upscaler, sink: Kept) -> Iterator[SourceStats]:
    """A stream of the server's ball, with a user and password that it does not ask for."""
    url = f"rtsp://admin:{SECRET}@127.0.0.1:{port}/live"
    source = NetworkSource(url, VideoOptions(threads=1), TIMEOUT_S)
    running = Stream(
        [source], [sink], upscaler=upscaler, options=StreamOptions(wait=True, stall_s=0.5)
    )
    with running:
        stats = running.stats.sources[0]
        wait_until(lambda: stats.state == "playing", "the first frame")
        yield stats


def more_frames(stats: SourceStats) -> None:
    """Wait until frames come again."""
    before = stats.frames
    wait_until(lambda: stats.state == "playing" and stats.frames > before + 3, "more frames")


def test_it_plays(rtsp_server: RtspServer, faceless: Upscaler) -> None:
    """Frames arrive with the camera's own distances between them, and show what it sends."""
    sink = Kept()
    with watched(rtsp_server.port, faceless, sink) as stats:
        wait_until(lambda: len(sink.results) > 20, "frames")
    assert stats.size == (320, 240)
    steps = [(b.time - a.time) / (b.number - a.number) for a, b in pairwise(sink.results)]
    even = sum(abs(step - Fraction(1, 30)) < Fraction(1, 1000) for step in steps)
    assert even > 0.7 * len(steps)
    frame = sink.results[-1].frame
    assert frame.max() > 200  # the ball
    assert (frame.mean(axis=2) < 40).mean() > 0.8  # on black


def test_the_first_key_frame_is_shown(rtsp_server: RtspServer) -> None:
    """What comes while the stream is looked into is not lost, and counts as taken then, not later."""
    source = NetworkSource(f"rtsp://127.0.0.1:{rtsp_server.port}/rare", VideoOptions(threads=1))
    began_ns = time.perf_counter_ns()
    source.open()
    opened_ns = time.perf_counter_ns()
    first, second, *_, last = (source.read() for _ in range(60))
    source.close()
    assert first is not None
    assert second is not None
    assert last is not None
    assert second.time is not None
    assert second.time < 1  # the next key frame comes at 10 s
    assert began_ns <= first.captured_ns <= opened_ns
    assert last.captured_ns > opened_ns


def test_a_slow_reader_does_not_fall_behind(
    rtsp_server: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Of 30 frames a second it takes 10: parts are skipped, which is said once, and the rest is not late."""
    url = f"rtsp://127.0.0.1:{rtsp_server.port}/live"
    source = NetworkSource(url, VideoOptions(threads=1))
    source.open()
    times, began_s = [], time.monotonic()
    while time.monotonic() - began_s < 12:
        time.sleep(0.1)
        frame = source.read()
        assert frame is not None
        times.append(frame.time or Fraction(0))
    source.close()
    assert times[-1] - times[0] > 7  # without skipping, a third of 12
    assert times == sorted(times)
    assert caplog.text.count("skipped") == 1


def test_a_killed_server_comes_back(rtsp_server: RtspServer, faceless: Upscaler) -> None:
    """While it is away the source is lost; when it is back frames come, and time goes on."""
    sink = Kept()
    with watched(rtsp_server.port, faceless, sink) as stats:
        for _ in range(2):
            rtsp_server.kill()
            wait_until(lambda: stats.state == "lost", "the loss")
            rtsp_server.start()
            more_frames(stats)
        assert stats.reconnects == 2
    times = [result.time for result in sink.results]
    assert times == sorted(set(times))


def test_a_stall_without_closing(proxy: Proxy, faceless: Upscaler) -> None:
    """A camera that keeps the connection but sends nothing is stalled, then lost, then back."""
    sink = Kept()
    with watched(proxy.port, faceless, sink) as stats:
        proxy.mode = "stall"
        wait_until(lambda: stats.state == "stalled", "the stall")
        wait_until(lambda: stats.state == "lost", "the loss")
        assert "nothing came for 1.5 s" in stats.reason
        proxy.mode = "pass"
        more_frames(stats)


def test_garbage(proxy: Proxy, faceless: Upscaler) -> None:
    """Random bytes in the connection do no more harm than a loss; afterwards it plays again."""
    sink = Kept()
    with watched(proxy.port, faceless, sink) as stats:
        proxy.mode = "garbage"
        wait_until(lambda: stats.state == "lost", "the loss")
        proxy.mode = "pass"
        more_frames(stats)


def test_a_refusing_server_is_called_again(proxy: Proxy, faceless: Upscaler) -> None:
    """Connections that are closed at once are tried again, with pauses that grow."""
    sink = Kept()
    with watched(proxy.port, faceless, sink) as stats:
        proxy.mode = "refuse"
        wait_until(lambda: stats.state == "lost", "the loss")
        before = proxy.connections
        wait_until(lambda: proxy.connections >= before + 2, "two more attempts")
        proxy.mode = "pass"
        more_frames(stats)


def test_another_size_in_mid_stream(rtsp_server: RtspServer, faceless: Upscaler) -> None:
    """The size changes within one connection, and the frames with it."""
    sink = Kept()
    with watched(rtsp_server.port, faceless, sink) as stats:
        rtsp_server.resize(176, 144)
        wait_until(lambda: stats.size == (176, 144), "the other size")
        wait_until(lambda: sink.results[-1].frame.shape == (144, 176, 3), "such a frame")
        assert stats.reconnects == 0


def test_nobody_reads_the_password(
    proxy: Proxy,
    faceless: Upscaler,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Logs, results, reports and what libraries print are free of it, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    sink = Kept()
    with watched(proxy.port, faceless, sink) as stats:
        proxy.mode = "refuse"
        wait_until(lambda: stats.state == "lost", "the loss")
        report = str(stats.to_dict())
    said = [caplog.text, report, *capfd.readouterr(), *(result.name for result in sink.results)]
    assert any("***@" in text for text in said)
    assert not [text for text in said if SECRET in text or "admin" in text]


@pytest.mark.usefixtures("_gstreamer")
def test_a_clip_that_a_server_plays_once(faceless: Upscaler, tmp_path: Path) -> None:
    """Its frames come in order; at its end the server is asked again, as a camera that restarts."""
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(picture(2 * number), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    server, sink = RtspServer(clip), Kept()
    server.start()
    try:
        with watched(server.port, faceless, sink) as stats:
            wait_until(lambda: stats.reconnects >= 1, "the second time")
    finally:
        server.kill()
    levels = [int(result.frame[24, 32, 0]) for result in sink.results]
    fell = [b for a, b in pairwise(levels) if b < a - 4]
    assert len(fell) <= 1  # where it began again
    assert max(levels) > 150


@pytest.mark.parametrize("scheme", ["rtsp", "udp"])
def test_pictures_are_sent_on(scheme: str, rtsp_server: RtspServer, faceless: Upscaler) -> None:
    """An RTSP server that records, and whoever listens by UDP, get the stream as H.264."""
    if scheme == "rtsp":
        sink = Push(f"rtsp://127.0.0.1:{rtsp_server.port}/in")
        source = Played([picture(100, 320, 240)] * 40)
        stats = Stream([source], [sink], upscaler=faceless).run()
        assert stats.sinks[0].written == 40
        return
    port = rtsp_server.port + 1 if rtsp_server.port < 65535 else rtsp_server.port - 1
    received = Kept()
    listener = NetworkSource(f"udp://127.0.0.1:{port}", VideoOptions(threads=1), WAIT_S)
    sender = Stream(
        [Played([picture(100, 320, 240)] * 5)],
        [Push(f"udp://127.0.0.1:{port}?pkt_size=1316")],
        upscaler=faceless,
        options=StreamOptions(loop=True, realtime=True),
    )
    with Upscaler(engine="bicubic", detector=faceless.detector, frame_scale=1) as other:
        listening = Stream([listener], [received], upscaler=other)
        with listening, sender:
            wait_until(lambda: len(received.results) > 5, "what was sent")
    assert abs(float(np.mean(received.results[-1].frame)) - 100) < 3


# Takes one call and prints width, height and mean level of each picture.
RTMP_SERVER = """
import sys, av
with av.open(sys.argv[1], options={"listen": "1"}, timeout=(60, 60)) as server:
    try:
        for frame in server.decode(video=0):
            print(frame.width, frame.height, frame.to_ndarray(format="rgb24").mean())
    except av.FFmpegError:
        pass  # the caller hung up
"""


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listened_at(port: int) -> bool:
    """Whether somebody waits there, without calling: FFmpeg's server takes one call only."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines
    )


def test_pictures_are_sent_by_rtmp(faceless: Upscaler) -> None:
    """A server that listens for RTMP gets the stream as H.264."""
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/in"
    # A process of its own: PyAV holds the interpreter's lock while it waits for a call.
    server = subprocess.Popen(
        [sys.executable, "-c", RTMP_SERVER, url], stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: listened_at(port), "a server")
        source = Played([picture(100, 320, 240)] * 40)
        stats = Stream([source], [Push(url)], upscaler=faceless).run()
        received = [line.split() for line in server.communicate(timeout=WAIT_S)[0].splitlines()]
    finally:
        server.kill()
    assert stats.sinks[0].written == 40
    assert len(received) > 30
    assert all(line[:2] == ["320", "240"] for line in received)
    assert abs(float(received[-1][2]) - 100) < 3


def test_a_server_that_goes_away_is_sent_to_again(
    rtsp_server: RtspServer, faceless: Upscaler, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be sent is lost and counted, the stream goes on, both changes are logged, each time."""
    caplog.set_level(logging.INFO, "idrn_trt.stream")
    sink = Push(f"rtsp://127.0.0.1:{rtsp_server.port}/in")
    options = StreamOptions(loop=True, realtime=True)
    running = Stream([Played([picture(1)] * 25)], [sink], upscaler=faceless, options=options)
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_until(lambda: bool(running.stats.sinks) and running.stats.sinks[0].written > 5, "pictures")
    for times in (1, 2):
        rtsp_server.kill()
        wait_until(lambda: caplog.text.count("lost") == times, "the loss")  # noqa: B023 (called in this turn)
        lost = running.stats.sinks[0].lost
        wait_until(lambda: running.stats.sinks[0].lost > lost + 2, "lost pictures")  # noqa: B023 (called in this turn)
        rtsp_server.start()
        wait_until(lambda: caplog.text.count("sending again") == times, "another connection")  # noqa: B023 (called in this turn)
    running.stop()
    thread.join(WAIT_S)
    counts = running.stats.sinks[0]
    assert counts.written + counts.dropped == running.stats.sources[0].results
