"""`idrn-trt bench` from the command line, on a model small enough for a test."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.bench.document import FORMAT, KIND, check_report, dumps
from idrn_trt.bench.paper import paper_rows
from idrn_trt.cli import main
from idrn_trt.engines import base
from idrn_trt.engines.openvino import OpenVinoEngine
from idrn_trt.types import EngineSpec

UInt8 = npt.NDArray[np.uint8]

QUICK = ["--duration", "0.01", "--threads", "1", "--models", "tiny-x4"]


pytestmark = pytest.mark.usefixtures("hurried", "zoo")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever is written by default lands below a folder of the test."""
    monkeypatch.chdir(tmp_path)


def written(path: str) -> dict[str, Any]:
    """A report that was written below the working folder."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    check_report(document)
    found: dict[str, Any] = document
    return found


def test_with_no_arguments_everything_is_written_and_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fingerprint, table, end to end, cold start, JSON and PNG, all from one command."""
    assert main(["bench", *QUICK]) == 0
    text = capsys.readouterr().out
    for part in ("processor ", "conditions ", "p50 ms", "dB to fp32", "end to end", "cold start",
                 "with", "peak measured here", "harness:", "out/bench/latency.json"):  # fmt: skip
        assert part in text
    assert Path("out/bench/latency.png").read_bytes()[:4] == b"\x89PNG"
    document = written("out/bench/latency.json")
    rows = {(row["engine"], row["precision"]): row for row in document["rows"]}
    assert {("openvino", "fp32"), ("openvino", "int8"), ("onnxruntime", "int8")} <= set(rows)
    assert ("bicubic", "fp32") in rows
    int8 = rows["openvino", "int8"]
    assert int8["file_mb"] > 0
    assert len(int8["sha256"]) == 64
    assert int8["psnr_fp32_db"] > 25
    assert int8["images_per_s"] > 0
    assert int8["peak_share"] > 0
    assert {"p50_ms", "p90_ms", "p99_ms", "max_ms", "outliers", "spread"} <= set(int8["figures"])
    assert document["cold_start"]["with_cache"]["total_s"] > 0
    assert document["end_to_end"][0]["stages_p50_ms"].keys() >= {"detect", "engine", "paste"}
    assert document["machine"]["affinity"]
    assert document["interrupted"] is False


def test_json_on_standard_output_is_only_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json - standard output parses as one report, and no file is written."""
    assert main(["bench", *QUICK, "--engines", "openvino", "--json", "-"]) == 0
    check_report(json.loads(capsys.readouterr().out))
    assert not Path("out").exists()


def test_names_and_places_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    """--label names the files, --csv adds one, --plot and --json put theirs elsewhere."""
    more = ["--engines", "bicubic", "--label", "before", "--csv", "c/rows.csv", "--json", "j.json"]
    assert main(["bench", *QUICK, *more]) == 0
    capsys.readouterr()
    assert Path("c/rows.csv").read_text(encoding="utf-8").startswith("model,engine,precision")
    assert written("j.json")["label"] == "before"
    assert [path.name for path in Path("out/bench").iterdir()] == ["before.png"]


def test_without_matplotlib_all_but_the_plot_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what to install; table and JSON are there and the exit code is 0."""
    for name in [*sys.modules, "matplotlib"]:
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench", *QUICK, "--engines", "bicubic"]) == 0
    said = capsys.readouterr()
    assert "pip install 'idrn-trt[bench]'" in said.err
    assert [path.name for path in Path("out/bench").iterdir()] == ["latency.json"]


