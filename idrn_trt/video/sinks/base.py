"""What a sink of results is: the seam between a stream and whatever shows or keeps them."""

from __future__ import annotations

from typing import Protocol

from idrn_trt.types import StreamResult


class Enough(Exception):
    """Raised by a sink that wants no more, such as a window that was closed."""


class Lost(Exception):
    """Raised by a sink that could not write this result, and goes on with the next."""


class Sink(Protocol):
    """Where results go. One thread writes and closes."""

    @property
    def name(self) -> str:
        """What it is called in logs and reports: without credentials."""
        ...

    @property
    def pictures(self) -> bool:
        """Whether it needs the results' pictures; composing them takes time."""
        ...

    @property
    def source(self) -> int | None:
        """The only source whose results it takes, from 0; None for all."""
        ...

    def write(self, result: StreamResult) -> None:
        """Take one result.

        Raises SinkError, which ends the stream with it, Enough, which just ends it, or Lost.
        """
        ...

    def close(self) -> None:
        """Finish what was written; called once, at the end, also after `write` has raised.

        Raises SinkError.
        """
        ...
