"""The faults that docs/streaming.md tells of are those that tests try."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_fault_names_a_test_that_exists() -> None:
    """Each row of the table ends with a test's file and functions, and they are there."""
    text = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\|.*\|$", text.partition("| tried by |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert len(rows) > 15
    for row in rows[1:]:  # below the rule
        source = ""
        names = re.findall(r"`([\w/]+(?:\.py)?)`", row.split("|")[-2])
        for name in names:
            if name.endswith(".py"):
                path = ROOT / name if "/" in name else Path(__file__).with_name(name)
                source = path.read_text(encoding="utf-8")
            else:
                assert f"def {name}(" in source, name
        assert any(name.startswith("test_") and not name.endswith(".py") for name in names), row
