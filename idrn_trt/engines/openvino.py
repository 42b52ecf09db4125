"""IDRN in OpenVINO on the CPU, from uint8 to uint8 inside one graph."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13

from idrn_trt.engines._cache import cache_folder
from idrn_trt.engines._onnx_file import FLOAT_FILES, OnnxFile, load_onnx, precisions_from
from idrn_trt.engines.base import OPENING_WINDOW_PX, EngineBase, UInt8, check_sane, last_line
from idrn_trt.errors import DeviceError, ModelError, OptionError
from idrn_trt.types import EngineSpec, Precision
from idrn_trt.zoo import Model

NAME = "openvino"

# Most exact first. int8-trt is not here: signed 8-bit activations around Concat come out wrong in
# OpenVINO 2026.4.
_FILES: dict[Precision, tuple[str, ...]] = {
    "fp32": FLOAT_FILES,
    "bf16": FLOAT_FILES,
    "int8": ("int8-cpu",),
}
# What the layers that are not quantised compute in.
_HINT: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
# Graphs are static. A batch is run in pieces of these sizes, so that a stream whose number of faces
# changes meets a few graphs a window size instead of one for each number.
_PIECES = (8, 4, 2, 1)
# Of more LR pixels than this a piece's feature maps leave the cache, and each window costs up to a tenth
# more (docs/performance.md). A single window is run whole whatever its size.
_MOST_PIXELS = 9216
# Its messages are decoded on the way to Python, which fails where they quote bytes of a damaged file.
FAILURES = (RuntimeError, UnicodeDecodeError)
# The pieces of all window shapes, and as many odd ones.
_MOST_GRAPHS = 32


@lru_cache(maxsize=1)
def core() -> ov.Core:
    """The one Core of the process.

    OpenVINO 2026.4 corrupts the heap of a process in which several Cores ask the CPU plugin for its
    capabilities (seen with glibc's malloc checks); and a second Core loads every plugin once more.
    """
    return ov.Core()


def version() -> str:
    """OpenVINO's version."""
    return str(ov.__version__)


def precisions(kinds: set[str]) -> list[Precision]:
    """What this CPU can compute from these kinds of model files, most exact first."""
    found = precisions_from(kinds, _FILES)
    return [precision for precision in found if precision != "bf16" or can_bf16()]


def can_bf16() -> bool:
    """Whether this processor multiplies in bfloat16."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine(EngineBase):
    """One model in one precision, compiled per (piece of a batch, h, w) at first use and kept.

    threads: for the computation; None leaves it to OpenVINO (all cores). Raises ModelError for a file
    that is not a model of ours, OptionError for a precision this CPU lacks, DeviceError.
    """

    def __init__(self, model: Model, precision: Precision, threads: int | None = None) -> None:
        if precision not in _FILES:
            raise OptionError(
                f"engine 'openvino' has no precision {precision!r}: expected one of "
                f"{', '.join(_FILES)}"
            )
        if precision == "bf16" and not can_bf16():
            raise OptionError(
                "precision 'bf16' needs a CPU with bfloat16 arithmetic, which this one lacks: "
                "pass 'auto', 'fp32' or 'int8'"
            )
        file = load_onnx(model, _FILES[precision])
        self._core = core()
        self._source = _read(self._core, file, model)
        self._config = compile_options(precision, threads)
        self._graphs: OrderedDict[tuple[int, int, int], _Graph] = OrderedDict()
        spec = EngineSpec(
            engine=NAME,
            model=model.name,
            scale=_scale(self._source, model),
            precision=precision,
            model_sha256=file.sha256,
        )
        super().__init__(spec)
        self._open(file)

    def _open(self, file: OnnxFile) -> None:
        """Compile the usual window, from OpenVINO's cache where that holds it, and try it."""
        shape = (1, OPENING_WINDOW_PX, OPENING_WINDOW_PX)
        # OpenVINO keys its cache by the graph and its own version but not by the precision. A damaged
        # entry is compiled anew by OpenVINO itself.
        cache = cache_folder("openvino", f"{file.sha256[:32]}-{self._spec.precision}")
        if cache is not None:
            try:
                self._graphs[shape] = self._compile(shape, {"CACHE_DIR": str(cache)})
            except DeviceError as error:  # such as a full disk
                self._notes.append(f"model cache {str(cache)!r} not used: {error}")
        check_sane(self)

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        count, height, width, _ = batch.shape
        start = 0
        for size in _pieces(height * width):
            while count - start >= size:
                piece = slice(start, start + size)
                self._graph((size, height, width)).run(batch[piece], out[piece])
                start += size

    def _graph(self, shape: tuple[int, int, int]) -> _Graph:
        if shape in self._graphs:
            self._graphs.move_to_end(shape)
        else:
            while len(self._graphs) >= _MOST_GRAPHS:
                self._graphs.popitem(last=False)
            self._graphs[shape] = self._compile(shape)
        return self._graphs[shape]

    def _compile(self, shape: tuple[int, int, int], more: dict[str, Any] | None = None) -> _Graph:
        try:
            graph = with_uint8_ends(self._source.clone(), shape)
            compiled = self._core.compile_model(graph, "CPU", {**self._config, **(more or {})})
            return _Graph(compiled, shape, self._spec.scale)
        except FAILURES as error:
            raise DeviceError(
                f"OpenVINO cannot compile {self._spec.model!r}: {last_line(error)}"
            ) from error

    def _release(self) -> None:
        self._graphs.clear()
        del self._source, self._core


class _Graph:
    """One compiled graph with the memory it reads and writes.

    OpenVINO keeps no reference to a caller's array, so the graph's ends stay bound to arrays of its own
    and images are copied in and out: microseconds beside milliseconds, no dangling pointer.
    """

    def __init__(self, compiled: Any, shape: tuple[int, int, int], scale: int) -> None:
        count, height, width = shape
        self._lr: UInt8 = np.empty((count, height, width, 3), np.uint8)
        self._sr: UInt8 = np.empty((count, scale * height, scale * width, 3), np.uint8)
        self._request = compiled.create_infer_request()
        self._request.set_input_tensor(ov.Tensor(self._lr, shared_memory=True))
        self._request.set_output_tensor(ov.Tensor(self._sr, shared_memory=True))

    def run(self, lr: UInt8, sr: UInt8) -> None:
        """Compute `lr` into `sr`, both of this graph's shape. Raises DeviceError."""
        np.copyto(self._lr, lr)
        try:
            self._request.infer()
        except FAILURES as error:
            raise DeviceError(f"OpenVINO failed: {last_line(error)}") from error
        np.copyto(sr, self._sr)


def compile_options(precision: Precision, threads: int | None) -> dict[str, Any]:
    """What every graph of this precision is compiled with."""
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": _HINT[precision],
    }
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    return config


