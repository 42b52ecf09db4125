"""How a stream runs, as a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from idrn_trt.errors import OptionError
from idrn_trt.types import VIEWS, View

_LONGEST_BATCH_WAIT_MS = 60_000


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamOptions:
    """What a Stream does besides upscaling.

    view: what of each frame is shown. max_fps: at most so many frames a second of each source, the
    others are passed over. duration_s: end after so long, by the clock for live sources and by their own
    times for files. loop: files start again at their end. realtime: files are played at their own pace as
    if they were cameras, frames dropped where it is too fast.
    wait: a live source that is not there at the start is waited for, instead of an error; one that has
    once been there is always waited for. stall_s: a live source that is silent for longer is stalled.
    reuse: a face whose pixels changed no more than noise keeps its picture. carry: where the network is
    slower than a live source, frames do not wait for it: what it added to a face last is carried onto the
    later ones (faces/carry.py); a new face is plain, and not among the result's, until it is made. The
    engine's threads, and others of the process that computed while it was warmed up, then stay behind in
    priority (Linux). A frame that comes together with one of a file waits all the same.
    detect_every: look at the whole of every such frame; 0 is by pieces in turn. batch_wait_ms: how long a
    frame may wait for those of other sources.
    Raises OptionError.
    """

    view: View = "frame"
    max_fps: float | None = None
    duration_s: float | None = None
    loop: bool = False
    realtime: bool = False
    wait: bool = False
    stall_s: float = 5.0
    reuse: bool = True
    carry: bool = False
    detect_every: int = 0
    batch_wait_ms: float = 2.0

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise OptionError(f"view must be one of {', '.join(VIEWS)}, got {self.view!r}")
        for name in ("max_fps", "duration_s", "stall_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{name} must be above 0 and finite, got {value!r}")
        if self.detect_every < 0:
            raise OptionError(f"detect_every must not be negative, got {self.detect_every!r}")
        if not 0 <= self.batch_wait_ms <= _LONGEST_BATCH_WAIT_MS:
            raise OptionError(
                f"batch_wait_ms must be from 0 to {_LONGEST_BATCH_WAIT_MS}, got {self.batch_wait_ms!r}"
            )
