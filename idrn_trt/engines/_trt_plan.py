"""A TensorRT plan on the GPU: from the cache or built, then its shapes, all given back in order."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import tensorrt as trt

from idrn_trt.engines import _cuda
from idrn_trt.engines._plans import Gpu, PlanKey, open_plan
from idrn_trt.engines._trt_build import ERRORS, OUTPUT, last_errors, logger, no_device
from idrn_trt.engines._trt_profiles import Picture, Profile
from idrn_trt.engines._trt_shape import Shape
from idrn_trt.errors import DeviceError

# TensorRT 10 dropped Pascal (GeForce GTX 10xx, 6.1) and older:
# https://docs.nvidia.com/deeplearning/tensorrt/archives/tensorrt-1010/support-matrix/index.html
_LEAST_CAPABILITY = (7, 0)

_log = logging.getLogger(__name__)


def check_gpu() -> Gpu:
    """The GPU that is here. Raises DeviceError: none, or one that TensorRT no longer knows."""
    gpu = _cuda.gpu()
    if gpu.compute_capability < _LEAST_CAPABILITY:
        found, least = (".".join(map(str, c)) for c in (gpu.compute_capability, _LEAST_CAPABILITY))
        raise DeviceError(
            f"engine 'tensorrt' cannot use {gpu.name!r}: compute capability {found}, TensorRT 10 needs "
            f"{least} or higher. Pass engine='onnxruntime', with onnxruntime-gpu installed"
        )
    return gpu


class LoadedPlan:
    """A plan ready for its shapes, and everything of TensorRT and CUDA that lives for it.

    key: of the plan for a GPU. build: makes it where the cache has none. host_code: whether the plan
    carries a runtime of its own; only plans of our cache are loaded. shapes: those opened, in that order.
    They share one block of scratch memory, since they run one after another. Freed in the reverse order
    of creation. Raises what `build` raises, and DeviceError.
    """

    def __init__(
        self,
        key: Callable[[Gpu], PlanKey],
        build: Callable[[], bytes],
        *,
        host_code: bool = False,
    ) -> None:
        gpu = check_gpu()
        self.device = _cuda.device()
        self.shapes: list[Shape] = []
        self._scratch: Any = None
        self._stream: Any = None
        self._engine: Any = None
        self._runtime = _runtime(self.device)
        self._runtime.engine_host_code_allowed = host_code
        try:
            self._engine, _ = open_plan(key(gpu), build, self._load, say=_log.warning)
            with self.device.current():
                self._scratch = _cuda.Memory(self._engine.device_memory_size_v2)
                self._stream = _cuda.Stream()
        except BaseException:
            self.free()
            raise

    def _load(self, plan: bytes) -> Any:
        with self.device.current():
            return self._runtime.deserialize_cuda_engine(plan)

    def open_shape(
        self,
        index: int,
        profile: Profile | Picture,
        outputs: Sequence[str] = (OUTPUT,),
        item_bytes: int = 1,
    ) -> Shape:
        """One more shape, ready to run; the GPU must be current. See Shape. Raises DeviceError."""
        # Nowhere else: an error on its way up would keep what its frames name alive too long.
        shape = Shape(
            self._context(profile), index, profile, self._stream,
            outputs=outputs, item_bytes=item_bytes,
        )  # fmt: skip
        self.shapes.append(shape)
        try:
            shape.open()
        except BaseException:
            self._settle()
            self.shapes.pop().free()
            raise
        return shape

    def _context(self, profile: Profile | Picture) -> Any:
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        if context is None:
            raise DeviceError(
                _cuda.explain(f"making the TensorRT context for {profile}", last_errors())
            )
        context.set_device_memory(self._scratch.address, self._scratch.size_bytes)
        return context

    def _settle(self) -> None:
        """Wait for what is still queued: it uses what is freed next."""
        if self._stream is not None:
            with contextlib.suppress(DeviceError):
                self._stream.wait()

    def free(self) -> None:
        """Give everything back; may be called again."""
        with self.device.current():
            self._settle()
            while self.shapes:
                self.shapes.pop().free()
            for part in (self._stream, self._scratch):
                if part is not None:
                    part.free()
            self._stream = self._scratch = None
            self._engine = None
            self._runtime = None


def _runtime(device: _cuda.Device) -> Any:
    ERRORS.clear()
    try:
        with device.current():
            return trt.Runtime(logger())
    except TypeError as error:  # what the bindings make of TensorRT's null pointer
        raise DeviceError(no_device()) from error
