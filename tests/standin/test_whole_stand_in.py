"""The whole program on the stand-ins for TensorRT and the driver, each test in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from trt_state import build_driver, missing_tool

from idrn_trt.images import read_image, write_image

UInt8 = npt.NDArray[np.uint8]
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What makes the stand-ins take the places of the real ones in a new process."""
    if reason := missing_tool():
        pytest.skip(reason)
    path = build_driver(tmp_path_factory.mktemp("driver"))
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE / "site"), str(ROOT)]),
        "IDRN_STAND_IN_DRIVER": str(path),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
    }


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A finished process."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_stand_in_passes_the_engine_contract(environment: dict[str, str]) -> None:
    """tests/contract/ holds in fp32, fp16 and int8; its 100 openings are 1,000 in another test here."""
    done = python(
        environment, "-m", "pytest", "-q", "-rA", "tests/contract", "-p", "no:cacheprovider",
        "-k", "tensorrt and not opening_100_times",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    for precision in ("fp32", "fp16", "int8"):
        assert (
            f"PASSED tests/contract/test_engine.py::test_two_threads[tensorrt-{precision}]"
            in done.stdout
        )


def test_stand_in_upscales_a_photograph(
    environment: dict[str, str], tiny_model: Path, astronaut: UInt8, tmp_path: Path
) -> None:
    """`idrn-trt upscale --engine tensorrt` finds the face and pastes what the same file gives on a CPU."""
    photo = tmp_path / "photo.png"
    write_image(photo, np.ascontiguousarray(astronaut[::4, ::4]))
    pictures = []
    for engine in ("tensorrt", "onnxruntime"):
        target, report = tmp_path / f"{engine}.png", tmp_path / f"{engine}.json"
        done = python(
            environment, "-m", "idrn_trt", "upscale", str(photo), "-o", str(target),
            "--model", str(tiny_model), "--engine", engine, "--precision", "fp16",
            "--json", str(report),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        summary = json.loads(report.read_text(encoding="utf-8"))["summary"]
        assert (summary["engine"], summary["faces"], summary["notes"]) == (engine, 1, [])
        pictures.append(read_image(target).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_stand_in_the_process_ends_quietly_with_the_engine_open(
    environment: dict[str, str], tiny_model: Path
) -> None:
    """A program that forgets to close the engine ends without a word from pycuda or a crash."""
    code = (
        "import sys, numpy as np\nfrom idrn_trt.engines import open_engine\n"
        "engine = open_engine(sys.argv[1], engine='tensorrt', precision='fp16')\n"
        "print(engine.run(np.zeros((1, 32, 32, 3), np.uint8)).shape)"
    )
    done = python(environment, "-c", code, str(tiny_model))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["(1,", "128,", "128,", "3)"]
    lines = [line for line in done.stderr.splitlines() if "plan is built" not in line]
    assert lines == []
