"""`import tensorrt` in a process of its own: the stand-in, and plans for fewer shapes than usual."""

from __future__ import annotations

import sys

import sitecustomize
import trt_standin

from idrn_trt.engines import _trt_profiles

trt_standin._driver = sitecustomize.DRIVER
defaults = _trt_profiles.BuildOptions.__init__.__kwdefaults__
defaults["profiles"] = (
    *_trt_profiles.make_profiles(((32, 32),), (1, 16)),
    *_trt_profiles.make_profiles(((48, 40),), (4,)),
)
sys.modules[__name__] = trt_standin
