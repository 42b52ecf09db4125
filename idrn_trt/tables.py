"""Plain text tables for people. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NUMBER = frozenset("0123456789+-.,%")


def printable(text: str) -> str:
    """The text with escapes for what would break a line, steer a terminal or is no text at all.

    File names may hold any of that: newlines, escape sequences, bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows under their heads in aligned columns; a column of numbers is set right.

    A column counts as numbers when its cells are made of digits, signs, points and per cent signs only.
    What is not `printable` in a cell is written as an escape.
    """
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    columns = list(zip(head, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_NUMBER.issuperset(cell) for cell in column[1:]) for column in columns]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(w) if r else cell.ljust(w)
            for cell, w, r in zip(row, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(head), line(["-" * w for w in widths]), *map(line, cells)])
