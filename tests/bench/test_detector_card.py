"""The face detector's card and results are of the very file that is shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import detector_card
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path("models") / "idrn-face-detector"
RESULTS = Path("benchmarks") / "results" / "detection-targets.json"


def test_the_card_is_up_to_date() -> None:
    """The committed card is what the script would write."""
    assert detector_card.main(["--check"]) == 0


def test_the_shipped_file_was_measured() -> None:
    """The results name the file by the sha256 that its manifest has."""
    manifest = json.loads((ROOT / FOLDER / "manifest.json").read_bytes())
    results = json.loads((ROOT / RESULTS).read_bytes())
    assert results["model_sha256"] == manifest["files"]["int8-cpu"]["sha256"]


def test_drift_is_found_and_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An altered card fails the check by name, and writing makes it pass again."""
    for file in (FOLDER / "manifest.json", RESULTS):
        (tmp_path / file).parent.mkdir(parents=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / FOLDER / "README.md").write_text("sees everything", encoding="utf-8")
    assert detector_card.main(["--check"], tmp_path) == 1
    assert "idrn-face-detector" in capsys.readouterr().out
    assert detector_card.main([], tmp_path) == 0
    assert detector_card.main(["--check"], tmp_path) == 0
