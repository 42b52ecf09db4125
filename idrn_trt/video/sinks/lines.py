"""A stream's faces as JSON lines."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from idrn_trt.errors import SinkError
from idrn_trt.types import StreamResult
from idrn_trt.video.sinks.base import Enough


class JsonLines:
    """One line for each frame: source, times, size, faces. file: where to; by default standard output."""

    name = "json lines"
    pictures = False
    source = None

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file or sys.stdout

    def write(self, result: StreamResult) -> None:
        """See Sink. A reader that went away ends the stream."""
        try:
            print(json.dumps(frame_entry(result)), file=self._file, flush=True)
        except BrokenPipeError:
            raise Enough from None
        except OSError as error:
            raise SinkError(f"cannot write JSON lines: {(error.strerror or '').lower()}") from error

    def close(self) -> None:
        """See Sink; the file stays the caller's."""


def frame_entry(result: StreamResult) -> dict[str, Any]:
    """A frame for JSON."""
    return {
        "source": result.source,
        "name": result.name,
        "frame": result.number,
        "time_s": round(float(result.time), 6),
        "captured_s": round(result.captured_s, 3),
        "size": [result.frame.shape[1], result.frame.shape[0]],
        "faces": [
            {
                "track": face.track,
                "box": [round(v, 2) for v in (face.box.x, face.box.y, face.box.w, face.box.h)],
                "score": round(face.score, 4),
                "sharpness": round(face.sharpness, 1),
                "window": [face.window.x, face.window.y, face.window.w, face.window.h],
                "reused": face.reused,
                "carried": face.carried,
            }
            for face in result.faces
        ],
        "too_large": len(result.too_large),
        "times_ms": {stage: round(ms, 3) for stage, ms in result.times_ms.items()},
    }
