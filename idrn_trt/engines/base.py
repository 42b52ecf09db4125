"""The one seam between the product and whatever computes the network."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import DeviceError, EngineMismatch, ModelError
from idrn_trt.types import EngineSpec

UInt8 = npt.NDArray[np.uint8]

# The window compiled and tried when an engine is opened: the one most faces fall into.
OPENING_WINDOW_PX = 32
# A super-resolution network keeps a picture's mean to about one grey level; one whose weights or scales
# are broken lands at 0 or 255. Half of what lies between is far from both.
_MOST_DRIFT_LEVELS = 64


class Engine(Protocol):
    """Images in, images out: uint8 RGB (N, h, w, 3) -> uint8 RGB (N, s*h, s*w, 3).

    Scaling to [0, 1], layout, clipping and rounding to the nearest level happen inside. `run` is
    synchronous; an engine runs one call at a time (calls from several threads wait for each other).
    """

    @property
    def spec(self) -> EngineSpec:
        """What this engine is and which batches it takes."""
        ...

    @property
    def notes(self) -> list[str]:
        """Why a slower path was taken, one sentence each; empty on the expected path."""
        ...

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        """The batch s times larger.

        With `out` (C-contiguous, right shape) the result is written there and returned. Without it the
        result is the engine's own buffer, valid until the next `run` or `close`: copy what you keep.
        Raises EngineMismatch for a batch or `out` that does not fit, DeviceError when the device
        fails or the engine is closed.
        """
        ...

    def close(self) -> None:
        """Release everything; may be called more than once."""
        ...


class EngineBase(ABC):
    """What every engine has in common: checks, the lock, the own buffer, closing.

    A concrete engine opens itself in its constructor and gives `_compute` and, where it holds more than
    memory, `_release`. Both are called by one thread at a time, `_release` once and last.
    """

    def __init__(self, spec: EngineSpec, notes: Iterable[str] = ()) -> None:
        self._spec = spec
        self._notes = list(notes)
        self._lock = threading.Lock()
        self._closed = False
        self._buffer: UInt8 = np.empty(0, np.uint8)

    @property
    def spec(self) -> EngineSpec:
        """What this engine is and which batches it takes."""
        return self._spec

    @property
    def notes(self) -> list[str]:
        """Why a slower path was taken, one sentence each; the list is the engine's own."""
        return self._notes

    def run(self, batch: UInt8, out: UInt8 | None = None) -> UInt8:
        """See `Engine.run`. The batch may have any strides and may overlap `out`."""
        check_batch(self._spec, batch)
        count, height, width, channels = batch.shape
        scale = self._spec.scale
        shape = (count, scale * height, scale * width, channels)
        with self._lock:
            if self._closed:
                raise DeviceError(f"{_named(self._spec)} is closed: open another one")
            if out is None:
                out = self._own(shape)
            else:
                check_out(self._spec, out, shape)
            if np.may_share_memory(batch, out):
                batch = batch.copy()
            self._compute(batch, out)
            return out

    def close(self) -> None:
        """Release everything; may be called more than once, and waits for a `run` in progress."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._buffer = np.empty(0, np.uint8)
                self._release()

    def _own(self, shape: tuple[int, ...]) -> UInt8:
        size = math.prod(shape)
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.uint8)
        return self._buffer[:size].reshape(shape)

    @abstractmethod
    def _compute(self, batch: UInt8, out: UInt8) -> None:
        """Write the batch, s times larger, into `out`: both checked, `out` C-contiguous.

        Raises DeviceError.
        """

    def _release(self) -> None:  # noqa: B027 (most have nothing to add)
        """Let go of what is not memory of Python's."""


def check_batch(spec: EngineSpec, batch: UInt8) -> None:
    """Raise EngineMismatch unless `batch` is one that `spec` takes."""
    if not isinstance(batch, np.ndarray):
        raise EngineMismatch(f"{_named(spec)} takes a numpy array, got {type(batch).__name__}")
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[3] != 3:
        raise EngineMismatch(
            f"{_named(spec)} takes uint8 RGB (N, h, w, 3), got {batch.dtype} {batch.shape}"
        )
    count, height, width, _ = batch.shape
    if not 1 <= count <= spec.max_batch:
        raise EngineMismatch(
            f"{_named(spec)} takes 1 to {spec.max_batch} windows a call, got {count}"
        )
    if spec.windows is not None and (height, width) not in spec.windows:
        sizes = ", ".join(f"{h}x{w}" for h, w in spec.windows)
        raise EngineMismatch(
            f"{_named(spec)} takes windows (h x w) of {sizes}, got {height}x{width}"
        )
    if min(height, width) < spec.min_window_px:
        raise EngineMismatch(
            f"{_named(spec)} takes windows of at least {spec.min_window_px} px a side, "
            f"got {height}x{width}"
        )


def check_out(spec: EngineSpec, out: UInt8, shape: tuple[int, ...]) -> None:
    """Raise EngineMismatch unless the result of that shape can be written into `out`."""
    if not isinstance(out, np.ndarray):
        raise EngineMismatch(f"{_named(spec)}: out must be an array, got {type(out).__name__}")
    if out.dtype != np.uint8 or out.shape != shape:
        raise EngineMismatch(
            f"{_named(spec)}: out must be uint8 {shape}, got {out.dtype} {out.shape}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise EngineMismatch(f"{_named(spec)}: out must be C-contiguous and writeable")


def check_sane(engine: EngineBase) -> None:
    """Run a grey ramp through an engine just opened and raise ModelError if it comes out as nonsense.

    NaN becomes 0 and infinity 255 on the way to uint8, so both show as a mean that moved far.
    """
    side = OPENING_WINDOW_PX
    levels = np.linspace(0, 255, side).astype(np.uint8)
    ramp = np.broadcast_to(levels[None, None, :, None], (1, side, side, 3))
    drift = float(engine.run(ramp).mean()) - float(ramp.mean())
    if abs(drift) > _MOST_DRIFT_LEVELS:
        raise ModelError(
            f"{_named(engine.spec)}: a grey ramp comes out {drift:+.0f} grey levels on average, "
            f"expected within {_MOST_DRIFT_LEVELS}: the weights or scales are damaged"
        )


def last_line(error: BaseException) -> str:
    """The part of a backend's message that says what is wrong; the lines before say where."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _named(spec: EngineSpec) -> str:
    return f"engine {spec.engine!r} ({spec.model}, {spec.precision})"
