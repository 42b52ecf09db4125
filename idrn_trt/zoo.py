"""The zoo: from a model's name to its files, each checked against its manifest when it is read.

A model is a folder with `manifest.json` and the files it names. Names are looked up in the folder of
model folders that the environment variable IDRN_MODELS names, then in the models packed with the
program, then in the source tree's `models/`. Standard library only.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idrn_trt.errors import ModelError, reason_of
from idrn_trt.manifest import (
    FACE_DETECTION,
    FORMAT_VERSION,
    MANIFEST_NAME,
    SUPER_RESOLUTION,
    Manifest,
    ModelFile,
    is_model_name,
    read_manifest,
)

__all__ = [
    "DEFAULT_DETECTOR",
    "DEFAULT_MODEL",
    "DEFAULT_SCALE",
    "DETECTOR_MODEL",
    "FACE_DETECTION",
    "FORMAT_VERSION",
    "SUPER_RESOLUTION",
    "BrokenModel",
    "Model",
    "find_model",
    "list_models",
    "search_path",
]

# docs/decisions/009: what cameras give is compressed and noisy.
DEFAULT_MODEL = "idrn-d8-w64-x4-real"
DEFAULT_SCALE = 4
DEFAULT_DETECTOR = "cnn"
DETECTOR_MODEL = "idrn-face-detector"

_PACKAGE = Path(__file__).resolve().parent
_CHUNK_BYTES = 1 << 20
_LARGEST_BARE_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Model:
    """One model: a folder with a manifest, or a bare .onnx file without one.

    scale is None and manifest too for a bare file; an engine reads the scale from the graph. files maps
    kind ("fp32", "fp16", "int8-cpu", "int8-trt") to what is known of the file. A bare file's only kind
    is "bare": what it computes in is read from it.
    """

    name: str
    folder: Path
    scale: int | None
    files: dict[str, ModelFile]
    manifest: Manifest | None = None

    def has(self, kind: str) -> bool:
        """Whether the file of that kind is named and there; nothing is said of its content."""
        return kind in self.files and (self.folder / self.files[kind].path).is_file()

    def file(self, kind: str) -> Path:
        """The path of that file, its content verified. Raises ModelError: missing or altered."""
        path, entry = self._locate(kind)
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise _unreadable(path, error) from error
        _compare(path, digest.hexdigest(), entry)
        return path

    def read(self, kind: str) -> bytes:
        """That file's bytes, verified: what was checked is what is used. Raises ModelError."""
        path, entry = self._locate(kind)
        try:
            with path.open("rb") as file:
                data = file.read(entry.size_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        _compare(path, hashlib.sha256(data).hexdigest(), entry)
        return data

    def _locate(self, kind: str) -> tuple[Path, ModelFile]:
        if kind not in self.files:
            raise ModelError(
                f"model {self.name!r} has no {kind!r} file, only {', '.join(sorted(self.files))}"
            )
        entry = self.files[kind]
        path = self.folder / entry.path
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError) as error:  # a ring of links
            raise ModelError(f"model file {str(path)!r} cannot be resolved: {error}") from error
        # A bare file may be a link: its user named it, no manifest did.
        if self.manifest is not None and not inside:
            raise ModelError(f"model file {str(path)!r} is a link out of its folder: refused")
        if not path.is_file():
            raise ModelError(
                f"model {self.name!r}: file {entry.path!r} is missing. Files that are not shipped "
                "are made by `idrn-trt quantise`"
            )
        size = path.stat().st_size
        if size != entry.size_bytes:
            raise ModelError(
                f"model file {str(path)!r} is altered: {size} bytes, "
                f"its manifest says {entry.size_bytes}"
            )
        return path, entry


@dataclass(frozen=True, slots=True)
class BrokenModel:
    """A folder where a model should be, and why it cannot be used."""

    name: str
    folder: Path
    reason: str


