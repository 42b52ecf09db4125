"""The process's own memory, kept from growing over hours. For programs; a library leaves malloc as it is."""

from __future__ import annotations

import ctypes
import sys

# mallopt(3). glibc's own first value; left alone it rises to the size of whatever was freed last.
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 128 * 1024


def give_frames_back() -> bool:
    """Let every picture that is freed go back to the system. Whether this C library can be told so (glibc).

    Otherwise pictures of several threads lie in heaps that small things keep from shrinking: over 10,000
    frames of a clip a process grew by 27 MiB, and with this by nothing (docs/video.md).
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES) == 1
