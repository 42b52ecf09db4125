"""The user's cache folder: $XDG_CACHE_HOME/idrn_trt, else ~/.cache/idrn_trt. Standard library only."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def cache_folder(*parts: str) -> Path | None:
    """A folder below the cache, made with mode 0700; None where there can be none of our own.

    What lies there is loaded again later, so a folder that another user could write to is not used.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # The specification has relative values ignored.
        base = Path(root) if Path(root).is_absolute() else Path.home() / ".cache"
        folder = base / "idrn_trt"
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in ("", *parts):
            folder /= part
            folder.mkdir(exist_ok=True, mode=0o700)
            if not _ours(folder):
                return None
    except (OSError, RuntimeError):  # read-only, not a folder, no home
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _ours(folder: Path) -> bool:
    status = folder.stat()
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    return not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
