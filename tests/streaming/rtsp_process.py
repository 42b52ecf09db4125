"""An RTSP server in a process of the system's Python, which has GStreamer."""

from __future__ import annotations

import subprocess
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parent / "rtsp_server.py"


class RtspServer:
    """A process of tests/streaming/rtsp_server.py; `start` after `kill` brings it back on its port."""

    def __init__(self, clip: Path | None = None) -> None:
        self._clip = clip
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [
            SYSTEM_PYTHON,
            str(SERVER),
            str(self.port),
            *([str(self._clip)] if self._clip else []),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def resize(self, width: int, height: int) -> None:
        """Another size from now on, in the same connection."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{width} {height}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
