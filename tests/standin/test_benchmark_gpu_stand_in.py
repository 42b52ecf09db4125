"""benchmarks/gpu.py: its checks on the stand-in driver, and its refusal where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trt_state import build_driver, missing_tool

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCRIPT = str(ROOT / "benchmarks" / "gpu.py")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What makes the stand-ins take the places of the real ones in a new process."""
    if reason := missing_tool():
        pytest.skip(reason)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE / "site"), str(ROOT)]),
        "IDRN_STAND_IN_DRIVER": str(build_driver(tmp_path)),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def test_stand_in_checks_of_the_gpu_benchmark(tmp_path: Path, environment: dict[str, str]) -> None:
    """Copies are timed, 3,000 replays of copy, kernel, copy give the right bytes in flat memory."""
    report = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", "checks", "--replays", "3000", "--json", str(report)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    document = json.loads(report.read_text(encoding="utf-8"))
    assert (document["kind"], document["format"]) == ("idrn_trt gpu report", 1)
    checks = document["checks"]
    command = f"python benchmarks/gpu.py --only checks --replays 3000 --json {report}"
    assert [found["command"] for found in checks.values()] == [command] * len(checks)
    assert checks["graph"]["passed"], checks
    assert (checks["graph"]["replays"], checks["graph"]["wrong"]) == (3000, 0)
    # How fast the host's memory is decides nothing here.
    assert checks["copies"]["frame_gb_per_s"] > 0
    assert done.returncode == (0 if checks["copies"]["passed"] else 1)


def test_stand_in_detector_rows_of_the_gpu_benchmark(environment: dict[str, str]) -> None:
    """TensorRT's rows have times for each size, and scores within 0.01 of fp32's."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", "detector", "--repeats", "3"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["detector"]
    ours = [row for row in rows if row["by"] == "detector tensorrt"]
    assert len(ours) == len(rows) / 3 == 3
    assert all(row["p50_ms"] > 0 and row["scores_apart"] < 0.01 for row in ours)


def test_the_gpu_benchmark_without_a_gpu() -> None:
    """One line says what is missing, and the exit code is 1."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", "checks"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0 or '"checks"' in done.stdout:
        pytest.skip("there is a GPU here")
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks/gpu.py: ")
    assert done.stderr.count("\n") == 1


def test_the_reference_without_a_gpu() -> None:
    """Each library has one row with its reason; nothing is made or timed, whatever network is named."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", "reference", "--networks", "d8-w64-x4", "--no-compile"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)["reference"]
    assert {"torch cuda", "onnxruntime cuda"} <= {row["by"] for row in rows}
    assert all(row["reason"] for row in rows)
