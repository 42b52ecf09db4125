"""Interlaced frames made whole: FFmpeg's bwdif, one picture a frame, times kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.filter import Graph
from av.video.frame import VideoFrame


class Deinterlacer:
    """A filter that is a frame behind: push gives what is ready, flush the rest.

    Frames that are not marked as interlaced pass as they are. The frames' time_base differs from the
    stream's.
    """

    def __init__(self, stream: Any, frame: VideoFrame) -> None:
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """What is ready once the decoder's next frame is in."""
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[VideoFrame]:
        """The last frames."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
