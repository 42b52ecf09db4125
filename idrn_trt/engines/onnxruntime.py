"""IDRN in ONNX Runtime: the second opinion on a CPU, and CUDA where its GPU build is installed.

That build (onnxruntime-gpu) serves owners of a GPU without TensorRT, and of cards too old for it. It has
not been run on a GPU by this project.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import numpy as np

# From 1.32 on its Linux builds report usage over the network unless told not to before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from idrn_trt.engines._onnx_file import load_onnx, precisions_from
from idrn_trt.engines.base import OPENING_WINDOW_PX, EngineBase, UInt8, check_sane, last_line
from idrn_trt.errors import DeviceError, ModelError, OptionError
from idrn_trt.processor import usable_cores
from idrn_trt.types import EngineSpec, Precision
from idrn_trt.zoo import Model

NAME = "onnxruntime"

# Most exact first. ONNX Runtime computes in the file's own types.
_FILES: dict[Precision, tuple[str, ...]] = {
    "fp32": ("fp32",),
    "fp16": ("fp16",),
    "int8": ("int8-cpu",),
}
_FATAL_ONLY = 4
_NO_CUDA = (
    "ONNX Runtime's CUDA provider did not start, so it computes on the CPU: it needs an NVIDIA GPU, its "
    "driver, and CUDA and cuDNN, as `pip install 'onnxruntime-gpu[cuda,cudnn]'` brings them"
)


def version() -> str:
    """ONNX Runtime's version, and that it is the build for GPUs, whose versions are the same."""
    return f"{ort.__version__} with CUDA" if _wanted() else str(ort.__version__)


def precisions(kinds: set[str]) -> list[Precision]:
    """What can be computed from these kinds of model files, most exact first."""
    return precisions_from(kinds, _FILES)


class OnnxRuntimeEngine(EngineBase):
    """One model file in one session; any window, any batch.

    threads: for the computation; None takes every core this process may use. Raises ModelError for a
    file that is not a model of ours, OptionError for a precision there is not.
    """

    def __init__(self, model: Model, precision: Precision, threads: int | None = None) -> None:
        if precision not in _FILES:
            raise OptionError(
                f"engine 'onnxruntime' has no precision {precision!r}: expected one of "
                f"{', '.join(_FILES)}"
            )
        file = load_onnx(model, _FILES[precision])
        self._session, notes = _session(file.data, model, threads)
        spec = EngineSpec(
            engine=NAME,
            model=model.name,
            scale=_scale(self._session, model),
            precision=precision,
            model_sha256=file.sha256,
        )
        super().__init__(spec, notes)
        check_sane(self)

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        lr = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32)
        lr *= np.float32(1 / 255)
        try:
            sr = _run(self._session, lr)
        except Exception as error:  # its exceptions share no base but Exception
            raise DeviceError(f"ONNX Runtime failed: {last_line(error)}") from error
        # Overflow to NaN or infinity inside the network is not a fault of this conversion.
        with np.errstate(invalid="ignore", over="ignore"):
            sr *= 255
            np.clip(sr, 0, 255, out=sr)
            np.rint(sr, out=sr)
            np.copyto(out, sr.transpose(0, 2, 3, 1), casting="unsafe")

    def _release(self) -> None:
        del self._session


def _session(data: bytes, model: Model, threads: int | None) -> tuple[Any, list[str]]:
    """The session, and a note where the GPU that is there was not taken."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY  # failures arrive as exceptions
    wanted = _wanted()
    if wanted and hasattr(ort, "preload_dlls"):
        # CUDA and cuDNN from pip's packages, which the loader does not find by itself. It prints.
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()
    try:
        session = ort.InferenceSession(
            data,
            sess_options=options,
            providers=[*wanted, "CPUExecutionProvider"],
            # A second attempt, announced on standard output, that would fail in the same way.
            enable_fallback=bool(wanted),
        )
    except Exception as error:  # its exceptions share no base but Exception
        raise ModelError(
            f"ONNX Runtime cannot open model {model.name!r}: {last_line(error)}"
        ) from error
    missed = [p for p in wanted if p not in session.get_providers()]
    return session, [_NO_CUDA for _ in missed]


def _wanted() -> list[str]:
    """The GPU's provider, in a build that has it."""
    return [p for p in ("CUDAExecutionProvider",) if p in ort.get_available_providers()]


def _run(session: Any, lr: Any) -> Any:
    return session.run(None, {session.get_inputs()[0].name: lr})[0]


def _scale(session: Any, model: Model) -> int:
    """The scale, read from what comes out for one window and held against the manifest."""
    try:
        ends = [
            (end.name, end.type, end.shape)
            for end in [*session.get_inputs(), *session.get_outputs()]
        ]
    except UnicodeDecodeError as error:
        raise ModelError(f"model {model.name!r} names its axes in no UTF-8: {error}") from error
    if len(ends) != 2 or any(kind != "tensor(float)" or len(axes) != 4 for _, kind, axes in ends):
        described = ", ".join(f"{name} {kind} {axes}" for name, kind, axes in ends)
        raise ModelError(
            f"model {model.name!r} has the ends {described}, expected one input and one output, "
            "float32 (N, 3, h, w)"
        )
    side = OPENING_WINDOW_PX
    try:
        shape = _run(session, np.zeros((1, 3, side, side), np.float32)).shape
    except Exception as error:  # its exceptions share no base but Exception
        raise ModelError(
            f"model {model.name!r} takes no {side}x{side} window: {last_line(error)}"
        ) from error
    scale = int(shape[2]) // side
    if scale not in {2, 3, 4} or shape != (1, 3, scale * side, scale * side):
        raise ModelError(
            f"model {model.name!r} makes {shape} of {side}x{side}, expected 2 to 4 times and RGB"
        )
    if model.scale not in {None, scale}:
        raise ModelError(f"model {model.name!r} has scale {scale}, its manifest says {model.scale}")
    return scale


OPEN = OnnxRuntimeEngine
