"""An upscaler that costs next to nothing, for clips made at test time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from told import Told

from idrn_trt.types import Box
from idrn_trt.upscaler import Upscaler

# clips.py; the folder of tests is no package.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def upscaler() -> Iterator[Upscaler]:
    """Bicubic x4 with one face, 20 px, at (20, 12)."""
    with Upscaler(engine="bicubic", detector=Told(Box(20, 12, 20, 20))) as upscaler:
        yield upscaler


@pytest.fixture
def same_size() -> Iterator[Upscaler]:
    """Frames go through at their own size, without a face: pixel for pixel what came in."""
    with Upscaler(engine="bicubic", detector=Told(), frame_scale=1) as upscaler:
        yield upscaler
