"""What the tests of the engine on the stand-ins share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from trt_state import Driver, State

from idrn_trt.engines._trt_profiles import BuildOptions, make_profiles
from idrn_trt.zoo import find_model

UInt8 = npt.NDArray[np.uint8]
SMALL = BuildOptions(profiles=make_profiles(((32, 32), (48, 40)), (1, 4)))
ONE = BuildOptions(profiles=make_profiles(((32, 32),), (1,)))


def opened(model: Path, precision: str = "fp16", options: BuildOptions = SMALL) -> Any:
    """The engine with few shapes, which build and open quickly."""
    from idrn_trt.engines.tensorrt import TensorRtEngine

    return TensorRtEngine(find_model(model), precision, options=options)  # type: ignore[arg-type]


def pictures(count: int, height: int, width: int | None = None, seed: int = 0) -> UInt8:
    """Noise, uint8 (count, height, width, 3); square without a width."""
    shape = (count, height, height if width is None else width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def nothing_left(trt: State, driver: Driver) -> bool:
    """Whether neither TensorRT nor the driver holds anything of ours."""
    alive = ("blocks", "locked", "streams", "events", "graphs", "execs")
    return not any(trt.alive.values()) and not any(driver.counts(*alive).values())
