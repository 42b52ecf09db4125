"""IDRN in TensorRT: a plan built once and cached, and one CUDA graph a call.

Everything is made when the engine is opened: for each shape of the plan (window, batch) a
context, page-locked ends, and the graph of copy in, compute, copy out. A call copies the windows into the
smallest batch that holds them, launches that shape's graph and waits once; it allocates nothing on the
GPU. Never run on a GPU by this project: proven on stand-ins for TensorRT and the driver (docs/gpu.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idrn_trt.engines import _probe
from idrn_trt.engines._onnx_file import OnnxFile, kinds_here, load_onnx, precisions_from
from idrn_trt.engines._trt_build import build_plan, check_version, plan_key
from idrn_trt.engines._trt_plan import LoadedPlan, check_gpu
from idrn_trt.engines._trt_profiles import BuildOptions, choose, chosen_options
from idrn_trt.engines._trt_sanity import check_pictures
from idrn_trt.engines._trt_shape import Shape
from idrn_trt.engines.base import Engine, EngineBase, UInt8
from idrn_trt.errors import DeviceError, ModelError, OptionError
from idrn_trt.types import EngineSpec, Precision
from idrn_trt.zoo import Model

NAME = "tensorrt"

# Most exact first. TensorRT computes in the file's own types.
_FILES: dict[Precision, tuple[str, ...]] = {
    "fp32": ("fp32",),
    "fp16": ("fp16",),
    "int8": ("int8-trt",),
}
_NO_QUICK_FILE = (
    "computed in fp32: this model has no fp16 or int8-trt file here, and those are several times faster. "
    "`idrn-trt quantise` makes them"
)


def version() -> str:
    """TensorRT's version. Raises BackendUnavailable for one that is too old."""
    return check_version()


def precisions(kinds: set[str]) -> list[Precision]:
    """What this GPU can compute from these kinds of model files, most exact first.

    Raises DeviceError: no GPU, or one that TensorRT no longer knows.
    """
    check_gpu()
    return precisions_from(kinds, _FILES)


def open_fastest(model: Model, threads: int | None = None) -> Engine:
    """The engine in the faster of fp16 and int8, by a measurement on first use.

    A precision that cannot be built or whose pictures are wrong is left out and `notes` says so; fp32 is
    taken when no other can be. Raises what the last one raises.
    """
    check_version()
    able = precisions(kinds_here(model))
    quick: list[Precision] = [precision for precision in able if precision != "fp32"]
    left_out: list[str] = []
    while quick:
        try:
            opened = _probe.open_fastest(
                _probe_key(model, quick), quick, lambda p: _opened(model, p, threads)
            )
        except _Refused as refused:
            if len(able) == 1:  # none to fall back to
                raise refused.reason from None
            quick.remove(refused.precision)
            able.remove(refused.precision)
            left_out.append(f"precision {refused.precision!r} left out: {refused.reason}")
            continue
        opened.notes.extend(left_out)
        return opened
    if not able:
        raise ModelError(
            f"model {model.name!r} has no file that engine {NAME!r} can compute: its files are "
            f"{', '.join(sorted(model.files))}. Those that are not shipped are made by "
            "`idrn-trt quantise`"
        )
    engine = TensorRtEngine(model, "fp32", threads)
    engine.notes.extend(left_out or [_NO_QUICK_FILE])
    return engine


class _Refused(Exception):
    """A precision that cannot be used, and why."""

    def __init__(self, precision: Precision, reason: ModelError | DeviceError) -> None:
        super().__init__(str(reason))
        self.precision = precision
        self.reason = reason


def _opened(model: Model, precision: Precision, threads: int | None) -> Engine:
    try:
        return TensorRtEngine(model, precision, threads)
    except (ModelError, DeviceError) as error:
        raise _Refused(precision, error) from error


def _probe_key(model: Model, candidates: list[Precision]) -> dict[str, Any]:
    gpu = check_gpu()
    return {
        "engine": NAME,
        "version": check_version(),
        "threads": None,
        "gpu": gpu.name,
        "driver": gpu.driver,
        "files": {kind: file.sha256 for kind, file in sorted(model.files.items())},
        "precisions": candidates,
    }


