"""Where a stream's frames come from: files, cameras, addresses, a test picture."""

from __future__ import annotations

import re

from idrn_trt.errors import OptionError
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sources.base import TIMEOUT_S, Source
from idrn_trt.video.sources.redact import redacted


def open_source(
    text: str | int,
    options: VideoOptions | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> Source:
    """The source that a text stands for; nothing is opened yet.

    A number or /dev/videoN is a camera (size and fps are asked of it), "test:" a moving scene, an address
    such as rtsp://... something on the network, and everything else a file, folder or pattern. timeout_s:
    how long cameras and addresses may be silent. Raises OptionError.
    """
    options = options or VideoOptions()
    text = str(text)
    if re.fullmatch(r"\d{1,3}", text) or text.startswith("/dev/"):
        from idrn_trt.video.sources.camera import Camera

        return Camera(int(text) if text.isdigit() else text, timeout_s, size, fps)
    scheme, colon, _ = text.partition(":")
    if scheme == "test" and colon:
        from idrn_trt.video.sources.synthetic import Synthetic

        return Synthetic(text)
    if "://" in text:
        from idrn_trt.video.sources.network import SCHEMES, NetworkSource

        if scheme.lower() not in SCHEMES:
            raise OptionError(
                f"cannot read {redacted(text)!r}: expected an address that begins with "
                f"{', '.join(f'{known}://' for known in SCHEMES)}"
            )
        return NetworkSource(text, options, timeout_s)
    from idrn_trt.video.sources.file import FileSource

    return FileSource(text, options)
