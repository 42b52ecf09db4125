"""Face super-resolution with IDRN: small, blurred faces in a frame become clear ones.

    from idrn_trt import Upscaler

    with Upscaler() as upscaler:
        result = upscaler.upscale(frame)  # uint8 RGB (H, W, 3)

    for result in idrn_trt.stream("rtsp://camera/1"):  # cameras and files, in real time
        ...

Importing this package loads nothing but the standard library; each public name loads its module on
first use (PEP 562).
"""

from __future__ import annotations

# Type checkers know this name; importing it from typing would be most of this module's loading time.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from idrn_trt.engines import open_engine
    from idrn_trt.errors import (
        BackendUnavailable,
        DeviceError,
        EngineMismatch,
        IdrnError,
        ModelError,
        OptionError,
        SinkError,
        SourceError,
        TrainingError,
    )
    from idrn_trt.faces.detect import open_detector
    from idrn_trt.streaming.options import StreamOptions
    from idrn_trt.streaming.stream import Stream, stream
    from idrn_trt.types import (
        Box,
        EngineSpec,
        Face,
        FaceResult,
        Result,
        StreamResult,
        TrackedFace,
        Window,
    )
    from idrn_trt.upscaler import Upscaler

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailable",
    "Box",
    "DeviceError",
    "EngineMismatch",
    "EngineSpec",
    "Face",
    "FaceResult",
    "IdrnError",
    "ModelError",
    "OptionError",
    "Result",
    "SinkError",
    "SourceError",
    "Stream",
    "StreamOptions",
    "StreamResult",
    "TrackedFace",
    "TrainingError",
    "Upscaler",
    "Window",
    "__version__",
    "open_detector",
    "open_engine",
    "stream",
]

_HOMES = {
    "idrn_trt.engines": ("open_engine",),
    "idrn_trt.errors": (
        "BackendUnavailable", "DeviceError", "EngineMismatch", "IdrnError", "ModelError",
        "OptionError", "SinkError", "SourceError", "TrainingError",
    ),
    "idrn_trt.faces.detect": ("open_detector",),
    "idrn_trt.streaming.options": ("StreamOptions",),
    "idrn_trt.streaming.stream": ("Stream", "stream"),
    "idrn_trt.types": (
        "Box", "EngineSpec", "Face", "FaceResult", "Result", "StreamResult", "TrackedFace", "Window",
    ),
    "idrn_trt.upscaler": ("Upscaler",),
}  # fmt: skip


def __getattr__(name: str) -> object:
    """The public name, loaded from its module.

    Raises BackendUnavailable when that module needs something that is missing on this system.
    """
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        value = getattr(importlib.import_module(home), name)
    except ImportError as error:
        from idrn_trt._imports import explain_import_error
        from idrn_trt.errors import BackendUnavailable

        explanation = explain_import_error(error)
        if explanation is None:
            raise
        raise BackendUnavailable(explanation) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
