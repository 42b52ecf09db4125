"""Plain text tables."""

from __future__ import annotations

from idrn_trt.tables import table


def test_columns_are_aligned() -> None:
    """Text is set left, numbers right, under heads as wide as their column."""
    text = table(("name", "ms"), [("a", "1.0"), ("longer", "12.5")])
    assert text.splitlines() == ["name      ms", "------  ----", "a        1.0", "longer  12.5"]


def test_no_rows() -> None:
    """A table without rows is its head."""
    assert table(("a", "b"), []).splitlines()[0] == "a  b"
