"""How a clip is read and written, as a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from idrn_trt.errors import OptionError
from idrn_trt.types import VIEWS, View

# A frame of this many pixels is 300 MB as 8-bit RGB; the same limit as for pictures.
DEFAULT_MAX_PIXELS = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoOptions:
    """What `upscale_clip` does besides upscaling.

    view: what of each frame is shown. codec: "auto", a name of encoders.CODECS, or an encoder's own
    name. crf: the encoder's quality number, lower is better; preset: its speed; None for its defaults.
    start_s, duration_s: the part of the clip, in seconds from its beginning; duration None is all of
    it. max_pixels: frames with more are refused. threads: for decoding and encoding each; None is all
    cores. Raises OptionError.
    """

    view: View = "frame"
    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise OptionError(f"view must be one of {', '.join(VIEWS)}, got {self.view!r}")
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise OptionError(f"start must be 0 seconds or later, got {self.start_s!r}")
        if self.duration_s is not None and not (
            math.isfinite(self.duration_s) and self.duration_s > 0
        ):
            raise OptionError(f"duration must be above 0 seconds, got {self.duration_s!r}")
        for name in ("max_pixels", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} must be at least 1, got {value!r}")

    @property
    def whole(self) -> bool:
        """Whether all of the clip is wanted."""
        return self.start_s == 0 and self.duration_s is None
