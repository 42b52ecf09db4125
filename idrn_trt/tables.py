"""Plain text tables for people. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NUMBER = frozenset("0123456789+-.,%")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows under their heads in aligned columns; a column of numbers is set right.

    A column counts as numbers when its cells are made of digits, signs, points and per cent signs only.
    """
    cells = [[str(cell) for cell in row] for row in rows]
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
