"""What people read is taken from the JSON, and says what must be said beside a number."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idrn_trt.bench.cases import Row
from idrn_trt.bench.entry import entry
from idrn_trt.bench.machine import Others
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.plot import plot
from idrn_trt.bench.report import (
    DEVICE_CLOCK,
    against_peers,
    headline,
    markdown,
    paper_table,
    text,
)

Make = Callable[..., dict[str, Any]]


def test_the_work_of_others_is_seen() -> None:
    """A second process that computes all the time shows as a core, this process's own work does not."""
    if Others().cores() is None:
        pytest.skip("this system does not tell how busy its cores are")
    code = "import time\nend = time.time() + 60\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as busy:
        others = Others()
        time.sleep(1)
        seen = others.cores()
        busy.kill()
    assert seen is not None
    assert seen > 0.2


@pytest.fixture(name="report")
def _report(make_report: Make) -> dict[str, Any]:
    """A report with an int8 and an fp32 row, a peer, and a marked row."""
    options = BenchOptions()
    peaks = {"int8": {"tmac_s": 0.5, "load": "gemm"}}
    quiet = [[5.0, 5.0, 5.2]] * 5
    rows = [
        row("openvino", "int8", quiet),
        row("openvino", "fp32", [[18.0 + k, 18.0] for k in range(6)]),
        row("torch eager", "fp32", [[20.0, 40.0]] * 5, peer=True, settings="channels-last"),
        row("onnxruntime", "fp16", [], reason="no fp16 file"),
    ]
    document = make_report([])
    document["conditions"] |= {
        "warmup": 3, "duration_s": 20, "leading": 90.0, "percentiles": [50.0, 90.0, 99.0], "fps": 30,
    }  # fmt: skip
    document["control"] = {"spread": 0.3, "blocks_ms": [[8.0]]}
    return {
        **document, "rows": [entry(r, options, peaks) for r in rows], "quiet": False,
        "harness_overhead_us": 0.1, "peak": peaks,
    }  # fmt: skip


def row(engine: str, precision: str, blocks: list[list[float]], **more: Any) -> Row:
    """A row of the paper's smallest network."""
    return Row(
        model="idrn-d8-w64-x4", engine=engine, precision=precision, network="d8-w64-x4", gmac=1.691,
        batch=1, blocks_ms=blocks, **more,
    )  # fmt: skip


def test_the_figures_of_a_row(report: dict[str, Any]) -> None:
    """Rate, share of the peak and ratio to the paper follow from the times by plain arithmetic."""
    int8 = report["rows"][0]
    assert int8["images_per_s"] == pytest.approx(1e3 / (15.2 / 3), abs=0.01)
    assert int8["gmac_s"] == pytest.approx(1.691 / 5e-3, abs=0.1)
    assert int8["peak_share"] == pytest.approx(338.2 / 500, abs=1e-4)
    assert (int8["paper_ms"], int8["paper_ratio"]) == (4.35, pytest.approx(5 / 4.35, abs=1e-4))
    assert "peak_share" not in report["rows"][1]


def test_no_ratio_to_the_paper_for_what_it_did_not_time() -> None:
    """Other windows and batches of the same network have no paper time beside them."""
    options = BenchOptions(window_px=48)
    assert "paper_ms" not in entry(row("openvino", "int8", [[5.0]]), options, {})
    four = row("openvino", "int8", [[5.0]])
    four.batch = 4
    assert "paper_ms" not in entry(four, BenchOptions(), {})


def test_the_text_says_what_the_numbers_do_not(report: dict[str, Any]) -> None:
    """A marked row's reason, a spread that is too wide, a noisy machine, a peer's settings: all there."""
    said = text(report)
    assert "idrn-d8-w64-x4 onnxruntime fp16: no fp16 file" in said
    assert "too wide for fine claims: idrn-d8-w64-x4 openvino fp32\n" in f"{said}\n"
    assert "NOT QUIET" in said
    assert "idrn-d8-w64-x4 torch eager fp32: channels-last" in said


