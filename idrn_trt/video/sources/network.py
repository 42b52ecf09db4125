"""Cameras and servers on the network: RTSP, MJPEG and MPEG-TS by HTTP, MPEG-TS by UDP."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from idrn_trt.errors import SourceError
from idrn_trt.video.colour import Colour, ToRgb, colour_of
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sources.arrivals import Arrivals
from idrn_trt.video.sources.base import TIMEOUT_S, SourceFrame
from idrn_trt.video.sources.redact import redacted
from idrn_trt.video.sources.why import why

# Scheme -> what FFmpeg may open for it. Nothing that a server says can make it open a file.
_PROTOCOLS = {
    "rtsp": "rtsp,tcp,rtp,udp",
    "rtsps": "rtsps,tls,tcp,rtp,udp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "udp": "udp",
}
SCHEMES = tuple(_PROTOCOLS)
# Streams only: a playlist would name other addresses.
_DEMUXERS = "rtsp,sdp,mpjpeg,mjpeg,jpeg_pipe,mpegts,h264,hevc,matroska,webm,flv,ivf,nut"
# They carry no times: FFmpeg makes up 25 frames/s.
_UNTIMED = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "h264", "hevc"})
# What is read to learn what a stream holds, before the first frame is handed out. FFmpeg's own 5 s and 5 MB
# are 5 s of waiting; the frame rate, for which it would wait longest, is not needed.
_PROBE_S = 1
_PROBE = {"analyzeduration": f"{_PROBE_S}000000", "probesize": "500000", "fpsprobesize": "0"}
# For so long at most packets are skipped until there is a key frame: some cameras never send another.
_SKIP_NS = 10_000_000_000
# For so long a connection may send what can only be decoded from its next key frame on.
_FIRST_S = 30.0
_LOG = logging.getLogger("idrn_trt.stream")


class NetworkSource:
    """One address. It is live: frames come when they are sent.

    timeout_s: how long connecting may take, and how long no frame may come; a camera that keeps the
    connection but sends nothing, or nothing that can be decoded, is an error after that. A connection that
    begins in the middle of a group of pictures has longer, until the next.
    """

    live = True

    def __init__(self, url: str, options: VideoOptions, timeout_s: float = TIMEOUT_S) -> None:
        self.name = redacted(url)
        self._url = url
        self._options = options
        self._timeout_s = timeout_s
        self._container: Any = None
        self._told = False
        self._frames: Iterator[SourceFrame] = iter(())
        self._to_rgb: tuple[tuple[Colour, int, int], ToRgb] | None = None

    def open(self) -> None:
        """See Source."""
        began_ns = time.perf_counter_ns()
        self._container = self._opened()
        arrivals = Arrivals(max(began_ns, time.perf_counter_ns() - _PROBE_S * 1_000_000_000))
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            raise SourceError(f"{self.name!r} sends no video that can be decoded here")
        stream = streams[0]
        context = stream.codec_context
        context.options = {"max_pixels": str(self._options.max_pixels)}
        # Threads that each decode a frame would hand them out as many frames late.
        context.thread_type = "SLICE"
        context.thread_count = self._options.threads or 0
        context.flags |= av.codec.context.Flags.low_delay
        self._frames = self._decoded(stream, arrivals)

    def read(self) -> SourceFrame | None:
        """See Source."""
        return next(self._frames, None)

    def close(self) -> None:
        """See Source."""
        self._frames = iter(())
        self._to_rgb = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _opened(self) -> Any:
        scheme = self._url.partition(":")[0].lower()
        options = {
            **_PROBE,
            "format_whitelist": _DEMUXERS,
            "protocol_whitelist": _PROTOCOLS[scheme],
        }
        if scheme.startswith("rtsp"):
            options.update(rtsp_transport="tcp", allowed_media_types="video")
        try:
            return av.open(
                self._url,
                options=options,
                timeout=(self._timeout_s, self._timeout_s),
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"cannot connect to {self.name!r}: {self._reason(error)}") from error

    def _decoded(self, stream: Any, arrivals: Arrivals) -> Iterator[SourceFrame]:
        """The stream's frames until it ends. Damaged packets are passed over.

        Packets that come faster than they can be decoded are skipped up to a key frame, once they are late.
        """
        last_ns = asked_ns = time.perf_counter_ns()
        timeout_ns = self._timeout_s * 1e9
        silent_s = max(self._timeout_s, _FIRST_S)
        skipped_from_ns: int | None = None
        for packet in self._packets(stream):
            came_ns = time.perf_counter_ns()
            # Out of time, FFmpeg first hands out what it still has, and says so at the next packet only.
            if came_ns - asked_ns >= timeout_ns:
                raise SourceError(f"lost {self.name!r}: nothing came for {self._timeout_s:g} s")
            arrivals.came(came_ns, came_ns - asked_ns)
            if arrivals.behind and skipped_from_ns is None:
                skipped_from_ns = came_ns
                self._tell_of_skipping()
            if skipped_from_ns is not None:
                if came_ns - skipped_from_ns > _SKIP_NS:
                    arrivals.caught_up()
                elif arrivals.behind or not packet.is_keyframe:
                    last_ns = asked_ns = came_ns
                    continue
                skipped_from_ns = None
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                frames = []
            for frame in frames:
                last_ns, silent_s = time.perf_counter_ns(), self._timeout_s
                yield self._source_frame(frame, arrivals)
            if time.perf_counter_ns() - last_ns > silent_s * 1e9:
                raise SourceError(
                    f"{self.name!r} sent nothing that can be decoded for {silent_s:g} s"
                )
            asked_ns = time.perf_counter_ns()

    def _tell_of_skipping(self) -> None:
        """Once, not every few seconds for weeks."""
        if not self._told:
            _LOG.warning(
                "%s: more comes than can be decoded here: parts are skipped, up to a key frame. Let the "
                "camera send a smaller picture, or fewer",
                self.name,
            )
        self._told = True

    def _packets(self, stream: Any) -> Iterator[Packet[Any]]:
        try:
            yield from self._container.demux(stream)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"lost {self.name!r}: {self._reason(error)}") from error

    def _source_frame(self, frame: VideoFrame, arrivals: Arrivals) -> SourceFrame:
        most = self._options.max_pixels
        if frame.width * frame.height > most:
            raise SourceError(
                f"{self.name!r} sends {frame.width}x{frame.height}, more than {most:,} pixels"
            )
        own = None
        if (
            frame.pts is not None
            and frame.time_base
            and self._container.format.name not in _UNTIMED
        ):
            own = Fraction(frame.pts * frame.time_base)
        return SourceFrame(self._rgb(frame), own, arrivals.captured_ns(own))

    def _rgb(self, frame: VideoFrame) -> Any:
        """The frame's colours; the size or the colours may have changed since the last one."""
        key = (colour_of(frame)[0], frame.width, frame.height)
        if self._to_rgb is None or self._to_rgb[0] != key:
            self._to_rgb = key, ToRgb(*key, threads=1)
        return self._to_rgb[1](frame)

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, av.ExitError):
            return f"nothing came for {self._timeout_s:g} s"
        return why(error, self._url)
