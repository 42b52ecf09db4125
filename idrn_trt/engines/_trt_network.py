"""A detector's network in TensorRT: one plan for pictures of any size, one CUDA graph for each size.

Never run on a GPU by this project: proven on stand-ins for TensorRT and the driver (docs/gpu.md).
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from idrn_trt.engines._onnx_file import inspect_onnx
from idrn_trt.engines._plans import Gpu, PlanKey
from idrn_trt.engines._trt_build import build_ranges, plan_key
from idrn_trt.engines._trt_plan import LoadedPlan
from idrn_trt.engines._trt_profiles import BuildOptions, Picture
from idrn_trt.engines._trt_shape import Shape
from idrn_trt.errors import EngineMismatch, ModelError

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# docs/decisions/030 has the reasons: the least that a network halving five times takes, a 1080p frame at
# the default scale, a 4K frame at its own.
LEAST, BEST, MOST = Picture(32, 32), Picture(736, 1280), Picture(4096, 4096)
# A stream looks at three sizes by turns: the frame made small, its tiles, and around a known face.
_KEPT = 4

_log = logging.getLogger(__name__)


class TensorRtNetwork:
    """A network made by with_uint8_input (_uint8_ends.py), with these outputs.

    Its plan is built on first use, which takes minutes. A size is set up when it first comes, and the
    last few are kept. What it holds on the GPU is given back when the object goes. Raises ModelError,
    BackendUnavailable, DeviceError.
    """

    def __init__(self, network: bytes, name: str, outputs: Sequence[str]) -> None:
        self._outputs = list(outputs)
        try:
            self._plan = _load(network)
        except ModelError as error:
            raise ModelError(f"TensorRT cannot open detector {name!r}: {error}") from error
        weakref.finalize(self, self._plan.free)

    def run(self, picture: UInt8) -> list[Float32]:
        """See faces/network.py:Network. Raises EngineMismatch for a picture that is too large."""
        size = Picture(*picture.shape[:2])
        if max(picture.shape[:2]) > MOST.width_px:
            raise EngineMismatch(
                f"the detector's TensorRT plan takes pictures of up to {MOST.width_px} px a side, got "
                f"{size}: raise min_face_px (--min-face-px), by which frames are shrunk for it, or pass "
                "another engine"
            )
        with self._plan.device.current():
            shape = self._shape(size)
            np.copyto(shape.source.host[0], picture)
            shape.run()
        return [result.host.view(np.float32).copy() for result in shape.results]

    def _shape(self, size: Picture) -> Shape:
        """The shape for that size, which is then the last of those kept to go."""
        shapes = self._plan.shapes
        for shape in shapes:
            if shape.profile == size:
                shapes.remove(shape)
                shapes.append(shape)
                return shape
        if len(shapes) == _KEPT:
            shapes.pop(0).free()
        opened = self._plan.open_shape(0, size, self._outputs, np.float32().itemsize)
        if opened.no_graph and len(shapes) == 1:
            _log.warning("the detector is slower without a CUDA graph: %s", opened.no_graph)
        return opened


def _load(network: bytes) -> LoadedPlan:
    precision, digest = inspect_onnx(network), hashlib.sha256(network).hexdigest()
    options = BuildOptions()
    range_ = (LEAST.shape, BEST.shape, MOST.shape)

    def key(gpu: Gpu) -> PlanKey:
        return dataclasses.replace(plan_key(digest, precision, gpu, options), profiles=range_)

    return LoadedPlan(key, lambda: build_ranges(network, [range_], options))
