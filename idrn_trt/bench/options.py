"""What a benchmark run measures, checked before anything is opened. Standard library only."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from idrn_trt.engines import ENGINES
from idrn_trt.errors import OptionError
from idrn_trt.types import Precision

# Scenario -> (windows a call where --batch does not say, the percentile that leads).
SCENARIOS = {
    "single-stream": (1, 90.0),
    "multi-stream": (4, 99.0),
    "offline": (64, 50.0),
    "paced": (1, 95.0),
}
WINDOW_PX = (8, 512)
MOST_BATCH = 1024
MOST_THREADS = 1024
LONGEST_S = 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """One run.

    models: names, folders or files; none means every model that can be named here. engines,
    precisions: none means all. scenario: a key of SCENARIOS. window_px: side of the windows. batch:
    windows a call, None for the scenario's own number. fps: the camera of "paced". threads: for every
    engine alike, None for every usable core. warmup: untimed calls before each block. duration_s: of the
    timing of the table's rows, all together. percentiles: to report besides the median and the leading one.
    end_to_end: the whole upscaler for every row, not only for the fastest. profile: times by layer.
    data: face crops on which PSNR-Y is measured instead of quoted. label: names the files. Raises
    OptionError.
    """

    models: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    scenario: str = "single-stream"
    window_px: int = 32
    batch: int | None = None
    fps: float = 30.0
    threads: int | None = None
    warmup: int = 3
    duration_s: float = 20.0
    percentiles: tuple[float, ...] = (50.0, 90.0, 99.0)
    end_to_end: bool = False
    profile: bool = False
    data: Path | None = None
    label: str = ""

    def __post_init__(self) -> None:
        _known("scenario", [self.scenario], tuple(SCENARIOS))
        _known("engine", self.engines, ENGINES)
        _known("precision", self.precisions, get_args(Precision))
        _within("--window", self.window_px, *WINDOW_PX)
        _within("--batch", self.windows_a_call, 1, MOST_BATCH)
        _within("--threads", self.threads or 1, 1, MOST_THREADS)
        if self.threads == 0:
            raise OptionError("--threads must be at least 1, got 0")
        _within("--warmup", self.warmup, 0, 1000)
        _above_zero("--duration", self.duration_s, LONGEST_S)
        _above_zero("--fps", self.fps, 1000)
        if not self.percentiles:
            raise OptionError("--percentiles must name at least one, such as 50,90,99")
        for share in self.percentiles:
            if not 0 < share < 100:
                raise OptionError(f"--percentiles must lie between 0 and 100, got {share:g}")
        if self.data is not None and not self.data.is_dir():
            raise OptionError(f"--data must be a folder of face crops, got {str(self.data)!r}")
        if self.label and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.label) is None:
            raise OptionError(
                f"--label names files: expected letters, digits, '.', '_' or '-', got {self.label!r}"
            )

    @property
    def windows_a_call(self) -> int:
        """N of each call."""
        return SCENARIOS[self.scenario][0] if self.batch is None else self.batch

    @property
    def leading(self) -> float:
        """The percentile that the scenario is judged by."""
        return SCENARIOS[self.scenario][1]

    @property
    def reported(self) -> tuple[float, ...]:
        """The percentiles to report: those asked for, the median and the leading one, in order."""
        return tuple(sorted({50.0, *self.percentiles, self.leading}))


def _known(what: str, values: Sequence[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise OptionError(f"unknown {what} {value!r}: expected {', '.join(known)}.{hint}")


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise OptionError(f"{name} must be from {least} to {most}, got {value!r}")


def _above_zero(name: str, value: float, most: float) -> None:
    if not (math.isfinite(value) and 0 < value <= most):
        raise OptionError(f"{name} must be above 0 and at most {most:g}, got {value:g}")
