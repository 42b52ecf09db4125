"""RESULTS.md and the README's table are what the recorded reports say."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from idrn_trt.bench.document import dumps
from idrn_trt.bench.measure import Samples
from idrn_trt.errors import SourceError

ROOT = Path(__file__).parents[2]

Make = Callable[..., dict[str, Any]]


@pytest.fixture(name="tree")
def _tree(tmp_path: Path, make_report: Make) -> Path:
    """A repository's documents with one recorded report and one file that is none."""
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    report = make_report([[5.0, 6.0]] * 4)
    report["conditions"] |= {
        "warmup": 3, "duration_s": 20, "leading": 90.0, "percentiles": [50.0, 90.0, 99.0],
    }  # fmt: skip
    report["machine"] = {"model": "a processor", "instruction_sets": ["avx2"]}
    report["harness_overhead_us"] = 0.1
    report["control"] |= {"spread": 0.01}
    report["rows"][0] |= {
        "figures": {"p50_ms": 5.5, "p90_ms": 6.0, "p99_ms": 6.0, "max_ms": 6.0, "outliers": 0,
                    "calls": 8}, "images_per_s": 181.8,
    }  # fmt: skip
    (folder / "cpu.json").write_text(dumps(report), encoding="utf-8")
    (folder / "detection.json").write_text('{"times": {}}', encoding="utf-8")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    return tmp_path


def test_the_documents_are_up_to_date(tables: ModuleType) -> None:
    """The committed RESULTS.md and README differ in nothing from what the script would write."""
    assert tables.main(["--check"]) == 0


