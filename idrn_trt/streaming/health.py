"""A file that says how a stream is, for whoever restarts it. Standard library only."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from idrn_trt.errors import SinkError
from idrn_trt.files import write_text
from idrn_trt.streaming.stats import LOG, StreamStats

EVERY_S = 5.0
_GOOD = frozenset({"playing", "ended"})


class HealthFile:
    """Rewrites the file every EVERY_S seconds while it is entered: a file that grows old means a hang.

    Its "healthy" is true while every source plays or has ended. It is removed at the end. Raises SinkError
    when it cannot be written at first; later that is logged, once until it can be again.
    """

    def __init__(self, path: Path, stats: StreamStats, every_s: float = EVERY_S) -> None:
        self._path = path
        self._stats = stats
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idrn-health", daemon=True)

    def __enter__(self) -> HealthFile:  # noqa: PYI034 (typing.Self needs Python 3.11)
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        failed = ""
        while not self._over.wait(self._every_s):
            try:
                self._write()
            except SinkError as error:
                if str(error) != failed:
                    LOG.warning("%s", error)
                failed = str(error)
            else:
                failed = ""

    def _write(self) -> None:
        write_text(self._path, json.dumps(health(self._stats), indent=1) + "\n", "health file")


def health(stats: StreamStats) -> dict[str, Any]:
    """How a stream is, for JSON."""
    return {
        "time_s": round(time.time(), 3),
        "healthy": all(source.state in _GOOD for source in stats.sources),
        **stats.to_dict(),
    }
