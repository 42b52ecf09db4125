"""The exceptions idrn_trt raises, all under one root so that callers can catch one name.

Each also inherits the built-in it specialises, so that code which knows nothing of this package
still handles it sensibly. A message says what failed, the value got, what was expected and what
to do about it.
"""

from __future__ import annotations


class IdrnError(Exception):
    """Root of every error raised on purpose by idrn_trt."""


class OptionError(IdrnError, ValueError):
    """An argument or option has a value outside what is documented."""


class BackendUnavailable(IdrnError, ImportError):
    """An engine, detector or tool needs something that is not installed here."""


class ModelError(IdrnError, ValueError):
    """A model file, manifest or checkpoint is missing, altered, or not what it claims to be."""


class EngineMismatch(IdrnError, ValueError):
    """A batch does not fit the engine: wrong dtype, rank, window or batch size."""


class DeviceError(IdrnError, RuntimeError):
    """An engine failed while opening or running on its device."""


class SourceError(IdrnError, OSError):
    """An image or video cannot be read: missing, empty, truncated, corrupt or too large."""


class SinkError(IdrnError, OSError):
    """A result cannot be written: no permission, no space, or a name nothing can encode."""


class TrainingError(IdrnError, RuntimeError):
    """Training cannot start or go on: unusable data, or a loss that is no longer finite."""


def reason_of(error: OSError) -> str:
    """Why the system refused, in lower case, without the path that a message of ours names itself."""
    return (error.strerror or str(error)).lower()
