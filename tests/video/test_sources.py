"""Where a stream's frames come from: names, files, HTTP, the test picture."""

from __future__ import annotations

import contextlib
import errno
import http.server
import io
import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import Clip, picture
from PIL import Image

from idrn_trt.errors import OptionError, SourceError
from idrn_trt.images import write_image
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sources import open_source
from idrn_trt.video.sources.base import Source, SourceFrame
from idrn_trt.video.sources.redact import redacted
from idrn_trt.video.sources.why import why


def frames(source: Source) -> Iterator[SourceFrame]:
    """All of a source."""
    source.open()
    while (frame := source.read()) is not None:
        yield frame
    source.close()


@pytest.mark.parametrize(
    ("text", "kind", "live"),
    [
        ("0", "Camera", True),
        ("/dev/video2", "Camera", True),
        ("test:", "Synthetic", True),
        ("test:320x240@15", "Synthetic", True),
        ("rtsp://host/live", "NetworkSource", True),
        ("HTTP://host/video.mjpg", "NetworkSource", True),
        ("clip.mkv", "FileSource", False),
        ("test.mkv", "FileSource", False),
    ],
)
def test_what_a_text_stands_for(text: str, kind: str, live: object) -> None:
    """Numbers and devices are cameras, addresses the network, everything else files."""
    source = open_source(text)
    assert type(source).__name__ == kind
    assert source.live is live


@pytest.mark.parametrize(
    "text", ["ftp://host/x", "test:big", "test:@0", "test:10x10", "file:///etc/passwd"]
)
def test_what_stands_for_nothing(text: str) -> None:
    """Other addresses and other test pictures are refused, with what is expected."""
    with pytest.raises(OptionError, match="expected"):
        open_source(text)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("rtsp://admin:pa@ss/w?x@10.0.0.1:554/h264", ["admin", "pa@ss", "ss/w"]),
        ("rtsp://10.0.0.1/user=bob_password=tlJwpbo6_channel=1_stream=0.sdp", ["bob", "tlJwpbo6"]),
        ("http://h/v.mjpg?user=bob&pwd=hunter2&res=640", ["bob", "hunter2"]),
        ("cannot open 'rtsp://a1:b2@h/x': token=abc123", ["a1", "b2", "abc123"]),
        ("https://h/a?api_key=abc-d", ["abc-d"]),
    ],
)
def test_credentials_are_hidden(text: str, secrets: list[str]) -> None:
    """Before the host, in paths as cameras have them, in queries, and inside messages."""
    shown = redacted(text)
    assert "***" in shown
    assert not [secret for secret in secrets if secret in shown]


def test_the_rest_of_an_address_is_shown() -> None:
    """Where it points to stays readable."""
    assert (
        redacted("rtsp://u:p@10.0.0.1:554/cam?channel=1") == "rtsp://***@10.0.0.1:554/cam?channel=1"
    )
    assert redacted("http://host/plain?channel=1") == "http://host/plain?channel=1"


def test_a_folder_is_played_through(tmp_path: Path) -> None:
    """Clips and pictures in the order of their names, times strung together."""
    Clip(tmp_path / "a.mkv", [picture(k) for k in range(5)], pts=[0, 40, 80, 200, 240],
         time_base=Fraction(1, 1000)).make()  # fmt: skip
    write_image(tmp_path / "b.png", picture(7, 32, 24))
    Clip(tmp_path / "c.mkv", [picture(k) for k in range(3)], time_base=Fraction(1, 25)).make()
    source = open_source(str(tmp_path))
    for _ in range(2):  # it can be opened again
        found = list(frames(source))
        assert [frame.rgb.shape for frame in found] == [(48, 64, 3)] * 5 + [(24, 32, 3)] + [
            (48, 64, 3)
        ] * 3
        times = [frame.time for frame in found]
        assert times[:5] == [Fraction(k, 1000) for k in (0, 40, 80, 200, 240)]
        assert times == sorted(set(times))  # type: ignore[type-var]


def test_a_clip_that_is_cut_off_says_so_at_its_end(tmp_path: Path) -> None:
    """All that can be read comes first."""
    path = Clip(tmp_path / "a.mkv", [picture(k, 320, 240) for k in range(60)]).make()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen: list[Fraction | None] = []
    with pytest.raises(SourceError, match="cut off"):
        seen.extend(frame.time for frame in frames(open_source(str(path))))
    assert len(seen) > 10


def test_a_missing_file_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    """Its name is in the message."""
    with pytest.raises(SourceError, match=r"no\.mkv"):
        list(frames(open_source(str(tmp_path / "no.mkv"))))


