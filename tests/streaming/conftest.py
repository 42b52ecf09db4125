"""What the tests of streams share: sources that do as they are told, and a real RTSP server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from idrn_trt.upscaler import Upscaler

# players.py, proxy.py, rtsp_process.py; the folder of tests is no package.
sys.path.insert(0, str(Path(__file__).parent))

from players import Spots
from rtsp_process import SYSTEM_PYTHON, RtspServer
from told import Told

_NEEDS = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "assert all(Gst.ElementFactory.find(name) for name in ('x264enc', 'rtph264pay', 'matroskademux'))"
)


@pytest.fixture
def faceless() -> Iterator[Upscaler]:
    """Frames go through at their own size, without a face: pixel for pixel what came in."""
    with Upscaler(engine="bicubic", detector=Told(), frame_scale=1) as upscaler:
        yield upscaler


@pytest.fixture
def spots() -> Iterator[Upscaler]:
    """Frames keep their size; faces are white squares, made four times as large by bicubic interpolation."""
    with Upscaler(engine="bicubic", detector=Spots(), frame_scale=1) as upscaler:
        yield upscaler


@pytest.fixture(scope="session")
def _gstreamer() -> None:
    """Skips where the system's Python cannot serve RTSP."""
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, "-W", "ignore", "-c", _NEEDS],
            capture_output=True,
            text=True,
            check=False,
        )
        missing = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    except OSError as error:
        missing = [str(error)]
    if missing:
        pytest.skip(
            f"no RTSP server here ({missing[0]}): apt install python3-gi gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad "
            "gstreamer1.0-plugins-ugly"
        )


@pytest.fixture
def rtsp_server(_gstreamer: None) -> Iterator[RtspServer]:
    """A running server that sends a moving ball at /live."""
    server = RtspServer()
    server.start()
    yield server
    server.kill()
