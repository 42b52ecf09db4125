"""Plain text tables for people. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows under their heads in aligned columns; a column of numbers is set right.

    A column counts as numbers when each of its cells but "-" starts with a digit or a sign.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(head, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(c[:1] in "0123456789+-" for c in column[1:]) for column in columns]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(w) if r else cell.ljust(w)
            for cell, w, r in zip(row, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(head), line(["-" * w for w in widths]), *map(line, cells)])