def test_the_test_picture_moves_and_keeps_its_rate() -> None:
    """Its times are exact, its face moves, and a detector sees it."""
    pytest.importorskip("skimage")
    from idrn_trt.faces.detect import open_detector

    source = open_source("test:320x240@50")
    source.open()
    first, second = source.read(), source.read()
    later = [source.read() for _ in range(30)][-1]
    source.close()
    assert first is not None
    assert second is not None
    assert later is not None
    assert (first.time, second.time) == (0, Fraction(1, 50))
    assert second.captured_ns - first.captured_ns == 20_000_000
    assert not np.array_equal(first.rgb, later.rgb)
    assert len(open_detector("haar").detect(first.rgb)) == 1


class Mjpeg(http.server.BaseHTTPRequestHandler):
    """What network cameras serve: JPEG pictures one after another in one answer."""

    def do_GET(self) -> None:
        """Thirty pictures, then the end."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        for number in range(30):
            data = io.BytesIO()
            Image.fromarray(np.full((48, 64, 3), 8 * number, np.uint8)).save(data, "JPEG")
            head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {data.tell()}\r\n\r\n"
            self.wfile.write(head.encode() + data.getvalue() + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(camera: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port at which such a camera answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mjpeg() -> Iterator[int]:
    """The port of an MJPEG camera."""
    with serving(Mjpeg) as port:
        yield port


def test_mjpeg_by_http(mjpeg: int) -> None:
    """Each picture is a frame, in full-range colours; when the answer breaks off the source is lost.

    They have no times, and none are made up: as if of 25 a second, those of a slower camera would seem late.
    """
    source = open_source(f"http://127.0.0.1:{mjpeg}/video.mjpg", VideoOptions(threads=1))
    seen: list[SourceFrame] = []
    with pytest.raises(SourceError, match="lost"):
        seen.extend(frames(source))
    assert {frame.time for frame in seen} == {None}
    levels = [int(frame.rgb.mean()) for frame in seen]
    assert len(levels) > 15
    assert levels == sorted(levels)
    assert abs(levels[-1] - 8 * 29) <= 1


def test_mpeg_ts_by_http(tmp_path: Path) -> None:
    """Frames come with their own times, from a key frame on."""
    pictures = [picture(k, 320, 240) for k in range(200)]
    clip = Clip(tmp_path / "a.ts", pictures, options={"g": "10", "bf": "0"}).make()

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The clip's packets, slowly, until the listener hangs up."""
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            data = clip.read_bytes()
            with contextlib.suppress(OSError):
                for start in range(0, len(data), 20 * 188):
                    self.wfile.write(data[start : start + 20 * 188])
                    time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with serving(Camera) as port:
        source = open_source(f"http://127.0.0.1:{port}/live.ts", VideoOptions(threads=1))
        found = list(itertools.islice(frames(source), 40))
        source.close()
    assert {frame.rgb.shape for frame in found} == {(240, 320, 3)}
    times = [frame.time for frame in found if frame.time is not None]
    assert len(times) == 40
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {Fraction(1, 25)}


def test_no_server_no_address_no_video(mjpeg: int) -> None:
    """Each is a SourceError that names the address without the password, and can be tried again."""
    for url in (
        "rtsp://u:secret@127.0.0.1:1/x",
        "http://u:secret@host.invalid/x",
        f"http://u:secret@127.0.0.1:{mjpeg + 1 if mjpeg < 65535 else mjpeg - 1}/x",
    ):
        source = open_source(url, timeout_s=5)
        for _ in range(2):
            with pytest.raises(SourceError, match=r"\*\*\*@") as caught:
                source.open()
            source.close()
        assert "secret" not in str(caught.value)


def test_a_host_that_cannot_be_found_is_named() -> None:
    """Not as an error of input or output, which is all that FFmpeg says."""
    with pytest.raises(SourceError, match=r"host 'host\.invalid' cannot be found"):
        open_source("rtsp://u:secret@host.invalid/x").open()


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    """It is a SourceError that says what to look at."""
    source = open_source("97")
    with pytest.raises(SourceError, match="no such camera"):
        source.open()
    source.close()
    capfd.readouterr()  # what OpenCV says besides


@pytest.mark.parametrize(
    "url", ["http://cam/v?user=a&pwd=sec@ret.invalid", "rtsp://10.0.0.5/live@cam2.invalid/1"]
)
def test_no_part_of_a_password_is_looked_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An "@" behind the host does not make what follows it a host's name."""
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda host, _port: asked.append(host))
    assert "invalid" not in why(OSError(errno.EIO, "Input/output error"), url)
    assert asked == []