def test_rows_stand_by_the_leading_percentile(report: dict[str, Any]) -> None:
    """p90 leads single-stream: the fastest by it is first."""
    lines = [line for line in text(report).splitlines() if line.startswith("idrn-d8")]
    assert ["int8" in lines[0], "openvino     fp32" in lines[1], "torch" in lines[2]] == [True] * 3


def test_the_headline_is_the_fastest_row(report: dict[str, Any]) -> None:
    """One ratio, of d8-w64 only."""
    assert headline(report) == (
        "d8-w64-x4: 5.00 ms (openvino int8) over the paper's 4.35 ms on its GeForce GTX 1060 6 GB: 1.15"
    )


def test_peers_are_set_against_our_fastest(report: dict[str, Any]) -> None:
    """The fastest peer over our fastest row, by every percentile that is reported."""
    assert against_peers(report) == (
        "idrn-d8-w64-x4: openvino int8 against the fastest peer: p50 5.00 ms, torch eager fp32 30.00 ms, "
        "6.00 times; p90 5.20 ms, torch eager fp32 40.00 ms, 7.69 times; p99 5.20 ms, torch eager fp32 "
        "40.00 ms, 7.69 times"
    )


def test_a_gpus_own_time_is_kept_apart(report: dict[str, Any]) -> None:
    """It is in the paper's table, but neither the headline, nor set against wall times, nor a CPU's peak."""
    assert DEVICE_CLOCK not in text(report)
    quick = [
        row("tensorrt device", "int8", [[0.5]] * 5, clock="device"),
        row("torch cuda graph", "fp16", [[0.75]] * 5, clock="device", peer=True),
        row("tensorrt", "int8", [[6.0]] * 5),
    ]
    before = headline(report), against_peers(report)
    report["rows"] += [entry(r, BenchOptions(), report["peak"]) for r in quick]
    assert headline(report) == before[0]
    assert against_peers(report).splitlines() == [
        before[1],
        "idrn-d8-w64-x4: tensorrt device int8 against the fastest peer: "
        + "; ".join(
            f"p{p} 0.50 ms, torch cuda graph fp16 0.75 ms, 1.50 times" for p in (50, 90, 99)
        ),
    ]
    assert all("peak_share" not in r for r in report["rows"][-3:])
    assert {"tensorrt device", "torch cuda graph"} <= {
        line[6] for line in paper_table({**report, "mode": "paper"})[1]
    }
    assert DEVICE_CLOCK in text(report)


def test_the_papers_table_marks_what_its_card_cannot(report: dict[str, Any]) -> None:
    """d8-w64 stands under both tables with its two times; doubted times carry a mark."""
    heads, cells = paper_table({**report, "mode": "paper"})
    assert [line[0] for line in cells] == ["Table 1, depth 8"] * 3 + ["Table 2, width 64"] * 3
    assert {line[heads.index("paper ms")] for line in cells} == {"4.40", "4.35"}
    for line in report["rows"]:
        line["network"] = "d8-w192-x4"
    _, cells = paper_table({**report, "mode": "paper"})
    assert {line[3] for line in cells} == {"7.96 (!)"}
    assert "needs 2.28 times the card's peak" in text({**report, "mode": "paper"})


def test_markdown_holds_the_same_rows(report: dict[str, Any]) -> None:
    """Every measured row is a line of the table, every remark is there."""
    said = markdown(report)
    assert sum(line.startswith("| idrn-d8") for line in said.splitlines()) == 3
    assert "NOT QUIET" in said
    assert "no fp16 file" in said


def test_the_plot_is_a_picture(report: dict[str, Any], tmp_path: Path) -> None:
    """A PNG appears whole, and nothing beside it; a report without a time has one too."""
    plot(report, tmp_path / "a.png")
    plot({**report, "rows": report["rows"][-1:]}, tmp_path / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert (tmp_path / "a.png").stat().st_size > (tmp_path / "b.png").stat().st_size > 0
