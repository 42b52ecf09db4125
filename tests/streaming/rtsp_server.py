"""An RTSP server for tests, run by the system's Python: `rtsp_server.py PORT [CLIP]`.

It prints its port once it listens. It sends the Matroska clip of H.264, once to each client, or without one
a moving ball, 320x240, live, whose size a line on standard input changes: "WIDTH HEIGHT". At /rare each
client gets a ball of its own with a key frame every 10 s. Clients may also send to it, at /in.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 (after the versions are named)

BALL = (
    "( videotestsrc is-live=true pattern=ball ! videoscale ! "
    "capsfilter name=size caps=video/x-raw,width=320,height=240,framerate=30/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! "
    "rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
RARE = BALL.replace("key-int-max=15", "key-int-max=300")
CLIP = "( filesrc location={clip} ! matroskademux ! h264parse ! rtph264pay name=pay0 pt=96 )"
RECORD = "( rtph264depay name=depay0 ! h264parse ! fakesink )"


class Server:
    """The server and what was last asked of it."""

    def __init__(self, port: str, clip: str | None) -> None:
        self._size: Any = None
        self._server = GstRtspServer.RTSPServer()
        self._server.set_service(port)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(CLIP.format(clip=clip) if clip else BALL)
        factory.set_shared(clip is None)
        factory.connect("media-configure", self._configure)
        points = self._server.get_mount_points()
        points.add_factory("/live", factory)
        rare = GstRtspServer.RTSPMediaFactory()
        rare.set_launch(RARE)
        points.add_factory("/rare", rare)
        sent = GstRtspServer.RTSPMediaFactory()
        sent.set_launch(RECORD)
        sent.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        points.add_factory("/in", sent)
        self._server.attach(None)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.get_bound_port())

    def _configure(self, _factory: Any, media: Any) -> None:
        self._size = media.get_element().get_by_name("size")

    def obey(self) -> None:
        """Do as the lines say; when there are no more, nobody needs the server any longer."""
        for line in sys.stdin:
            width, height = line.split()
            caps = f"video/x-raw,width={width},height={height},framerate=30/1"
            self._size.set_property("caps", Gst.Caps.from_string(caps))
        os._exit(0)


if __name__ == "__main__":
    Gst.init(None)
    server = Server(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    print(server.port, flush=True)  # noqa: T201 (whoever started it reads it)
    threading.Thread(target=server.obey, daemon=True).start()
    GLib.MainLoop().run()