def find_model(name_or_path: str | Path) -> Model:
    """The model of that name, in that folder, or of that .onnx file.

    A text is looked up as a name first. Raises ModelError: unknown (the nearest name is suggested), or a
    manifest that is missing, damaged or of another format version.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and is_model_name(text) and not text.endswith(".onnx"):
        for root in search_path():
            if (root / text / MANIFEST_NAME).is_file():
                return _named(root / text)
    path = Path(name_or_path)
    if _is(path, "dir"):
        return _from_folder(path)
    if _is(path, "file"):
        return _from_file(path)
    raise _unknown(name_or_path)


def list_models(task: str | None = SUPER_RESOLUTION) -> list[Model | BrokenModel]:
    """Every model of that task (None: of any) that can be named here, by name.

    Where a name is found twice the first root's. A broken model is listed whatever its task.
    """
    found: dict[str, Model | BrokenModel] = {}
    for root in search_path():
        for folder in _folders(root):
            if folder.name not in found:
                found[folder.name] = _model_or_reason(folder)
    return [found[name] for name in sorted(found) if _is_for(found[name], task)]


def _is_for(model: Model | BrokenModel, task: str | None) -> bool:
    manifest = model.manifest if isinstance(model, Model) else None
    return task is None or manifest is None or manifest.task == task


def search_path() -> list[Path]:
    """The folders in which names are looked up, in order; those that exist.

    Raises ModelError when IDRN_MODELS is set to something that is no folder.
    """
    roots = [_PACKAGE / "_models"]
    # Beside an installed package lies site-packages, where models/ would be somebody else's.
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        roots.append(_PACKAGE.parent / "models")
    override = os.environ.get("IDRN_MODELS")
    if override:
        if not _is(Path(override), "dir"):
            raise ModelError(f"IDRN_MODELS is {override!r}, expected a folder of model folders")
        roots.insert(0, Path(override))
    return [root for root in roots if root.is_dir()]


def _is(path: Path, what: str) -> bool:
    try:
        return path.is_dir() if what == "dir" else path.is_file()
    except (OSError, ValueError):  # too long a name, or a null character in it
        return False


def _folders(root: Path) -> Iterator[Path]:
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise ModelError(f"folder of models {str(root)!r} cannot be listed: {error}") from error
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            yield entry


def _named(folder: Path) -> Model:
    model = _from_folder(folder)
    if model.name != folder.name:
        raise ModelError(f"model folder {str(folder)!r} holds a model named {model.name!r}")
    return model


def _model_or_reason(folder: Path) -> Model | BrokenModel:
    try:
        model = _named(folder)
        for kind in model.files:
            if model.has(kind):
                model.file(kind)
        return model
    except ModelError as error:
        return BrokenModel(folder.name, folder, str(error))


def _from_folder(folder: Path) -> Model:
    manifest = read_manifest(folder)
    return Model(manifest.name, folder, manifest.scale, manifest.files, manifest)


def _from_file(path: Path) -> Model:
    if path.suffix != ".onnx":
        raise ModelError(f"model {str(path)!r} is neither a model folder nor an .onnx file")
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                if size > _LARGEST_BARE_BYTES:
                    raise ModelError(f"model file {str(path)!r} is over 2 GiB")
    except OSError as error:
        raise _unreadable(path, error) from error
    entry = ModelFile(path.name, digest.hexdigest(), size)
    return Model(path.stem, path.parent, None, {"bare": entry})


def _compare(path: Path, sha256: str, entry: ModelFile) -> None:
    if sha256 != entry.sha256:
        raise ModelError(
            f"model file {str(path)!r} is altered: sha256 {sha256}, expected {entry.sha256}"
        )


def _unreadable(path: Path, error: OSError) -> ModelError:
    reason = reason_of(error)
    return ModelError(f"model file {str(path)!r} cannot be read: {reason}")


def _unknown(name_or_path: str | Path) -> ModelError:
    names = sorted({folder.name for root in search_path() for folder in _folders(root)})
    message = f"no model named {str(name_or_path)!r}, nor a folder or .onnx file of that name"
    near = difflib.get_close_matches(str(name_or_path), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = (
        ", ".join(names) or f"none; looked in {', '.join(map(str, search_path())) or 'no folder'}"
    )
    return ModelError(f"{message}.{hint} Known here: {known}")
