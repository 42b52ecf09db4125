"""manifest.json: what a model folder says about itself, read as if an enemy had written it.

Standard library only. Whatever the bytes are, the reader returns a whole Manifest or raises
ModelError with one line: it follows no path, opens no other file and keeps no key it does not know.
"""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from idrn_trt.errors import ModelError, reason_of

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"

_LARGEST_BYTES = 1 << 20
_LARGEST_FILE_BYTES = 1 << 31
_MOST_FILES = 32
_DEEPEST = 32
_SCALES = (2, 3, 4)
SUPER_RESOLUTION, FACE_DETECTION = "super-resolution", "face-detection"
_TASKS = (SUPER_RESOLUTION, FACE_DETECTION)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KIND = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model as its manifest states it.

    path: relative to the folder, "/" between its parts, never out of the folder. sha256: lower-case hex.
    parents: kinds it was made from.
    """

    path: str
    sha256: str
    size_bytes: int
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest. network, recipe, quality and data are for people: JSON values as read.

    task: what the model does. scale: None for one that enlarges nothing.
    """

    name: str
    task: str
    scale: int | None
    network: dict[str, Any]
    files: dict[str, ModelFile]
    data: list[dict[str, Any]]
    recipe: dict[str, Any]
    quality: dict[str, Any]


def is_model_name(text: str) -> bool:
    """Whether `text` can name a model: lower case, digits, dot, dash, underscore; at most 64."""
    return _NAME.fullmatch(text) is not None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model folder. Raises ModelError for everything but a valid one."""
    path = folder / MANIFEST_NAME
    try:
        return parse_manifest(_read(path))
    except ModelError as error:
        raise ModelError(f"model manifest {str(path)!r}: {error}") from error
    except OSError as error:
        reason = reason_of(error)
        raise ModelError(f"model manifest {str(path)!r} cannot be read: {reason}") from error


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. Raises ModelError for everything but a valid one."""
    root = _Object("the manifest", _json(data))
    version = root.integer("format_version", range(1, 1 << 31))
    if version != FORMAT_VERSION:
        raise ModelError(
            f"format version {version}, this release reads {FORMAT_VERSION}: "
            "use the idrn_trt release the model came with, or a model of this one"
        )
    task = _task(root)
    scale = root.integer("scale", _SCALES) if task == SUPER_RESOLUTION else None
    network = root.mapping("network")
    if network.get("scale", scale) != scale:
        raise ModelError(f"network scale {_short(network['scale'])} differs from scale {scale}")
    return Manifest(
        name=root.text("name", is_model_name, "a lower-case name such as 'idrn-d8-w64-x4'"),
        task=task,
        scale=scale,
        network=network,
        files=_files(root.mapping("files")),
        data=_data(root.values.get("data", [])),
        recipe=root.mapping("recipe", {}),
        quality=root.mapping("quality", {}),
    )


def _task(root: _Object) -> str:
    """What the model does; manifests of super-resolution need not say it."""
    if "task" not in root.values:
        return SUPER_RESOLUTION
    return root.text("task", _TASKS.__contains__, f"one of {', '.join(_TASKS)}")


def _read(path: Path) -> bytes:
    # A pipe or device would block or never end, so only a regular file is opened.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelError("not a regular file")
    with path.open("rb") as file:
        data = file.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise ModelError(f"larger than the {_LARGEST_BYTES >> 20} MiB a manifest may have")
    return data


def _json(data: bytes) -> Any:
    if len(data) > _LARGEST_BYTES:
        raise ModelError(f"larger than the {_LARGEST_BYTES >> 20} MiB a manifest may have")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        _check_depth(value)
        return value
    except RecursionError:
        raise ModelError("nested too deeply") from None
    except ModelError:
        raise
    except ValueError as error:  # neither UTF-8 nor JSON
        raise ModelError(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ModelError(f"key {_short(counts.most_common(1)[0][0])} given twice in one object")
    return values


def _no_constant(text: str) -> NoReturn:
    raise ModelError(f"number {text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ModelError(f"number {_short(text)} is too large")
    return value


def _integer(text: str) -> int:
    # Python's own limit is thousands of digits, and its older releases have none.
    if len(text) > 20:
        raise ModelError(f"number {_short(text)} is too large")
    return int(text)


def _check_depth(value: Any) -> None:
    """Refuse what would be too deep for a reader of recipe or quality that recurses."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ModelError(f"nested deeper than {_DEEPEST} levels")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _Object:
    """Typed access to one JSON object; every refusal names the object and the key."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ModelError(f"{where} must be an object, got {_short(value)}")
        self.where = where
        self.values: dict[str, Any] = value

    def _get(self, key: str) -> Any:
        if key not in self.values:
            raise ModelError(f"{self.where} has no {key!r}")
        return self.values[key]

    def _refuse(self, key: str, expected: str) -> NoReturn:
        got = _short(self.values[key])
        raise ModelError(f"{key!r} of {self.where} must be {expected}, got {got}")

    def integer(self, key: str, allowed: range | tuple[int, ...]) -> int:
        value = self._get(key)
        if type(value) is not int or value not in allowed:  # bool is an int elsewhere
            bounds = (
                f"an integer from {allowed.start} to {allowed.stop - 1}"
                if isinstance(allowed, range)
                else f"one of {allowed}"
            )
            self._refuse(key, bounds)
        return value

    def text(self, key: str, valid: Callable[[str], object], expected: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not valid(value):
            self._refuse(key, expected)
        return value

    def mapping(self, key: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        if default is not None and key not in self.values:
            return default
        value = self._get(key)
        if not isinstance(value, dict):
            self._refuse(key, "an object")
        return value


def _files(values: dict[str, Any]) -> dict[str, ModelFile]:
    if not 1 <= len(values) <= _MOST_FILES:
        raise ModelError(f"'files' must name 1 to {_MOST_FILES} files, got {len(values)}")
    files: dict[str, ModelFile] = {}
    for kind, value in values.items():
        if not _KIND.fullmatch(kind):
            raise ModelError(f"{_short(kind)} is no kind of file: expected fp32, int8-cpu or alike")
        entry = _Object(f"file {kind!r}", value)
        files[kind] = ModelFile(
            path=entry.text("path", _stays_inside, "a relative path inside the folder"),
            sha256=entry.text("sha256", _SHA256.fullmatch, "64 lower-case hexadecimal digits"),
            size_bytes=entry.integer("bytes", range(1, _LARGEST_FILE_BYTES + 1)),
            parents=_parents(entry, kind, values),
        )
    return files


def _parents(entry: _Object, kind: str, kinds: dict[str, Any]) -> tuple[str, ...]:
    parents = entry.values.get("parents", [])
    if not isinstance(parents, list) or len(parents) > _MOST_FILES:
        raise ModelError(f"'parents' of {entry.where} must be a list, got {_short(parents)}")
    for parent in parents:
        if not isinstance(parent, str) or parent not in kinds or parent == kind:
            raise ModelError(f"parent {_short(parent)} of {entry.where} is no other file here")
    return tuple(parents)


def _data(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ModelError(f"'data' must be a list of objects, got {_short(value)}")
    return value


def _stays_inside(path: str) -> bool:
    """Whether a path is relative, plain and without "..", as written on any system."""
    if not path or len(path) > 255 or _CONTROL.search(path) or "\\" in path or ":" in path:
        return False
    return all(part not in {"", ".", ".."} for part in path.split("/"))
