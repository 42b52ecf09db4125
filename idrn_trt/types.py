"""The nouns of the runtime. Standard library only at run time.

Letters used in shapes throughout the package: N batch, C channels, h and w low-resolution height and
width, H and W a frame's height and width, s scale. At the edges (frames, windows, engine batches) an
image is uint8 RGB in rows, (H, W, 3); inside model files it is float32 RGB in [0, 1], NCHW.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    import numpy.typing as npt

    UInt8 = npt.NDArray[np.uint8]

Precision = Literal["fp32", "bf16", "fp16", "int8"]
View = Literal["frame", "faces", "side-by-side", "split"]
VIEWS: tuple[View, ...] = ("frame", "faces", "side-by-side", "split")


@dataclass(frozen=True, slots=True)
class Box:
    """A face's rectangle in frame pixels: left, top, width, height. May reach over the frame's edge."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face; score is the detector's own, higher is surer, comparable within one detector."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of native pixels around a face: left, top, width and height in frame pixels.

    It lies inside the frame, except that a frame smaller than the window is centred in it; x or y is
    then negative and the missing pixels are reflected ones.
    """

    x: int
    y: int
    w: int
    h: int

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w), as of an array of its pixels."""
        return self.h, self.w

    @property
    def pixels(self) -> int:
        """How many it has, which an engine's time goes with."""
        return self.h * self.w


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """What an opened engine is and takes.

    engine: registry name. model: the model's name. scale: s. precision: what it computes in.
    windows: the legal (h, w), or None for any of at least min_window_px a side.
    max_batch: the largest N of one call. model_sha256: of the model file, "" for an engine without.
    """

    engine: str
    model: str
    scale: int
    precision: Precision
    model_sha256: str = ""
    windows: tuple[tuple[int, int], ...] | None = None
    min_window_px: int = 8
    max_batch: int = 64


@dataclass(frozen=True, slots=True)
class FaceResult:
    """One upscaled face: lr is the window's own pixels (h, w, 3), sr the network's answer.

    sr is (s*h, s*w, 3). Both are copies that the caller owns. box is in input pixels.
    """

    box: Box
    score: float
    window: Window
    lr: UInt8
    sr: UInt8


@dataclass(frozen=True, slots=True)
class Result:
    """What `Upscaler.upscale` returns for one frame.

    frame: uint8 RGB at the output size, owned by the caller. faces: those upscaled, in the detector's
    order. too_large: faces bigger than the largest window, left to the plain resize.
    times_ms: wall time per stage: detect, window, engine, paste (background resize included), total.
    """

    frame: UInt8
    faces: list[FaceResult]
    too_large: list[Face] = field(default_factory=list)
    times_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackedFace(FaceResult):
    """A face of a stream.

    track: the same number from frame to frame while it is followed, from 1. sharpness: variance of the
    Laplacian of lr in grey, higher is sharper. reused: the window changed no more than a sensor's noise,
    and lr and sr are those of an earlier frame. carried: the network was not asked in time, and sr is lr
    enlarged plainly with what the network added to an earlier picture of the face (faces/carry.py). lr and
    sr are not to be written to: a later result may have them again.
    """

    track: int
    sharpness: float
    reused: bool
    carried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """One frame of a stream, upscaled.

    source: which of the stream's sources, from 0; name: what it is called, without credentials.
    number: of the frame in its source, from 0; frames dropped before it are counted. time: in seconds,
    by the source's own clock; it only grows. captured_s: Unix time at which it was captured;
    captured_ns: the same by time.perf_counter_ns, from which ages are counted.
    frame: as captured, uint8 RGB (H, W, 3), not to be written to. picture: the view, uint8 RGB; None
    where nobody wants one, and in the view "faces" before the first face. faces: as in Result, but for
    those that have never been made yet (see carry in StreamOptions). too_large and times_ms: see Result;
    "engine" is the time of the calls that have ended for this frame, or for earlier ones meanwhile, and
    "carry" that of carrying detail.
    """

    source: int
    name: str
    number: int
    time: Fraction
    captured_s: float
    captured_ns: int
    frame: UInt8
    picture: UInt8 | None
    faces: list[TrackedFace]
    too_large: list[Face]
    times_ms: dict[str, float]
