"""The models' cards say what was measured on the very files that are shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cards
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = Path("benchmarks") / "results" / "models.json"


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """The manifests, cards and results of this repository, without the models' files."""
    for path in (
        *ROOT.glob("models/*/manifest.json"),
        *ROOT.glob("models/*/README.md"),
        ROOT / RESULTS,
    ):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_the_cards_are_up_to_date() -> None:
    """No committed card differs from what the script would write."""
    assert cards.main(["--check"]) == 0


def test_every_shipped_file_was_measured() -> None:
    """The results name each model's files by the sha256 that its manifest has."""
    measured = json.loads((ROOT / RESULTS).read_bytes())["models"]
    manifests = cards.manifests(ROOT)
    assert measured.keys() == manifests.keys()
    for name, manifest in manifests.items():
        for kind, digest in measured[name]["sha256"].items():
            assert manifest["files"][kind]["sha256"] == digest


def test_drift_is_found_and_repaired(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An altered card fails the check by name, and writing makes it pass again."""
    card = tree / "models" / "idrn-d8-w64-x4" / "README.md"
    card.write_text("better than everything", encoding="utf-8")
    assert cards.main(["--check"], tree) == 1
    assert "idrn-d8-w64-x4" in capsys.readouterr().out
    assert cards.main([], tree) == 0
    assert cards.main(["--check"], tree) == 0
