"""Engines: every way of computing the network behind one small protocol (see base).

A backend's package is imported only when its engine is opened or asked about. This module itself
imports the standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from idrn_trt.errors import BackendUnavailable, DeviceError, IdrnError, ModelError, OptionError
from idrn_trt.types import Precision
from idrn_trt.zoo import DEFAULT_MODEL, DEFAULT_SCALE, Model, find_model

if TYPE_CHECKING:
    from idrn_trt.engines.base import Engine

ENGINES = ("tensorrt", "openvino", "onnxruntime", "bicubic")
# What "auto" tries, in this order. bicubic is not a network and tensorrt builds for minutes (and was
# never run on a GPU by this project), so nobody gets them without asking.
_AUTOMATIC = ("openvino", "onnxruntime")
_INSTALL = {
    "tensorrt": "pip install 'idrn-trt[tensorrt]'",
    "openvino": "pip install openvino",
    "onnxruntime": "pip install 'idrn-trt[onnxruntime]'",
    "bicubic": "pip install 'opencv-python<5'",
}


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What `doctor` says of one engine.

    precisions: what it could compute here, given model files of every kind. reason: why it is not usable
    and what to do; "" when it is.
    """

    name: str
    usable: bool
    version: str = ""
    precisions: list[Precision] = field(default_factory=list)
    reason: str = ""


def open_engine(
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Engine:
    """An engine for a model: a name of the zoo, a model folder, an .onnx file, or a Model.

    engine: a name of ENGINES, which is then taken or refused; "auto" takes the first usable of OpenVINO
    and ONNX Runtime and says in `notes` why an earlier one was not. precision: one of types.Precision,
    or "auto", the fastest of those the model has files for, by a measurement on first use. threads: for
    the computation, None for every core.

    Raises OptionError, ModelError, BackendUnavailable (not installed) or DeviceError (fails here).
    """
    _check("engine", engine, ("auto", *ENGINES))
    _check("precision", precision, ("auto", *get_args(Precision)))
    if threads is not None and (type(threads) is not int or threads < 1):
        raise OptionError(f"threads must be a whole number of at least 1, got {threads!r}")
    if engine == "bicubic":
        return _open_bicubic(model, precision)
    if not isinstance(model, Model):
        model = find_model(model)
    if engine != "auto":
        return _open(engine, model, precision, threads)
    return _open_first(model, precision, threads)


def describe_engines() -> list[EngineStatus]:
    """Each engine of ENGINES, tried by importing its backend."""
    return [_describe(name) for name in ENGINES]


def _check(what: str, value: str, known: Sequence[str]) -> None:
    if value in known:
        return
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise OptionError(f"unknown {what} {value!r}: expected one of {', '.join(known)}.{hint}")


def _backend(name: str) -> Any:
    """The engine's module: version(), precisions(kinds), OPEN(model, precision, threads).

    Raises BackendUnavailable when what it needs is not there.
    """
    try:
        if name == "openvino":
            from idrn_trt.engines import openvino as backend
        elif name == "onnxruntime":
            from idrn_trt.engines import onnxruntime as backend  # type: ignore[no-redef]
        elif name == "tensorrt":
            from idrn_trt.engines import tensorrt as backend  # type: ignore[no-redef]
        elif name == "bicubic":
            from idrn_trt.engines import bicubic as backend  # type: ignore[no-redef]
        else:
            raise AssertionError(name)
    except BackendUnavailable:  # says itself what to do
        raise
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"engine {name!r} is not usable: {error}. Install it with `{_INSTALL[name]}`"
        ) from error
    return backend


def _open_first(model: Model, precision: str, threads: int | None) -> Engine:
    passed_over: list[str] = []
    for name in _AUTOMATIC:
        try:
            opened = _open(name, model, precision, threads)
        except (BackendUnavailable, DeviceError) as error:
            passed_over.append(str(error))
            continue
        opened.notes.extend(passed_over)
        return opened
    raise BackendUnavailable(f"no engine is usable here: {'; '.join(passed_over)}")


def _open(name: str, model: Model, precision: str, threads: int | None) -> Engine:
    backend = _backend(name)
    if precision != "auto":
        opened: Engine = backend.OPEN(model, precision, threads)
        return opened
    if name == "tensorrt":
        return cast("Engine", backend.open_fastest(model, threads))
    from idrn_trt.engines._onnx_file import kinds_here

    candidates: list[Precision] = backend.precisions(kinds_here(model))
    if not candidates:
        raise ModelError(
            f"model {model.name!r} has no file that engine {name!r} can compute: its files are "
            f"{', '.join(sorted(model.files))}. Those that are not shipped are made by "
            "`idrn-trt quantise`"
        )
    if len(candidates) == 1:
        return cast("Engine", backend.OPEN(model, candidates[0], threads))
    from idrn_trt.engines import _probe

    files = {kind: file.sha256 for kind, file in sorted(model.files.items())}
    key = {
        "engine": name,
        "version": backend.version(),
        "threads": threads,
        "files": files,
        "precisions": candidates,
    }
    return _probe.open_fastest(
        key, candidates, lambda precision: cast("Engine", backend.OPEN(model, precision, threads))
    )


def _open_bicubic(model: str | Path | Model, precision: str) -> Engine:
    _check("precision of engine 'bicubic'", precision, ("auto", "fp32"))
    if model == DEFAULT_MODEL:
        scale: int | None = DEFAULT_SCALE  # so that the floor needs no model file
    else:
        scale = (model if isinstance(model, Model) else find_model(model)).scale
    if scale is None:
        raise OptionError(
            f"engine 'bicubic' reads no .onnx file, so it has no scale from {str(model)!r}: "
            "name a model or a model folder"
        )
    return cast("Engine", _backend("bicubic").OPEN(scale))


def _describe(name: str) -> EngineStatus:
    try:
        backend = _backend(name)
        able = backend.precisions({"fp32", "fp16", "int8-cpu", "int8-trt"})
        return EngineStatus(name, usable=True, version=backend.version(), precisions=able)
    except IdrnError as error:
        return EngineStatus(name, usable=False, reason=str(error))
