"""What a fuzz target is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """Something that is fed anything.

    cases: the strategy that makes its cases, bytes or plain values. check: True when a case was taken, False
    when it was refused by an error that is meant for it; it raises whatever else happens, AssertionError for
    a broken promise. examples: so many in the test suite.
    """

    name: str
    cases: Callable[[], SearchStrategy[Any]]
    check: Callable[[Any], bool]
    examples: int


def check_one_line(error: Exception) -> None:
    """A refusal says something, in one line."""
    text = str(error)
    assert text, type(error)
    assert len(text.splitlines()) == 1, text
