"""Every experiment runs for real on small pictures, writes what it is asked for, and shares its runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fig5
import fig6
import fig7
import fig8
import pytest
import table1
import table2
import table3

from idrn_trt.images import read_image

TABLE_3 = ["--scales", "2", "--networks", "srcnn,d1-w8", "--seeds", "0,1,2"]

Command = Callable[[list[str] | None], int]


@pytest.fixture(scope="module", name="out")
def _out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs that the experiments below share."""
    return tmp_path_factory.mktemp("runs")


def document(command: Command, arguments: list[str], folder: Path) -> dict[str, Any]:
    """The JSON of one experiment, with its Markdown and plot beside it."""
    target = folder / "result.json"
    files = ["--json", str(target), "--markdown", str(folder / "result.md")]
    assert command([*arguments, *files, "--plot", str(folder / "result.png")]) == 0
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


def times(out: Path) -> dict[str, int]:
    """When each file of weights was written."""
    return {str(p): p.stat().st_mtime_ns for p in out.rglob("*.safetensors")}


def test_methods_are_trained_measured_and_reported(
    common: list[str], out: Path, tmp_path: Path
) -> None:
    """Table 3 at one scale: bicubic and two networks, three seeds each, the paper's figures beside them."""
    arguments = [*common, *TABLE_3, "--out", str(out)]
    found = document(table3.run, arguments, tmp_path)
    assert [row["label"] for row in found["rows"]] == ["bicubic", "SRCNN", "IDRN d1-w8"]
    idrn = found["rows"][2]
    assert idrn["paper"]["psnr_y_db"] == 39.64
    assert idrn["steps"] == 2
    assert [run["seed"] for run in idrn["runs"]] == [0, 1, 2]
    values = [run["groups"]["all"]["psnr_y_db"] for run in idrn["runs"]]
    assert len(set(values)) == 3
    assert idrn["mean"]["all"]["psnr_y_db"] == pytest.approx(sum(values) / 3, abs=1e-3)
    assert idrn["spread"]["all"]["psnr_y_db"] == pytest.approx(max(values) - min(values), abs=1e-3)
    assert set(idrn["mean"]) == {"all", "portrait", "other"}
    assert found["data"]["scales"]["2"]["trained_on"] == 12
    assert any(line.startswith("budget: 2 steps") for line in found["differs"])
    assert any("beside the figures of the paper's d16-w128" in line for line in found["differs"])
    markdown = (tmp_path / "result.md").read_text(encoding="utf-8")
    assert "| x2 | IDRN d1-w8 | d1-w8-x2 |" in markdown
    assert read_image(tmp_path / "result.png").shape[1] > 500