def test_drift_is_found_and_repaired(
    tables: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing or edited document fails the check; writing makes it pass; only the table changes."""
    assert tables.main(["--check"], tree) == 1
    assert not (tree / "benchmarks" / "RESULTS.md").exists()
    assert tables.main([], tree) == 0
    assert tables.main(["--check"], tree) == 0
    readme = (tree / "README.md").read_text(encoding="utf-8")
    assert "| m | openvino int8 | 5.50 | 6.00 | 182 |" in readme
    assert "## cpu\n" in (tree / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    (tree / "README.md").write_text(readme.replace("5.50", "4.50"), encoding="utf-8")
    assert tables.main(["--check"], tree) == 1
    assert "README.md is not what the reports say" in capsys.readouterr().out


def test_every_kind_has_its_section_and_damage_is_refused(tables: ModuleType, tree: Path) -> None:
    """A stream's and the detectors' figures are shown as recorded; a file without them is named."""
    folder = tree / "benchmarks" / "results"
    stream = {
        "kind": "idrn_trt stream report", "format": 1, "date": "2026-11-24", "threads": 2,
        "machine": {"model": "a processor"}, "versions": {"numpy": "2"}, "model": "m",
        "engine": "openvino int8", "detector": "cnn", "load_average": {"before": [0.1], "after": []},
        "rows": [
            {"what": "age", "figure": 71.5, "unit": "ms", "to_reach": 70, "parts": {"p50 ms": 30}},
            {"what": "lost", "figure": 0.5, "unit": "%", "to_reach": 1, "parts": {}},
        ],
    }  # fmt: skip
    (folder / "stream.json").write_text(json.dumps(stream), encoding="utf-8")
    detection = json.loads(
        (ROOT / "benchmarks" / "results" / "detection-targets.json").read_bytes()
    )
    detection["times_machine"] = {
        **detection["machine"],
        "date": "2001-02-03",
        "load_average": [4.5],
    }
    (folder / "detection-targets.json").write_text(json.dumps(detection), encoding="utf-8")
    assert tables.main([], tree) == 0
    text = (tree / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert "| age | 71.50 ms | <= 70 ms | no |" in text
    assert "- age: p50 ms 30\n" in text
    assert "- lost" not in text
    assert text.index("## stream\n") < text.index("## detection-targets\n")
    assert "| clips | cnn |" in text
    assert "2001-02-03, load average 4.5, with other weights)" in text
    assert "| cnn, the default |" in (tree / "README.md").read_text(encoding="utf-8")
    for damaged in ("{", "[]", '{"kind": "idrn_trt stream report", "format": 2}'):
        (folder / "stream.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(SourceError, match=r"stream\.json"):
            tables.main(["--check"], tree)


def test_a_gpu_report_shows_what_was_run_and_why_the_rest_was_not(
    tables: ModuleType, tree: Path
) -> None:
    """Checks, rows with and without a PSNR, the detector's, reasons, notes and commands, each once."""
    folder = tree / "benchmarks" / "results"
    times = {"p50_ms": 0.13, "p90_ms": 0.14, "p99_ms": 0.15}
    row = {
        "command": "python benchmarks/gpu.py", "by": "torch cuda graph", "network": "d8-w64-x4",
        "window_px": 32, "batch": 1, "precision": "fp16", "settings": "s", "psnr_fp32_db": 61.26,
    }  # fmt: skip
    unchecked = {**row, "batch": 16, "psnr_fp32_db": None, "notes": ["not checked"], **times}
    detector = {"command": "python benchmarks/gpu.py", "by": "detector tensorrt", "file": "fp16"}
    card = {"name": "a card", "driver_version": "1", "clocks.sm": "9 MHz", "clocks.max.sm": "9 MHz"}
    report = {
        "kind": "idrn_trt gpu report", "format": 1, "date": "2026-11-27",
        "machine": {"model": "a processor", "usable_cores": 4, "gpus": [card]},
        "versions": {"torch": "2"}, "notes": ["nothing else was run"],
        "checks": {
            "graph": {"command": "python benchmarks/gpu.py", "wrong": 0, "passed": True},
            "beside torch": {"command": "python benchmarks/gpu.py", "passed": None, "reason": "no torch"},
        },
        "reference": [
            {**row, **times}, unchecked, {**unchecked, "batch": 32},
            {"command": "python benchmarks/gpu.py", "by": "onnxruntime cuda", "reason": "no CUDA"},
        ],
        "detector": [
            {**detector, "height_width_px": [64, 96], "scores_apart": 0.0041, **times},
            {**detector, "reason": "no TensorRT"},
        ],
    }  # fmt: skip
    (folder / "gpu.json").write_text(json.dumps(report), encoding="utf-8")
    assert tables.main([], tree) == 0
    text = (tree / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert text.index("## cpu\n") < text.index("## gpu\n")
    assert "a card, driver 1, SM clock 9 MHz of 9 MHz; 4 cores of a processor, 2026-11-27" in text
    assert "| graph | wrong 0 | yes |" in text
    assert "| beside torch | reason no torch | not run |" in text
    reference = "| d8-w64-x4 | torch cuda graph | fp16 | 32 |"
    assert f"{reference} 1 | 61.3 | 0.130 | 0.140 | 0.150 |" in text
    assert f"{reference} 16 | - | 0.130 | 0.140 | 0.150 |" in text
    assert "| detector tensorrt | fp16 | 64x96 | 0.0041 | 0.130 | 0.140 | 0.150 |" in text
    assert text.endswith(
        "- `python benchmarks/gpu.py`: graph, beside torch, d8-w64-x4, detector tensorrt\n"
        "- torch cuda graph: not checked\n"
        "- onnxruntime cuda: no CUDA\n"
        "- detector tensorrt fp16: no TensorRT\n"
        "- nothing else was run\n"
    )
    for missing in ("machine", "versions", "date"):
        damaged = {key: value for key, value in report.items() if key != missing}
        (folder / "gpu.json").write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(SourceError, match=r"gpu\.json"):
            tables.main(["--check"], tree)


def test_a_gpu_report_of_one_part_has_no_empty_tables(tables: ModuleType, tree: Path) -> None:
    """Checks alone, on a machine whose cards nobody names."""
    report = {
        "kind": "idrn_trt gpu report", "format": 1, "date": "2026-11-27",
        "machine": {"model": "a processor", "usable_cores": 4, "gpus": []}, "versions": {"numpy": "2"},
        "checks": {"graph": {"command": "c", "wrong": 1, "passed": False}},
    }  # fmt: skip
    (tree / "benchmarks" / "results" / "gpu.json").write_text(json.dumps(report), encoding="utf-8")
    assert tables.main([], tree) == 0
    text = (tree / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    section = text.partition("## gpu\n")[2]
    assert "a card unnamed; 4 cores" in section
    assert section.count("\n| --- |") == 1
    assert "| graph | wrong 1 | no |" in section


def test_a_readme_without_a_place_is_refused(tables: ModuleType) -> None:
    """Without the markers nothing is guessed."""
    with pytest.raises(ValueError, match="no place for the table"):
        tables.with_table("# A document\n", "speed", "| table |\n")


@pytest.mark.usefixtures("tables")  # which finds the benchmarks' own modules
def test_a_ratio_is_that_of_each_round() -> None:
    """A machine that is slowed down by turns leaves it as it is: rounds are divided, not medians."""
    frames = importlib.import_module("pipeline_frames")
    slowed = np.random.default_rng(1).uniform(1, 3, (40, 1))
    # In 18 of the 40 rounds the plain side was disturbed: less than half, and yet its median moves.
    disturbed = np.where(np.arange(40)[:, None] < 18, 5.0, 1.0)
    plain, compose = (
        Samples.of(2.0 * slowed * disturbed * np.ones(4)),
        Samples.of(2.4 * slowed * np.ones(4)),
    )
    assert compose.p50 / plain.p50 < 1
    names = [frames.name_of(what, (480, 270)) for what in ("resize", "compose")]
    line = frames.compositing_row(dict(zip(names, (plain, compose), strict=True)), (480, 270))
    assert line["figure"] == 1.2
    crowd = {"0 faces": 1.0, "1 faces": 3.0, "20 faces": 39.0}
    taken = {name: Samples.of(slowed * ms * np.ones(4)) for name, ms in crowd.items()}
    line = frames.crowd_row(taken)
    assert (line["figure"], line["parts"]["rounds"]) == (0.95, 40)


@pytest.mark.usefixtures("tables")
def test_an_interval_wants_some_rounds() -> None:
    """It lies around the median, and of four rounds there is none."""
    ratios = importlib.import_module("pipeline_ratio")
    mixed = ratios.ratio_row("a over b", np.array([0.9, 1.0, 1.1] * 20), 1.15, b_ms=1.5)
    assert mixed["figure"] == 1.0
    assert mixed["parts"] == {"b ms": 1.5, "rounds": 60}
    assert 0.9 <= mixed["interval"][0] <= 1.0 <= mixed["interval"][1] <= 1.1
    with pytest.raises(SystemExit, match="4 rounds"):
        ratios.ratio_row("a over b", np.ones(4), 1.15)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("interval", "reached"),
    [([1.10, 1.14], "yes"), ([1.16, 1.20], "no"), ([1.13, 1.17], "not certain"), (None, "yes")],
)
def test_nothing_is_claimed_of_a_figure_within_its_interval(
    interval: list[float] | None, reached: str
) -> None:
    """Reached or not is said where the whole interval lies on one side of what was asked for."""
    report = importlib.import_module("pipeline_report")
    row = report.row("a over b", 1.1, "x", 1.15) | ({"interval": interval} if interval else {})
    (cells,) = report.cells({"rows": [row]})
    assert cells[2:] == ("<= 1.15 x", reached)
    assert ("1.13 to 1.17" in cells[1]) == (interval == [1.13, 1.17])
