"""Pictures sent to an address as H.264: to an RTSP or RTMP server, or as MPEG-TS by UDP."""

from __future__ import annotations

import contextlib
import logging
import time
from fractions import Fraction
from typing import Any

import av

from idrn_trt.errors import OptionError, SinkError
from idrn_trt.streaming.backoff import Backoff
from idrn_trt.types import StreamResult
from idrn_trt.video.colour import BT709, LIMITED, Colour, FromRgb, output_colour
from idrn_trt.video.encoders import ENCODERS
from idrn_trt.video.fit import fitted
from idrn_trt.video.hud import Hud
from idrn_trt.video.sinks.base import Lost
from idrn_trt.video.sinks.file import RATE, TIME_BASE
from idrn_trt.video.sources.redact import redacted
from idrn_trt.video.sources.why import why

FORMATS = {"rtsp": "rtsp", "rtmp": "flv", "rtmps": "flv", "udp": "mpegts"}
_TIMEOUT_S = 5.0
# A viewer that joins waits for the next key frame: at most 2 s at 30 frames/s.
_KEY_FRAMES = 60
_LOG = logging.getLogger("idrn_trt.stream")


class Push:
    """One source's pictures sent to an address, of the first picture's size; others are fitted into it.

    The first connection must succeed. One that breaks off later is made again after a pause, and the
    pictures of that time are lost. Raises OptionError for an address of another kind.
    """

    pictures = True

    def __init__(
        self,
        url: str,
        source: int | None = None,
        *,
        hud: Hud | None = None,
        threads: int | None = None,
    ) -> None:
        self.name = redacted(url)
        self.source = source
        scheme = url.partition(":")[0].lower()
        if scheme not in FORMATS:
            raise OptionError(
                f"cannot send to {self.name!r}: expected an address that begins with "
                f"{', '.join(f'{known}://' for known in FORMATS)}"
            )
        self.url = url
        self._format = FORMATS[scheme]
        self._hud = hud
        self._threads = threads
        self._container: Any = None
        self._stream: Any = None
        self._convert: FromRgb | None = None
        self._size = (0, 0)
        self._begin = Fraction(0)
        self._last_pts = -1
        self._backoff = Backoff()
        self._opened_s = 0.0
        self._again_s = 0.0
        self._connected = False

    def write(self, result: StreamResult) -> None:
        """See Sink."""
        if result.picture is None:
            return
        if time.monotonic() < self._again_s:
            raise Lost
        picture = result.picture if self._hud is None else self._hud.drawn(result)
        try:
            if self._container is None:
                if not self._connected:
                    # Colours at half the resolution need even sides.
                    self._size = (picture.shape[1] & ~1, picture.shape[0] & ~1)
                self._begin, self._last_pts = result.time, -1
                self._open()
            self._send(fitted(picture, self._size), result.time)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._broke(error)
            raise Lost from error

    def close(self) -> None:
        """See Sink."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            if self._container is not None:
                self._container.mux(self._stream.encode(None))
        self._release()

    def _open(self) -> None:
        colour = output_colour(Colour(BT709, full=False, assumed=True), *self._size)
        encoder = ENCODERS["libx264"]
        options = {**encoder.options(None, None), "tune": "zerolatency", "g": str(_KEY_FRAMES)}
        transport = {"rtsp_transport": "tcp"} if self._format == "rtsp" else {}
        self._container = av.open(
            self.url, "w", format=self._format, container_options=transport, timeout=_TIMEOUT_S
        )
        stream = self._container.add_stream(encoder.name, rate=RATE, options=options)
        context = stream.codec_context
        context.width, context.height = self._size
        context.pix_fmt = encoder.pix_fmt
        context.time_base = TIME_BASE
        context.colorspace, context.color_range = colour.matrix, LIMITED
        context.thread_count = self._threads or 0
        self._stream = stream
        self._convert = FromRgb(colour, encoder.pix_fmt, threads=1)
        self._container.start_encoding()
        if self._connected:
            _LOG.info("%s: sending again", self.name)
            self._again_s = 0.0
        self._connected = True
        self._opened_s = time.monotonic()

    def _send(self, picture: Any, moment: Fraction) -> None:
        if self._convert is None:
            return
        frame = self._convert(picture)
        frame.pts = max(round((moment - self._begin) / TIME_BASE), self._last_pts + 1)
        frame.time_base = TIME_BASE
        self._last_pts = frame.pts
        self._container.mux(self._stream.encode(frame))

    def _broke(self, error: Exception) -> None:
        reason = why(error, self.url)
        self._release()
        if not self._connected:
            raise SinkError(f"cannot send to {self.name!r}: {reason}") from error
        if not self._again_s:
            _LOG.warning("%s: lost (%s)", self.name, reason)
        held_s = time.monotonic() - self._opened_s
        self._again_s = time.monotonic() + self._backoff.pause_s(held_s)

    def _release(self) -> None:
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            if self._container is not None:
                self._container.close()
        self._container = None