@pytest.mark.parametrize(
    ("scenario", "batch"), [("single-stream", 1), ("multi-stream", 4), ("offline", 64)]
)
def test_scenarios_differ_in_what_one_call_is(
    scenario: str, batch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One window, four at once, or the engine's largest batch; the rate counts windows."""
    arguments = ["--scenario", scenario, "--engines", "openvino", "--precisions", "int8"]
    assert main(["bench", *QUICK, *arguments, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    [row] = document["rows"]
    assert (row["batch"], document["conditions"]["scenario"]) == (batch, scenario)
    assert row["images_per_s"] == pytest.approx(batch * 1e3 / row["figures"]["mean_ms"], rel=0.01)


def test_paced_reports_drops_age_and_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    """Every opened row has its own line of a camera's figures; nothing else is timed."""
    arguments = [
        "--scenario",
        "paced",
        "--fps",
        "200",
        "--engines",
        "openvino",
        "--duration",
        "0.5",
    ]
    assert main(["bench", *QUICK, *arguments, "--json", "p.json"]) == 0
    assert "age: of the picture on the screen" in capsys.readouterr().out
    document = written("p.json")
    assert [entry["row"] for entry in document["paced"]] == [
        f"tiny-x4 openvino {row['precision']}" for row in document["rows"] if not row["reason"]
    ]
    assert set(document["paced"][0]) == {
        "row", "faces", "frames", "shown", "drop_rate", "delay_ms", "age_ms", "cpu_cores",
    }  # fmt: skip


def test_profile_names_the_files_own_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """--profile gives layers by the model file's names with their times; others say why not."""
    arguments = ["--profile", "--precisions", "fp32", "--json", "p.json"]
    assert main(["bench", *QUICK, *arguments]) == 0
    assert "layers of tiny-x4 openvino fp32" in capsys.readouterr().out
    document = written("p.json")
    layers = document["profile"]["tiny-x4 openvino fp32"]
    assert all(layer["ms"] > 0 for layer in layers)
    assert any(layer["type"] == "Convolution" for layer in layers)
    other = next(row for row in document["rows"] if row["engine"] == "onnxruntime")
    assert any("no times by layer" in note for note in other["notes"])


def test_ctrl_c_prints_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in the middle of the timing: exit 130, the rows so far in table and JSON, the rest marked."""
    run = OpenVinoEngine.run
    calls = 0

    def stopping(self: OpenVinoEngine, *args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 70:
            raise KeyboardInterrupt
        return run(self, *args, **more)

    monkeypatch.setattr(OpenVinoEngine, "run", stopping)
    code = main(["bench", *QUICK, "--duration", "5", "--engines", "openvino,bicubic"])
    assert code == 130
    assert "interrupted: this is what was measured so far" in capsys.readouterr().out
    document = written("out/bench/latency.json")
    assert document["interrupted"] is True
    assert any(row["blocks_ms"] for row in document["rows"])


def test_ctrl_c_before_any_timing_still_reports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped during the check: exit 130 and every row says that it was not reached."""

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("idrn_trt.bench.runner.check", stop)
    assert main(["bench", *QUICK, "--engines", "bicubic"]) == 130
    assert "interrupted before it was measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--duration", "0"], 2, "--duration must be above 0"),
        (["--duration", "nan"], 2, "--duration must be above 0"),
        (["--window", "7"], 2, "--window must be from 8 to 512, got 7"),
        (["--batch", "0"], 2, "--batch must be from 1"),
        (["--threads", "0"], 2, "--threads must be at least 1"),
        (["--threads", "-1"], 2, "--threads must be from 1"),
        (["--warmup", "-1"], 2, "--warmup must be from 0"),
        (["--fps", "0"], 2, "--fps must be above 0"),
        (["--percentiles", "50,100"], 2, "--percentiles must lie between 0 and 100"),
        (["--engines", "openvin"], 2, "Did you mean 'openvino'?"),
        (["--precisions", "int4"], 2, "unknown precision 'int4'"),
        (["--scenario", "ofline"], 2, "Did you mean 'offline'?"),
        (["--label", "../x"], 2, "--label names files"),
        (["--data", "nowhere"], 2, "--data must be a folder"),
        (["--paper", "--scenario", "paced"], 2, "not with --paper or --peers"),
        (["--json", "x", "--csv", "x"], 2, "must name different files"),
        (["--models", "tiny-x3"], 1, "Did you mean 'tiny-x4'?"),
        (["-o", "file/folder"], 1, "cannot write"),
        (["--csv", "."], 1, "cannot write"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage is 2, what fails is 1; one line on standard error says what was expected."""
    Path("file").write_text("", encoding="utf-8")
    assert main(["bench", *QUICK, *arguments]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1
    assert said in lines[0]


def test_a_run_in_which_nothing_works_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Only marked rows: exit 1, and the table still says why."""
    arguments = ["--engines", "openvino", "--precisions", "fp16"]
    assert main(["bench", *QUICK, *arguments]) == 1
    assert "tiny-x4 openvino fp16: engine 'openvino' has no precision" in capsys.readouterr().out


def test_a_window_that_an_engine_refuses_is_a_marked_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine with a list of windows marks its row for another one; the other rows are there."""
    check_batch = base.check_batch

    def listed_only(spec: EngineSpec, batch: UInt8) -> None:
        listed = spec.engine == "openvino"
        check_batch(dataclasses.replace(spec, windows=((32, 32),)) if listed else spec, batch)

    monkeypatch.setattr(base, "check_batch", listed_only)
    assert main(["bench", *QUICK, "--engines", "openvino,bicubic", "--window", "48"]) == 0
    assert "takes windows (h x w) of 32x32, got 48x48" in capsys.readouterr().out


def report_file(name: str, median_ms: float, seed: int) -> str:
    """A report with one row around a median, written to a file."""
    blocks = np.random.default_rng(seed).normal(median_ms, 0.02 * median_ms, (20, 10)).tolist()
    row = {"model": "m", "engine": "e", "precision": "int8", "reason": "", "blocks_ms": blocks}
    document = {
        "format": FORMAT, "kind": KIND, "mode": "engines", "label": name, "machine": {},
        "conditions": {}, "rows": [row],
    }  # fmt: skip
    Path(name).write_text(dumps(document), encoding="utf-8")
    return name


@pytest.fixture(name="one_network")
def _one_network(monkeypatch: pytest.MonkeyPatch) -> str:
    """The paper's tables with one small network in them, in a process without a GPU."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    small = dataclasses.replace(paper_rows()[0], network="d1-w16-x4")
    monkeypatch.setattr("idrn_trt.toolchain.seeded.paper_rows", lambda: [small])
    return small.network


@pytest.mark.parametrize("against", ["--paper", "--peers"])
def test_without_a_gpu_its_rows_are_marked(
    against: str, one_network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each library that a GPU would run says why not; the rest is measured."""
    # No peer on the CPU computes in fp16.
    precision = "fp32" if against == "--paper" else "fp16"
    assert main(["bench", *QUICK, against, "--precisions", precision]) == 0
    text = capsys.readouterr().out
    for library in ("torch cuda", "onnxruntime cuda"):
        assert text.count(f"  every network {library} -: ") == 1
    document = written("out/bench/latency.json")
    model = f"seeded-{one_network}" if against == "--paper" else "tiny-x4"
    measured = [row for row in document["rows"] if row["blocks_ms"]]
    assert measured
    assert {row["model"] for row in measured} <= {model, "x4"}


def test_engines_that_are_named_leave_other_libraries_out(
    one_network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--paper with --engines has these engines' rows and none of a GPU's libraries."""
    arguments = ["--paper", "--engines", "openvino", "--precisions", "int8"]
    assert main(["bench", *QUICK, *arguments]) == 0
    assert "every network" not in capsys.readouterr().out
    [row] = written("out/bench/latency.json")["rows"]
    assert (row["model"], row["engine"]) == (f"seeded-{one_network}", "openvino")


def test_compare_exits_by_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal: 0. 15 % slower: 1 at the default limit, 0 at 1.20. The ratio is printed."""
    a, same, slow = (
        report_file(*of) for of in (("a", 5.0, 1), ("same", 5.0, 2), ("slow", 5.75, 3))
    )
    assert main(["bench", "compare", a, same]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["bench", "compare", a, slow]) == 1
    text = capsys.readouterr().out
    assert "slower" in text
    assert "FAILED (over 1.1" in text
    assert main(["bench", "compare", a, slow, "--fail-over", "1.20"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a", "none.json"], 1, "cannot read report 'none.json'"),
        (["a", "text"], 1, "'text' is no report"),
        (["a", "a", "--fail-over", "1"], 2, "--fail-over must be above 1"),
    ],
)
def test_compare_refuses_what_is_no_report(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit 1 for a file and 2 for a limit that means nothing."""
    report_file("a", 5.0, 1)
    Path("text").write_text("not a report", encoding="utf-8")
    assert main(["bench", "compare", *arguments]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_module_is_the_verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m idrn_trt.bench` takes the verb's arguments and gives its exit code."""
    monkeypatch.setattr(sys, "argv", ["bench", "--duration", "0"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("idrn_trt.bench", run_name="__main__")
    assert stopped.value.code == 2
    assert "--duration" in capsys.readouterr().err
