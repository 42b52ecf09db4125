"""A folder of faces: each one's best shot, as it was seen and as it was made, and a list of them."""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from idrn_trt.errors import OptionError, SinkError, reason_of
from idrn_trt.files import write_text
from idrn_trt.images import write_image
from idrn_trt.types import StreamResult, TrackedFace

LIST = "faces.jsonl"
# A track that has not been seen for so long is over.
LOST_S = 1.0
# Faces may grow too old while no new one comes.
_LOOK_S = 60.0
# The list is written anew once so many of its lines are of faces that are gone.
_MOST_STALE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """What is kept: so many faces, for so many days, in so many megabytes; None for no limit.

    Raises OptionError.
    """

    count: int | None = None
    days: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        for name in ("count", "days", "megabytes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(
                    f"faces to keep: {name} must be above 0 and finite, got {value!r}"
                )

    @property
    def limited(self) -> bool:
        """Whether anything is ever removed."""
        return not self.count is self.days is self.megabytes is None


@dataclass(slots=True)
class _Shot:
    """The best picture of a track since it was last kept."""

    result: StreamResult
    face: TrackedFace
    begin_s: float
    seen_s: float


class FacesFolder:
    """Keeps each track's best shot by sharpness and size: NAME.lr.png, NAME.sr.png and a line of faces.jsonl.

    A shot is written when its track is over, and every every_s seconds of one that stays; with 0, every
    frame's faces are. keep: older ones are removed; what an earlier run left there counts too. A stream
    that carries detail (StreamOptions) is refused. Raises SinkError when the folder cannot be made or read.
    """

    name = "faces folder"
    takes_carried = False
    pictures = False
    source = None

    def __init__(
        self, folder: Path, *, every_s: float = 10.0, keep: Retention | None = None
    ) -> None:
        if not every_s >= 0:
            raise OptionError(f"faces are kept every 0 seconds or more, got {every_s!r}")
        self._folder = folder
        self._every_s = every_s
        self._keep = keep or Retention()
        self._shots: dict[tuple[int, int], _Shot] = {}
        self._kept: deque[dict[str, Any]] = deque()
        self._bytes = 0
        self._stale = 0
        self._looked_s = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._keep.limited:
                self._load()
        except OSError as error:
            raise SinkError(f"cannot use folder {str(folder)!r}: {reason_of(error)}") from error

    def write(self, result: StreamResult) -> None:
        """See Sink."""
        for face in result.faces:
            self._consider(result, face)
        for key, shot in list(self._shots.items()):
            over = result.captured_s - shot.seen_s > LOST_S
            if over or shot.seen_s - shot.begin_s >= self._every_s:
                del self._shots[key]
                self._write(shot)
        if result.captured_s - self._looked_s > _LOOK_S:
            self._looked_s = result.captured_s
            with self._failing():
                self._remove_old()

    def close(self) -> None:
        """See Sink: writes the shots of the tracks that are not over yet."""
        for shot in self._shots.values():
            self._write(shot)
        self._shots.clear()

    def _consider(self, result: StreamResult, face: TrackedFace) -> None:
        key, now_s = (result.source, face.track), result.captured_s
        shot = self._shots.get(key)
        if shot is None:
            self._shots[key] = _Shot(result, face, now_s, now_s)
            return
        shot.seen_s = now_s
        if _quality(face) > _quality(shot.face):
            shot.result, shot.face = result, face

    def _write(self, shot: _Shot) -> None:
        result, face = shot.result, shot.face
        moment = datetime.fromtimestamp(result.captured_s, timezone.utc)
        stem = f"{moment:%Y%m%dT%H%M%S.%f}Z-s{result.source}-t{face.track}"
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "source": result.source,
            "name": result.name,
            "track": face.track,
            "frame": result.number,
            "box": [round(v, 2) for v in (face.box.x, face.box.y, face.box.w, face.box.h)],
            "score": round(face.score, 4),
            "sharpness": round(face.sharpness, 1),
            "lr": f"{stem}.lr.png",
            "sr": f"{stem}.sr.png",
        }
        try:
            write_image(self._folder / entry["lr"], face.lr)
            write_image(self._folder / entry["sr"], face.sr)
            with self._failing():
                _append(self._folder / LIST, json.dumps(entry))
        except SinkError:
            with suppress(OSError):
                self._remove(entry)  # what the list does not name would never be removed
            raise
        with self._failing():
            if self._keep.limited:
                self._add(entry)
                self._remove_old()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkError(
                f"cannot write to folder {str(self._folder)!r}: {reason_of(error)}"
            ) from error

    def _load(self) -> None:
        """What an earlier run has listed and is still there. A line that was cut off is passed over."""
        path = self._folder / LIST
        if not path.is_file():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = _entry(line)
            if entry is not None and any(file.is_file() for file in self._files(entry)):
                self._add(entry)
            else:
                self._stale += 1

    def _add(self, entry: dict[str, Any]) -> None:
        self._kept.append(entry)
        self._bytes += self._size(entry)

    def _size(self, entry: dict[str, Any]) -> int:
        return sum(path.stat().st_size for path in self._files(entry) if path.is_file())

    def _files(self, entry: dict[str, Any]) -> list[Path]:
        """A face's files; whatever the list says, they are in the folder."""
        return [self._folder / Path(entry[kind]).name for kind in ("lr", "sr")]

    def _remove(self, entry: dict[str, Any]) -> None:
        for path in self._files(entry):
            path.unlink(missing_ok=True)

    def _remove_old(self) -> None:
        while self._kept and self._too_much():
            entry = self._kept.popleft()
            self._bytes -= self._size(entry)
            self._remove(entry)
            self._stale += 1
        if self._stale > max(_MOST_STALE, len(self._kept)):
            lines = "".join(json.dumps(entry) + "\n" for entry in self._kept)
            write_text(self._folder / LIST, lines)
            self._stale = 0

    def _too_much(self) -> bool:
        keep = self._keep
        if keep.count is not None and len(self._kept) > keep.count:
            return True
        if keep.megabytes is not None and self._bytes > keep.megabytes * 1e6:
            return True
        if keep.days is None:
            return False
        return time.time() - _moment(self._kept[0]).timestamp() > keep.days * 86_400


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the list; None for one that is damaged."""
    try:
        entry = json.loads(line)
        _moment(entry)
        usable = all(isinstance(entry[kind], str) and entry[kind] for kind in ("lr", "sr"))
    except (ValueError, TypeError, KeyError):
        return None
    return entry if usable else None


def _append(path: Path, line: str) -> None:
    """Add a line, in a line of its own also after one that was cut off."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read() == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())


def _moment(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(entry["time"]).replace("Z", "+00:00"))


def _quality(face: TrackedFace) -> float:
    return face.sharpness * face.box.w * face.box.h
