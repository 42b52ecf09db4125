"""Text files written all at once. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from idrn_trt.errors import SinkError


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` through a temporary file and a rename.

    Missing folders are made. Raises SinkError; an older file then stays as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise SinkError(f"cannot write {str(path)!r}: {reason}") from error
