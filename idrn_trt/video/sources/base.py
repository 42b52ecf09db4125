"""What a source of frames is: the seam between a stream and whatever takes the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from time import perf_counter_ns
from typing import Protocol

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

# How long a live source may be silent, if the caller does not say.
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One picture of a source.

    rgb: uint8 RGB (H, W, 3), the receiver's own from now on; its size may differ from the last one's.
    time: in seconds by the source's own clock, None where it has none. captured_ns: when it was taken, by
    time.perf_counter_ns.
    """

    rgb: UInt8
    time: Fraction | None = None
    captured_ns: int = field(default_factory=perf_counter_ns)


class Source(Protocol):
    """Where frames come from. One thread opens, reads and closes.

    After `open` has failed, or `read` has failed or come to an end, `close` is called; then `open` may be
    called again. So an object serves for a camera's whole life, however often it goes away.
    """

    @property
    def name(self) -> str:
        """What it is called in logs and results: without credentials."""
        ...

    @property
    def live(self) -> bool:
        """Whether frames come by themselves: old ones are then dropped, and a lost source is reopened."""
        ...

    def open(self) -> None:
        """Get ready to read. Raises SourceError."""
        ...

    def read(self) -> SourceFrame | None:
        """The next frame, waiting for it; None at the end.

        Raises SourceError, also when a live source has been silent for longer than it should. (A call
        that never returns is reported as a stall, but its thread cannot be helped.)
        """
        ...

    def close(self) -> None:
        """Release everything; may be called more than once."""
        ...