def _pieces(pixels: int) -> list[int]:
    """The batch sizes to run windows of so many LR pixels in, largest first."""
    return [size for size in _PIECES if size == 1 or size * pixels <= _MOST_PIXELS]


def _read(core: Any, file: OnnxFile, model: Model) -> Any:
    """The graph, checked against the model file contract."""
    try:
        graph = core.read_model(file.data)
    except FAILURES as error:
        raise ModelError(
            f"OpenVINO cannot read model {model.name!r}: {last_line(error)}"
        ) from error
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            f"model {model.name!r} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, "
            "expected one each"
        )
    for port in (graph.input(0), graph.output(0)):
        shape = port.partial_shape
        rank = len(shape) if shape.rank.is_static else 0
        fits = rank == 4 and shape[1].compatible(ov.Dimension(3))
        if not fits or port.element_type != ov.Type.f32:
            raise ModelError(
                f"model {model.name!r} has an end of {port.element_type} {shape}, "
                "expected float32 (N, 3, h, w)"
            )
    return graph


def _scale(graph: Any, model: Model) -> int:
    """The scale, read from the graph and held against the manifest."""
    probe = graph.clone()
    side = OPENING_WINDOW_PX
    try:
        probe.reshape([1, 3, side, side])
    except FAILURES as error:
        raise ModelError(
            f"model {model.name!r} takes no {side}x{side} window: {last_line(error)}"
        ) from error
    shape = probe.output(0).partial_shape
    height, width = (shape[k].get_length() if shape[k].is_static else 0 for k in (2, 3))
    scale = height // side
    if scale not in {2, 3, 4} or (height, width) != (scale * side, scale * side):
        raise ModelError(
            f"model {model.name!r} makes {width}x{height} of {side}x{side}, expected 2 to 4 times"
        )
    if model.scale not in {None, scale}:
        raise ModelError(f"model {model.name!r} has scale {scale}, its manifest says {model.scale}")
    return scale


def with_uint8_ends(graph: Any, shape: tuple[int, int, int]) -> Any:
    """The float NCHW graph of static shape with uint8 NHWC ends: (N, h, w, 3) -> (N, s*h, s*w, 3).

    OpenVINO's conversion to uint8 cuts the fraction off, so clipping and rounding (half to even, as
    NumPy) are operators of their own.
    """
    count, height, width = shape
    graph.reshape([count, 3, height, width])
    # OpenVINO's cache is keyed by names too, and names it makes up itself differ from graph to graph.
    for number, operator in enumerate(graph.get_ordered_ops()):
        operator.friendly_name = f"idrn_{number}"
    lr = opset13.parameter([count, height, width, 3], ov.Type.u8, name="lr")
    x = opset13.convert(lr, "f32", name="lr_float")
    x = opset13.multiply(x, _constant("lr_unit", 1 / 255), name="lr_scaled")
    x = opset13.transpose(x, _constant("lr_axes", [0, 3, 1, 2]), name="lr_nchw")
    for port in graph.input(0).get_target_inputs():
        port.replace_source_output(x.output(0))
    y = graph.get_results()[0].input(0).get_source_output()
    y = opset13.multiply(y, _constant("sr_levels", 255.0), name="sr_scaled")
    y = opset13.clamp(y, 0.0, 255.0, name="sr_clipped")
    y = opset13.round(y, "half_to_even", name="sr_rounded")
    y = opset13.convert(y, "u8", name="sr_uint8")
    sr = opset13.transpose(y, _constant("sr_axes", [0, 2, 3, 1]), name="sr_nhwc")
    return ov.Model([opset13.result(sr, name="sr")], [lr], "idrn")


def _constant(name: str, value: float | list[int]) -> Any:
    dtype = np.int64 if isinstance(value, list) else np.float32
    return opset13.constant(np.array(value, dtype), name=name)


OPEN = OpenVinoEngine
