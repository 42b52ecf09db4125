"""A connection between a client and a server that goes wrong when it is told to."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from typing import Literal

Mode = Literal["pass", "stall", "garbage", "refuse"]


class Proxy:
    """Listens on a port of its own and hands everything on to the server's.

    mode, which may be set at any time: "pass"; "stall", nothing comes through and nothing is closed;
    "garbage", one byte in fifty from the server is a random one; "refuse", connections are closed.
    """

    def __init__(self, server_port: int) -> None:
        self.mode: Mode = "pass"
        self.server_port = server_port
        self.connections = 0
        self._random = random.Random(0)  # noqa: S311 (the same faults every time)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self.server_port), 5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, giver: socket.socket, taker: socket.socket, from_server: bool) -> None:  # noqa: FBT001 (private)
        with contextlib.suppress(OSError):
            while data := giver.recv(65536):
                while self.mode == "stall":
                    time.sleep(0.01)
                if self.mode == "refuse":
                    break
                if self.mode == "garbage" and from_server:
                    data = self._spoilt(data)
                taker.sendall(data)
        for end in (giver, taker):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _spoilt(self, data: bytes) -> bytes:
        spoilt = bytearray(data)
        for place in range(self._random.randrange(50), len(spoilt), 50):
            spoilt[place] = self._random.randrange(256)
        return bytes(spoilt)
