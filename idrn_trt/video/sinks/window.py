"""A window on the screen, by OpenCV, in a process of its own (window_process)."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2

from idrn_trt.errors import BackendUnavailable, SinkError
from idrn_trt.types import StreamResult
from idrn_trt.video.hud import Hud
from idrn_trt.video.sinks import window_process
from idrn_trt.video.sinks.base import Enough

_ELSE = "Give --out FILE, --out null or --faces-dir DIR instead"


class WindowSink:
    """One source's pictures in a window, which ends the stream when it is closed, or by Escape or q.

    hud: drawn into the pictures. Raises BackendUnavailable where no window can be opened.
    """

    pictures = True

    def __init__(self, source: int | None = None, hud: Hud | None = None) -> None:
        check_windows()
        self.name = "window" if source is None else f"window {source}"
        self.source = source
        self._hud = hud
        self._process: subprocess.Popen[bytes] | None = None
        self._shown = False

    def write(self, result: StreamResult) -> None:
        """See Sink. Returns once the picture is shown."""
        if result.picture is None:
            return
        picture = result.picture if self._hud is None else self._hud.drawn(result)
        if self._process is None:
            self._process = self._started()
        if self._show(self._process, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            self._shown = True
        elif self._shown:
            raise Enough
        else:
            raise SinkError(f"cannot open a window: {self._last_words(self._process)}. {_ELSE}")

    def close(self) -> None:
        """See Sink."""
        if self._process is not None:
            self._process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-m", window_process.__name__, f"idrn-trt {self.source or 0}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the stream, which then closes the window
        )

    @staticmethod
    def _show(process: subprocess.Popen[bytes], bgr: cv2.typing.MatLike) -> bool:
        """Whether the picture was shown."""
        if process.stdin is None or process.stdout is None:
            return False
        try:
            process.stdin.write(window_process.HEAD.pack(bgr.shape[1], bgr.shape[0]))
            process.stdin.write(bgr.data)
            process.stdin.flush()
        except BrokenPipeError:
            return False
        return process.stdout.read(1) != b""

    @staticmethod
    def _last_words(process: subprocess.Popen[bytes]) -> str:
        _, said = process.communicate()
        lines = said.decode(errors="replace").strip().splitlines()
        # Libraries say more after the reason: which plugins there are.
        reasons = [line for line in lines if "display" in line] or lines[-1:]
        return reasons[0] if reasons else f"its process ended with {process.returncode}"


def check_windows() -> None:
    """Raise BackendUnavailable, which says what to do, unless windows can be opened here."""
    gui = next((line for line in cv2.getBuildInformation().splitlines() if " GUI:" in line), "")
    if gui.split()[-1:] in ([], ["NONE"], ["NO"], ["GUI:"]):
        raise BackendUnavailable(
            "no window can be opened: this is opencv-python-headless. pip uninstall -y "
            f'opencv-python-headless && pip install "opencv-python>=4.8,<5". {_ELSE}'
        )
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise BackendUnavailable(
            f"no window can be opened: there is no screen (DISPLAY is not set). {_ELSE}"
        )
