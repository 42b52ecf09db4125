"""`idrn-trt data check`: the report, the contact sheet, and what bad input gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from idrn_trt.cli import main


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Twelve crops, one of them twice, a small one and a broken one."""
    root = tmp_path / "crops"
    root.mkdir()
    for k in range(12):
        Image.fromarray(draw(k, 70 + k, 80)).save(root / f"{k:02}.png")
    Image.fromarray(draw(3, 73, 80)).save(root / "again.jpg", quality=80)
    Image.fromarray(draw(50, 30, 80)).save(root / "small.png")
    (root / "broken.png").write_bytes(b"\x89PNG no more")
    return root


def test_the_report_counts_and_the_sheet_shows(
    crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Crops, sizes, repeats, what was left out and the split are printed; the sheet has the crops."""
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", f"folder:{crops}", "--smallest", "64", "--sheet", str(sheet),
                 "--test-count", "4"]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "13 crops in 13 groups" in out
    assert "1 crops look like an earlier one" in out
    assert "left out: 1 faces under 64 px: small.png" in out
    assert "left out: 1 unreadable pictures: broken.png" in out
    assert "4 to test on" in out
    with Image.open(sheet) as image:
        assert image.size == (12 * 100 + 4, 2 * 100 + 4)
        assert np.ptp(np.asarray(image)) > 200


@pytest.mark.parametrize(
    ("spec", "sheet", "code"),
    [("zip:x", "s.png", 2), ("folder:missing", "s.png", 2), ("fddb:.", "s.png", 1),
     ("aflw:.", "s.png", 1), ("folder:.", "s.png", 1), ("folder:.", "s.doc", 2)],
)  # fmt: skip
def test_bad_input_is_one_line(
    spec: str, sheet: str, code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Unknown kinds, missing folders, other data sets, no face and endings end in one line and a code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aflw.sqlite").touch()
    assert main(["data", "check", spec, "--sheet", sheet]) == code
    errors = capsys.readouterr().err
    assert errors.startswith("idrn-trt: ")
    assert errors.count("\n") == 1
    assert not list(tmp_path.glob("s.*"))
