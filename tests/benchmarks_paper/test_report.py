"""A difference is claimed only where the figures carry it; RESULTS.md follows from the JSON."""

from __future__ import annotations

import copy
import json
import math
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import _report
import pytest
import table3

from idrn_trt.errors import SourceError

ROOT = Path(__file__).parents[2]
A, B = "SRCNN", "IDRN d1-w8"


@pytest.fixture(scope="module", name="recorded")
def _recorded(common: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a real experiment."""
    folder = tmp_path_factory.mktemp("recorded")
    arguments = ["--scales", "2", "--networks", "srcnn,d1-w8", "--out", str(folder / "runs")]
    assert table3.run([*common, *arguments, "--json", str(folder / "found.json")]) == 0
    return _report.read(folder / "found.json")


def with_psnr(document: dict[str, Any], **values: list[float | None]) -> dict[str, Any]:
    """The document with other PSNR-Y by seed; None is a run that diverged."""
    changed = copy.deepcopy(document)
    for row in changed["rows"]:
        given = values.get(row["label"].split()[0], [])
        for run, value in zip(row["runs"], given, strict=bool(given)):
            if value is None:
                run |= {"diverged": "diverged at step 1", "groups": {}}
            else:
                run["groups"]["all"]["psnr_y_db"] = value
    return changed


def verdict(document: dict[str, Any]) -> _report.Verdict:
    """The comparison of the two networks in PSNR-Y."""
    wanted = (B, A, "psnr_y_db")
    return next(v for v in _report.judged(document) if (v.a, v.b, v.metric) == wanted)


@pytest.mark.parametrize(
    ("differences", "sign", "reason"),
    [
        ([0.5, 0.6, 0.7], 1, ""),
        ([-0.5, -0.6, -0.7], -1, ""),
        ([0.5, -0.1, 0.7], 0, "the seeds disagree"),
        ([0.0, 0.0, 0.0], 0, "the seeds disagree"),
        ([0.1, 0.2, 0.9], 0, "not above the spread"),
        ([0.5, 0.6], 0, "2 seed(s), 3 are needed"),
        ([math.inf, math.inf, math.inf], 1, ""),
        ([math.inf, -0.1, 0.2], 0, "the seeds disagree"),
    ],
)
def test_a_claim_needs_seeds_that_agree(differences: list[float], sign: int, reason: str) -> None:
    """Three seeds of one sign, and a mean above the spread, or else nothing with the reason."""
    assert _report.claim(differences) == (sign, reason)


def test_a_difference_as_in_the_paper_is_said(recorded: dict[str, Any]) -> None:
    """Where all seeds have the paper's order, so says the text."""
    document = with_psnr(recorded, SRCNN=[30.0, 30.1, 30.2], IDRN=[31.0, 31.2, 31.1])
    assert (verdict(document).sign, verdict(document).contradicts) == (1, False)
    assert f"| {B} less {A} | PSNR-Y | +1.00, +1.10, +0.90 | +3.53 | above, as in the paper |" in (
        _report.markdown(document)
    )


def test_a_contradiction_is_said(recorded: dict[str, Any]) -> None:
    """Where all seeds have the opposite order, the text says so with both figures."""
    document = with_psnr(recorded, SRCNN=[31.0, 31.2, 31.1], IDRN=[30.0, 30.1, 30.2])
    line = (
        f"- Contradicts the paper at x2: {A} is above {B} in PSNR-Y; {B} less {A} is "
        "-1.00, -1.10, -0.90 dB here, and +3.53 dB there."
    )
    assert line in _report.markdown(document).splitlines()


def test_nothing_is_claimed_when_seeds_disagree(recorded: dict[str, Any]) -> None:
    """Neither agreement nor contradiction is made of seeds that differ in sign."""
    document = with_psnr(recorded, SRCNN=[31.0, 30.0, 31.1], IDRN=[30.0, 31.1, 30.2])
    text = _report.markdown(document)
    shown = [line for line in text.splitlines() if f"{B} less {A} | PSNR-Y" in line]
    assert [line.rpartition("| nothing: ")[2] for line in shown] == ["the seeds disagree |"]
    assert f"{A} is above {B} in PSNR-Y" not in text


def test_a_run_that_diverged_is_below_all(recorded: dict[str, Any]) -> None:
    """No figure is made up for it, and the other side of a comparison is above."""
    document = with_psnr(recorded, IDRN=[None, None, None])
    found = verdict(document)
    assert (found.sign, found.contradicts) == (-1, True)
    text = _report.markdown(document)
    assert "the first diverged, the first diverged, the first diverged" in text
    assert f"{B}, seed 1: diverged at step 1." in text


def test_the_plain_text_has_the_same_figures(recorded: dict[str, Any]) -> None:
    """What a terminal shows is the Markdown's table."""
    heads, cells = _report.main_table(recorded)
    text = _report.plain(recorded)
    assert all(word in text for word in (*heads, *(cell for row in cells for cell in row)))


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "another"}', '{"kind": 1, "format": 1}'])
def test_a_damaged_result_is_refused(text: str, tmp_path: Path) -> None:
    """Anything that is no experiment's JSON is one line."""
    path = tmp_path / "found.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=r"'found\.json' is no result of benchmarks/paper/"):
        _report.read(path)


def test_results_follow_from_the_json(
    tables: ModuleType, recorded: dict[str, Any], tmp_path: Path
) -> None:
    """RESULTS.md has a section for a recorded experiment, none without, and drift is found."""
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    results = folder.parent / "RESULTS.md"
    assert tables.main([], tmp_path) == 0
    assert "paper-table3" not in results.read_text(encoding="utf-8")
    (folder / "paper-table3.json").write_text(_report.dumps(recorded), encoding="utf-8")
    assert tables.main(["--check"], tmp_path) == 1
    assert tables.main([], tmp_path) == 0
    assert tables.main(["--check"], tmp_path) == 0
    text = results.read_text(encoding="utf-8")
    assert "## paper-table3\n" in text
    assert _report.markdown(recorded) in text
    assert json.loads((folder / "paper-table3.json").read_text(encoding="utf-8")) == recorded
