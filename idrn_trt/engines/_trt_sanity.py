"""Whether an engine just opened computes pictures at all, in every shape that it was built for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from idrn_trt.engines._trt_profiles import Profile
from idrn_trt.engines.base import EngineBase, UInt8
from idrn_trt.errors import ModelError
from idrn_trt.zoo import Model

# As engines/base.py:check_sane: half of what lies between a right mean and one at 0 or 255.
_MOST_DRIFT_LEVELS = 64
# idrn-d8-w64-x4 on a CPU: 3.0 to 3.9, in fp32 and int8 alike, for every window that faces are cut at.
_MOST_RMS_LEVELS = 12


def check_pictures(engine: EngineBase, profiles: Sequence[Profile], model: Model) -> None:
    """Run a picture through every shape of an engine just opened, and raise ModelError for nonsense.

    NaN and overflow come out as 0 or 255, wrong scales as another brightness: both move the mean. A
    network with figures in its manifest was trained, so what it makes of smooth shades is also held
    against bicubic interpolation.
    """
    trained = model.manifest is not None and bool(model.manifest.quality)
    named = f"engine {engine.spec.engine!r} ({model.name}, {engine.spec.precision})"
    for profile in profiles:
        shades = _shades(*profile.window)
        pictures = engine.run(np.broadcast_to(shades, profile.shape))
        drift = float(pictures.mean()) - float(shades.mean())
        if abs(drift) > _MOST_DRIFT_LEVELS:
            raise ModelError(
                f"{named}: a grey ramp comes out {drift:+.0f} grey levels on average in "
                f"{profile}, expected within {_MOST_DRIFT_LEVELS}: the weights or scales are "
                "damaged"
            )
        expected = _bicubic(shades, engine.spec.scale)
        distance = max(_rms(picture, expected) for picture in pictures)
        if trained and not distance <= _MOST_RMS_LEVELS:
            raise ModelError(
                f"{named}: smooth shades come out {distance:.0f} grey levels from bicubic interpolation "
                f"(root mean square) in {profile}, expected within {_MOST_RMS_LEVELS}: what is "
                "computed here is wrong"
            )


def _shades(height: int, width: int) -> UInt8:
    """A ramp in each colour, of another direction each; uint8 (height, width, 3)."""
    y, x = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)


def _bicubic(picture: UInt8, scale: int) -> UInt8:
    height, width = picture.shape[:2]
    size = (width * scale, height * scale)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _rms(a: UInt8, b: UInt8) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float32) - b) ** 2)))
