"""Addresses without what must not be read in a log. Standard library only."""

from __future__ import annotations

import re

# Cameras take passwords before the host, and in the path or query as well.
_USER = re.compile(r"(\w+://)[^\s'\"]*@")
_NAMED = re.compile(
    r"(?i)(?<![a-z])((?:user(?:name)?|pass(?:word|wd)?|pwd|token|auth|api[_-]?key|key|secret|sig(?:nature)?)=)"
    r"[^&;/\s'\"]*?(?=_[a-z]+=|[&;/\s'\"]|$)"
)


def redacted(text: str) -> str:
    """The text, an address or a message that holds one, with users and passwords replaced by ***."""
    return _NAMED.sub(r"\1***", _USER.sub(r"\1***@", text))