def test_nothing_of_this_machine_is_named(
    common: list[str], out: Path, tmp_path: Path, pictures: Path
) -> None:
    """Neither the folders of the pictures nor that of the runs is in what is written."""
    document(table3.run, [*common, *TABLE_3, "--out", str(out)], tmp_path)
    for name in ("result.json", "result.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "folder:train" in text
        for folder in (pictures, out, tmp_path, Path.cwd()):
            assert str(folder) not in text


def test_a_finished_run_is_not_trained_again(common: list[str], out: Path, tmp_path: Path) -> None:
    """Repeating an experiment writes no weights and gives the same figures."""
    arguments = [*common, *TABLE_3, "--out", str(out)]
    first = document(table3.run, arguments, tmp_path)
    before = times(out)
    again = document(table3.run, arguments, tmp_path)
    assert times(out) == before
    assert again["rows"] == first["rows"]


def test_depth_curves_come_from_the_runs_of_the_table(
    common: list[str], out: Path, tmp_path: Path
) -> None:
    """Fig. 7 trains nothing that Table 1 has trained, and has a point of every step here."""
    arguments = [*common, "--depths", "1,2", "--width", "8", "--seeds", "0", "--out", str(out)]
    table = document(table1.run, arguments, tmp_path)
    before = times(out)
    curves = document(fig7.run, arguments, tmp_path)
    assert times(out) == before
    assert [row["runs"] for row in curves["rows"]] == [row["runs"] for row in table["rows"]]
    curve = curves["rows"][0]["runs"][0]["curve"]
    assert [point["step"] for point in curve] == [1, 2]
    assert [(c["a"], c["b"]) for c in curves["comparisons"]] == [("depth 2", "depth 1")]


def test_widths(common: list[str], out: Path, tmp_path: Path) -> None:
    """Table 2 has the paper's figures beside the widths that it has them for."""
    arguments = [*common, "--widths", "8,64", "--depth", "1", "--seeds", "0", "--out", str(out)]
    rows = document(table2.run, arguments, tmp_path)["rows"]
    assert rows[0]["parameters"] < rows[1]["parameters"]
    assert ["paper" in row for row in rows] == [False, True]


def test_learning_rate_schemes(common: list[str], out: Path, tmp_path: Path) -> None:
    """Fig. 5 runs three schemes under both readings of the loss, and asks whether Adam is above."""
    arguments = [*common, "--network", "d1-w8-x2", "--seeds", "0", "--out", str(out)]
    found = document(fig5.run, arguments, tmp_path)
    assert len(found["rows"]) == 6
    assert {row["changes"]["reduction"] for row in found["rows"]} == {"mean", "sum"}
    recipes = [row["recipe"] for row in found["rows"]]
    assert recipes == ["paper-sgd", "paper-sgd-step", "paper"] * 2
    assert {c["a"] for c in found["comparisons"]} == {"Adam, mean", "Adam, sum"}


def test_batch_normalisation(common: list[str], out: Path, tmp_path: Path) -> None:
    """Fig. 6 trains one network in two kinds for equally many steps."""
    arguments = [*common, "--network", "d1-w8-x2", "--seeds", "0", "--out", str(out)]
    rows = document(fig6.run, arguments, tmp_path)["rows"]
    assert [row["network"] for row in rows] == ["d1-w8-x2", "d1-w8-x2-bn"]
    assert rows[0]["steps"] == rows[1]["steps"] == 2


def test_three_faces_in_one_picture(common: list[str], out: Path, tmp_path: Path) -> None:
    """Fig. 8 shows three test faces by every method, from weights that are trained once."""
    arguments = [*common, "--networks", "srcnn,d1-w8", "--seeds", "1,0", "--out", str(out)]
    found = document(fig8.run, arguments, tmp_path)
    assert found["seeds"] == [1]
    assert len({face["name"] for face in found["faces"]}) == 3
    assert list(found["faces"][0]["figures"]) == ["bicubic", "SRCNN", "IDRN d1-w8"]
    height, width, _ = read_image(tmp_path / "result.png").shape
    assert width >= 5 * 128  # LR, three methods, truth
    assert height >= 3 * 128
    assert found["faces"][0]["name"] in (tmp_path / "result.md").read_text(encoding="utf-8")


def test_a_mistake_is_one_line(
    common: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that does not exist is told without a traceback."""
    assert fig6.run([*common, "--network", "d1", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("network name 'd1' not understood")
    assert error.count("\n") == 1


def test_other_pictures_are_refused_in_the_folder_of_a_run(
    common: list[str], tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run on other pictures is neither taken for this one nor overwritten."""
    arguments = [*common, "--network", "d1-w8-x2", "--seeds", "0", "--out", str(tmp_path)]
    assert fig6.run(arguments) == 0
    before = times(tmp_path)
    swapped = [f"folder:{pictures / 'test'}" if a.endswith("train") else a for a in arguments]
    swapped[3] = f"folder:{pictures / 'train'}"
    assert fig6.run(swapped) == 1
    assert "made by another recipe" in capsys.readouterr().err
    assert times(tmp_path) == before


def test_the_script_is_a_command() -> None:
    """A script run by its path finds the others and shows its help."""
    done = subprocess.run(
        [sys.executable, table3.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert "--scales" in done.stdout
