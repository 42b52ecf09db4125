"""Why nothing could be had from an address, or sent to it, in words. Standard library only."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from idrn_trt.video.sources.redact import redacted


def why(error: BaseException, url: str) -> str:
    """The reason that an error of PyAV's or the system's gives, without credentials.

    Where a host's name cannot be looked up FFmpeg says "input/output error" only: then it is tried here.
    """
    if getattr(error, "errno", None) == errno.EIO and (host := _unknown_host(url)):
        return f"host {host!r} cannot be found"
    reason = getattr(error, "strerror", None)
    return redacted(reason.lower()) if reason else type(error).__name__.lower()


def _unknown_host(url: str) -> str | None:
    """The address's host if it cannot be looked up, else None."""
    try:
        host = urlsplit(url).hostname
        if host != urlsplit(redacted(url)).hostname:
            return None  # an "@" after the host: what follows it may be part of a password
    except ValueError:
        return None
    try:
        if host:
            socket.getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError):
        return host
    return None
