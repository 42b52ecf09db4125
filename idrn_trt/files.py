"""Files written all at once. Standard library only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from idrn_trt.errors import SinkError, reason_of


def is_folder(path: Path | str) -> bool:
    """Whether there is a folder of that name; no error for a name that the system does not take."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for one that is too long)


def exists(path: Path | str) -> bool:
    """Whether there is anything of that name; likewise."""
    return os.path.exists(path)  # noqa: PTH110


# Bytes; most file systems allow 255 for the whole name.
_LONGEST_PART_STEM = 200


@contextlib.contextmanager
def replacing(path: Path, what: str) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well.

    Missing folders are made. An error of the system in the block is raised as SinkError, which says
    `what` could not be written ("picture", "model file"); however the block ends, an older file at
    `path` stays whole and nothing else is left.
    """
    if not path.name or "\0" in str(path):
        raise SinkError(f"cannot write {what} {str(path)!r}: expected the name of a file")
    # A name may be as long as the system allows; the temporary one must not be longer.
    stem = path.name if len(os.fsencode(path.name)) < _LONGEST_PART_STEM else path.name[:40]
    part = path.with_name(f".{stem}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        reason = reason_of(error)
        raise SinkError(f"cannot write {what} {str(path)!r}: {reason}") from error
    finally:
        # Not only FileNotFoundError: below a file that is no folder there is nothing to remove either.
        with contextlib.suppress(OSError):
            part.unlink()


def write_text(path: Path, text: str, what: str = "file") -> None:
    """Write `text` in UTF-8 to `path`, whole or not at all. Raises SinkError."""
    with replacing(path, what) as part:
        part.write_text(text, encoding="utf-8")
