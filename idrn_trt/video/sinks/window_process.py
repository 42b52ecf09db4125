"""A window in a process of its own: `python -m idrn_trt.video.sinks.window_process TITLE`.

The window's library wants a program's main thread, and ends the program when the screen goes away. Standard
input brings pictures: width and height as two 32-bit numbers, lowest byte first, then BGR bytes. For each
a byte goes to standard output once it is shown. The process ends with its input, when the window is
closed, and by Escape or q.
"""

from __future__ import annotations

import struct
import sys
import threading
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

HEAD = struct.Struct("<II")
# How often a window that has nothing new to show looks for keys and the mouse.
_LOOK_MS = 20
_QUIT_KEYS = frozenset({ord("q"), 27})


class Inbox:
    """The next picture, read by a thread of its own while the window is looked after."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._picture: UInt8 | None = None
        self._come = threading.Event()
        self.ended = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while len(head := self._source.read(HEAD.size)) == HEAD.size:
            width, height = HEAD.unpack(head)
            data = self._source.read(3 * width * height)
            if len(data) < 3 * width * height:
                break
            self._picture = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            self._come.set()
        self.ended = True
        self._come.set()

    def take(self, wait_s: float) -> UInt8 | None:
        """The picture that came; None when none comes in time. The next is read after it was shown."""
        self._come.wait(wait_s)
        self._come.clear()
        picture, self._picture = self._picture, None
        return picture


def main() -> None:
    """Show what comes until there is no more, or no more is wanted."""
    title = sys.argv[1]
    inbox = Inbox(sys.stdin.buffer)
    cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    sized = False
    while not inbox.ended:
        picture = inbox.take(_LOOK_MS / 1e3)
        if picture is not None:
            if not sized:
                cv2.resizeWindow(title, picture.shape[1], picture.shape[0])
                sized = True
            cv2.imshow(title, picture)
        if (
            cv2.waitKey(1) & 0xFF in _QUIT_KEYS
            or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1
        ):
            return
        if picture is not None:
            sys.stdout.buffer.write(b".")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