class TensorRtEngine(EngineBase):
    """One plan in one precision; the windows and batches it was built for.

    threads: no meaning here. options: what to build, the plan's shapes above all; as `idrn-trt build`
    was last told by default. Building takes minutes, once for a GPU and TensorRT release, and is logged
    as a warning. Raises ModelError, OptionError for a precision there is not, DeviceError.
    """

    def __init__(
        self,
        model: Model,
        precision: Precision,
        threads: int | None = None,  # noqa: ARG002 (every engine takes it)
        *,
        options: BuildOptions | None = None,
    ) -> None:
        if precision not in _FILES:
            raise OptionError(
                f"engine {NAME!r} has no precision {precision!r}: expected one of {', '.join(_FILES)}"
            )
        file = load_onnx(model, _FILES[precision])
        options = options or chosen_options(file.sha256, precision)
        check_version()
        self.profiles = options.profiles
        self._handed: UInt8 | None = None
        self._plan = _Plan(file, precision, options)
        try:
            spec = EngineSpec(
                engine=NAME,
                model=model.name,
                scale=self._plan.scale(model),
                precision=precision,
                model_sha256=file.sha256,
                windows=tuple(sorted({p.window for p in self.profiles})),
                max_batch=max(p.batch for p in self.profiles),
            )
            super().__init__(spec, self._plan.notes)
            check_pictures(self, self.profiles, model)
        except BaseException:
            self._plan.free()
            raise

    def shape(self, window: tuple[int, int], count: int) -> Shape:
        """The part of the plan that a call with `count` windows (h, w) uses."""
        return self._plan.shapes[choose(self.profiles, window, count)]

    def times_ms(
        self,
        window: tuple[int, int],
        count: int,
        repeats: int,
        *,
        graph: bool,
        copies: bool,
        events: bool = False,
    ) -> list[float]:
        """Times of `repeats` calls in ms: wall time from queueing to the end of the wait.

        graph: replayed instead of queued one by one. copies: with those between host and GPU. events:
        the GPU's own time instead, between an event in front of the work and one behind it. The copy
        into page-locked memory is not in it. Raises DeviceError where the graph cannot be captured.
        """
        with self._lock, self._plan.device.current():
            if self._closed:
                raise DeviceError(f"engine {NAME!r} is closed: open another one")
            return self.shape(window, count).times_ms(
                repeats, graph=graph, copies=copies, events=events
            )

    def _own(self, shape: tuple[int, ...]) -> UInt8:
        """The page-locked end itself: a result that is not wanted elsewhere is not copied."""
        count, height, width = shape[:3]
        scale = self._spec.scale
        host = self.shape((height // scale, width // scale), count).result.host
        self._handed = host[:count]
        return self._handed

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        count, height, width = batch.shape[:3]
        shape = self.shape((height, width), count)
        np.copyto(shape.source.host[:count], batch)
        with self._plan.device.current():
            shape.run()
        if out is not self._handed:
            np.copyto(out, shape.result.host[:count])

    def _release(self) -> None:
        self._handed = None
        self._plan.free()


class _Plan(LoadedPlan):
    """A plan with all of its shapes open, one for each profile, in the plan's order."""

    def __init__(self, file: OnnxFile, precision: Precision, options: BuildOptions) -> None:
        super().__init__(
            lambda gpu: plan_key(file.sha256, precision, gpu, options),
            lambda: build_plan(file.data, options=options),
            host_code=options.version_compatible,
        )
        try:
            with self.device.current():
                for index, profile in enumerate(options.profiles):
                    self.open_shape(index, profile)
        except BaseException:
            self.free()
            raise
        reasons = {shape.no_graph: shape for shape in self.shapes if shape.no_graph}
        self.notes = [
            f"slower without a CUDA graph ({shape.profile} and perhaps others): {reason}"
            for reason, shape in reasons.items()
        ]

    def scale(self, model: Model) -> int:
        """The scale, read from the plan and held against the manifest."""
        source, result = self.shapes[0].source.host.shape, self.shapes[0].result.host.shape
        scale = int(result[1]) // int(source[1])
        if scale not in {2, 3, 4} or result != (source[0], *(scale * n for n in source[1:3]), 3):
            raise ModelError(
                f"model {model.name!r} makes {result} of {source}, expected 2 to 4 times and RGB"
            )
        if model.scale not in {None, scale}:
            raise ModelError(
                f"model {model.name!r} has scale {scale}, its manifest says {model.scale}"
            )
        return scale


OPEN = TensorRtEngine
