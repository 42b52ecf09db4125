"""The cache of TensorRT plans: built once for a model, GPU and version, then read back.

A plan is executable input, so only plans of our own folder are ever deserialised: mode 0700, owned by
this user. Each file starts with what it was built from and its checksum. Standard library only; what
builds and loads a plan is given by the caller.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from idrn_trt.engines._cache import cache_folder
from idrn_trt.errors import DeviceError, SinkError
from idrn_trt.files import replacing

T = TypeVar("T")

# Raise it when the same key would now make another plan: ends, flags that are always set, this layout.
FORMAT_VERSION = 1

_MAGIC = b"idrn_trt plan\n"
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU and driver a plan is built for; engines/_cuda.py says what is here.

    driver: the newest CUDA the driver knows, as cuDriverGetVersion puts it (13000 is 13.0).
    cuda_major: of the CUDA that the runtime was built with.
    """

    name: str
    compute_capability: tuple[int, int]
    driver: int
    cuda_major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """All that a plan depends on.

    profiles: (height and width in pixels, batch) in their order in the plan; of a plan for sizes in a range
    its minimum, optimum and maximum shape. tensorrt: the full version. flags: by name, as TensorRT gives
    them other numbers in every major version.
    """

    onnx_sha256: str
    precision: str
    profiles: tuple[tuple[int, ...], ...]
    tensorrt: str
    gpu: Gpu
    level: int
    workspace_mib: int | None
    flags: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The key and our format version as JSON has them."""
        facts = {"format": FORMAT_VERSION, **dataclasses.asdict(self)}
        made: dict[str, Any] = json.loads(json.dumps(facts))
        return made

    def file_name(self) -> str:
        """Of the plan's file: the same whatever releases of TensorRT, driver and this format there are.

        So a plan that an update has made stale is found, its replacement explained, and it is replaced.
        """
        facts = self.facts()
        for stale in ("format", "tensorrt"):
            del facts[stale]
        for stale in ("driver", "cuda_major"):
            del facts["gpu"][stale]
        text = json.dumps(facts, sort_keys=True)
        return f"{self.precision}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.plan"


def open_plan(
    key: PlanKey,
    build: Callable[[], bytes],
    load: Callable[[bytes], T | None],
    *,
    say: Callable[[str], None] | None = None,
) -> tuple[T, list[str]]:
    """(what `load` made of the plan, notes): the plan is read from the user's cache, else built and kept.

    load: deserialises; None when TensorRT refuses the plan, which is then built once more. say: told at
    once why something is built or waited for; the notes hold the same sentences and are empty for a plan
    that was there. Of several processes that want the same plan one builds it and the others wait.
    Raises what `build` raises, and DeviceError when a plan just built does not load.
    """
    notes = _Notes(say)
    folder = cache_folder("plans")
    if folder is None:
        notes.add("the TensorRT plan is built and not kept: no cache folder of one's own")
        return _load_new(build(), load), notes.texts
    folder.chmod(0o700)
    path = folder / key.file_name()
    try:
        return _read(path, key, load), notes.texts
    except _Unfit:
        pass  # the reason is taken when no other process can be changing it
    with _locked(path.with_suffix(".lock"), notes):
        try:
            return _read(path, key, load), notes.texts
        except _Unfit as unfit:
            notes.add(f"the TensorRT plan is built: {unfit}")
        plan = build()
        loaded = _load_new(plan, load)
        _keep(path, key, plan, notes)
    return loaded, notes.texts


class _Notes:
    def __init__(self, say: Callable[[str], None] | None) -> None:
        self.texts: list[str] = []
        self._say = say

    def add(self, text: str) -> None:
        self.texts.append(text)
        if self._say is not None:
            self._say(text)


def _load_new(plan: bytes, load: Callable[[bytes], T | None]) -> T:
    loaded = load(plan)
    if loaded is None:
        raise DeviceError(
            "TensorRT refuses the plan that it has just built. Expected the same release and GPU for "
            "building and running: see that only one TensorRT is installed"
        )
    return loaded


class _Unfit(Exception):
    """Why the plan in the cache is not used."""


def _read(path: Path, key: PlanKey, load: Callable[[bytes], T | None]) -> T:
    """What `load` made of the plan in the file. Raises _Unfit."""
    loaded = load(_verified(path, key))
    if loaded is None:
        raise _Unfit("TensorRT refuses the one in the cache")
    return loaded


def _verified(path: Path, key: PlanKey) -> bytes:
    """The plan in a file, whole and made from this key. Raises _Unfit."""
    try:
        # The folder is ours alone, but a link in it would lead out of it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            magic = file.readline(len(_MAGIC))
            header = json.loads(file.readline(_LONGEST_HEADER)) if magic == _MAGIC else {}
            plan = file.read()
        kept, digest = header["key"], header["sha256"]
        difference = _difference(kept, key.facts())
    except FileNotFoundError:
        raise _Unfit("there is none yet for this model, GPU and choice of options") from None
    except OSError as error:
        raise _Unfit(f"the one in the cache cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _Unfit("the one in the cache is damaged") from None
    if difference:
        raise _Unfit(f"the one in the cache is for {difference}")
    if hashlib.sha256(plan).hexdigest() != digest:
        raise _Unfit("the one in the cache is damaged or truncated")
    return plan


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed since the plan was built, in words; "" for nothing."""
    if old == new:
        return ""
    old, new = ({**facts, **facts["gpu"]} for facts in (old, new))
    words = {
        "tensorrt": "TensorRT {}",
        "driver": "a driver for CUDA {}",
        "cuda_major": "CUDA {}",
        "format": "plan format {}",
    }
    changed = [
        f"{text.format(old.get(name))}, this is {new[name]}"
        for name, text in words.items()
        if old.get(name) != new[name]
    ]
    return " and ".join(changed) or "something else"


@contextlib.contextmanager
def _locked(path: Path, notes: _Notes) -> Iterator[None]:
    """One process at a time; others wait. The lock ends with its process, however that ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # a full disk: at worst two processes build
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notes.add("another process builds this TensorRT plan: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keep(path: Path, key: PlanKey, plan: bytes, notes: _Notes) -> None:
    header = json.dumps({"key": key.facts(), "sha256": hashlib.sha256(plan).hexdigest()})
    try:
        with replacing(path, "TensorRT plan") as part, part.open("wb") as file:
            file.writelines([_MAGIC, header.encode(), b"\n", plan])
            file.flush()
            os.fsync(file.fileno())
    except SinkError as error:
        notes.add(f"the TensorRT plan is built again next time: {error}")
