"""docs/paper.md says what the code computes, and every place in the code it names exists."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from idrn_trt.toolchain.net import NetConfig, cost

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "paper.md"
SCRIPT = ROOT / "benchmarks" / "networks.py"


@pytest.fixture(scope="module")
def networks() -> ModuleType:
    """benchmarks/networks.py as a module."""
    spec = importlib.util.spec_from_file_location("networks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["networks"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(networks: ModuleType) -> list[Any]:
    """The computed table."""
    return networks.rows()


def test_the_table_in_the_document_is_computed(networks: ModuleType, rows: list[Any]) -> None:
    """The table between the markers is what the code computes today, to the character."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert networks.replaced(text, networks.markdown(rows)) == text
    assert "| Table 2, width 192 | d8-w192-x4 |" in text


def test_figures_quoted_in_the_document(networks: ModuleType, rows: list[Any]) -> None:
    """The figures that the prose under the table draws from it are computed too."""
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    peak = networks.PEAK_TFLOPS
    ms = {row.place: row.paper_ms for row in rows}
    gmac = {row.place: row.gmac for row in rows}
    summed = {row.place: row.gmac_sum for row in rows}
    w64, w128, w192 = ("Table 2, width 64", "Table 2, width 128", "Table 2, width 192")
    d12, d16 = ("Table 1, depth 12", "Table 1, depth 16")

    def step(work: dict[str, float], a: str, b: str) -> float:
        """TFLOP/s at which `b` does what it has more to do than `a`."""
        return 2 * (work[b] - work[a]) / (ms[b] - ms[a])

    direct = {}
    for place, width in ((w64, 64), (w128, 128), (w192, 192)):
        saved = 8 * 9 * width**2 * 32**2
        direct[place] = (cost(NetConfig.parse(f"d8-w{width}-x4-fast")).macs - saved) / 1e9

    def share(value: float) -> str:
        return f"{100 * value / peak:.0f} %"

    def times(value: float, digits: int = 1) -> str:
        return f"{value / peak:.{digits}f}"

    phrases = [f"the {peak:.2f} TFLOP/s that a GTX 1060"]
    rates = [2 * work[w192] / ms[w192] for work in (gmac, summed)]
    phrases += [f"d8-w192 in {ms[w192]} ms means {gmac[w192]:.1f} GMAC at {share(rates[0])} of"]
    phrases += [f"the card's peak ({share(rates[1])} with a sum)"]
    up, wide = step(gmac, w64, w128), step(gmac, w128, w192)
    phrases += [f"Width 128 to 192 adds {gmac[w192] - gmac[w128]:.2f} GMAC"]
    phrases += [f"{ms[w192] - ms[w128]:.2f} ms: {wide:.2f} TFLOP/s, {times(wide)} times the peak"]
    phrases += [f"Width 64 to 128 adds {gmac[w128] - gmac[w64]:.2f} GMAC"]
    phrases += [f"{ms[w128] - ms[w64]:.2f} ms, {times(up)} times the peak"]
    up, wide = step(summed, w64, w128), step(summed, w128, w192)
    phrases += [f"({times(wide)} and {times(up, 2)} times)"]
    phrases += [f"({share(step(direct, w64, w128))} and {share(step(direct, w128, w192))})"]
    phrases += [
        f"Depth 12 to 16 adds {gmac[d16] - gmac[d12]:.2f} GMAC in {ms[d16] - ms[d12]:.1f} ms"
    ]
    phrases += [f"({times(step(gmac, d12, d16), 2)} times the peak)"]
    for phrase in phrases:
        assert phrase in text


def test_the_script_prints_json(
    networks: ModuleType,
    rows: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --json the script prints the same rows."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--json"])
    networks.main()
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == [dataclasses.asdict(row) for row in rows]


def test_update_rewrites_only_the_table(networks: ModuleType, tmp_path: Path) -> None:
    """--update restores a table that was edited by hand, and touches nothing around it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    copy = tmp_path / "paper.md"
    copy.write_text(text.replace("1,184,707", "1,184,708"), encoding="utf-8")
    networks.update(copy)
    assert copy.read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["paper.md"]


def test_a_document_without_markers_is_refused(networks: ModuleType) -> None:
    """Without a place for the table nothing is guessed."""
    with pytest.raises(ValueError, match="no place for the table"):
        networks.replaced("# A document\n", "| table |\n")


def names(path: Path) -> set[str]:
    """Classes, functions, methods and assigned names of a Python file, dotted."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (member for member in node.body if isinstance(member, ast.FunctionDef))
            found.update(f"{node.name}.{member.name}" for member in inner)
        if isinstance(node, ast.Assign):
            found.update(t.id for t in node.targets if isinstance(t, ast.Name))
    return found


def references() -> list[tuple[str, str]]:
    """(file, name) of every `file.py:name` in the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"`((?:\w+/)*\w+\.py):([\w.]+)`", text)))


@pytest.mark.parametrize(("file", "name"), references())
def test_places_in_the_code_exist(file: str, name: str) -> None:
    """A file and name given in the document are in the code."""
    path = next((p for p in (ROOT / "idrn_trt" / file, ROOT / file) if p.is_file()), None)
    assert path is not None, f"no file {file}"
    assert name in names(path)
