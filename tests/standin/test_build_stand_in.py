"""`idrn-trt build` on stand-ins for TensorRT and the driver: what it says, keeps, and leaves behind."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from trt_state import Driver, State

from idrn_trt.cli import main
from idrn_trt.engines import open_engine

FEW = ("--windows", "32,40x48", "--batches", "1,4")


def plans(tmp_path: Path) -> list[Path]:
    """The plans in the test's cache, and whatever lies beside them but locks and choices."""
    folder = tmp_path / "cache" / "idrn_trt" / "plans"
    return [path for path in folder.glob("*") if path.suffix not in {".lock", ".json"}]


def plan(tmp_path: Path) -> dict[str, Any]:
    """What the stand-in wrote into the only plan there is."""
    (path,) = plans(tmp_path)
    made: dict[str, Any] = json.loads(path.read_bytes().split(b"stand-in plan\n")[1])
    return made


def test_stand_in_build_then_open(
    trt: State, tiny_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Build says why and what came of it; the engine then takes that plan and its shapes, building none."""
    assert main(["build", str(tiny_model), "--precision", "int8", *FEW]) == 0
    out, err = capsys.readouterr()
    assert "there is none yet for this model, GPU and choice of options" in err
    assert "the plan is ready" in out
    assert [line.split()[:2] for line in out.splitlines()[3:7]] == [
        ["32x32", "1"], ["32x32", "4"], ["40x48", "1"], ["40x48", "4"],
    ]  # fmt: skip
    trt.reset()
    engine = open_engine(str(tiny_model), engine="tensorrt", precision="int8")
    assert engine.spec.windows == ((32, 32), (48, 40))
    assert engine.spec.max_batch == 4
    assert engine.notes == []
    assert "Builder" not in trt.names()
    engine.close()
    assert len(plans(tmp_path)) == 1


def test_stand_in_build_again_builds_nothing(
    trt: State, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second build finds the plan and reports the same layers."""
    command = ["build", str(tiny_model), "--precision", "fp16", *FEW]
    assert main(command) == 0
    first = capsys.readouterr().out
    trt.reset()
    assert main(command) == 0
    assert capsys.readouterr() == (first, "")
    assert "Builder" not in trt.names()


def test_stand_in_options_reach_tensorrt(trt: State, tiny_model: Path, tmp_path: Path) -> None:
    """Workspace, compatibility and strong typing arrive; TF32 is off, whatever TensorRT's default."""
    shape = ["--windows", "40x48", "--batches", "1"]
    command = ["build", str(tiny_model), "--precision", "fp16", *shape]
    options = ["--workspace-mib", "256", "--version-compatible", "--hardware-compatible"]
    assert main([*command, *options]) == 0
    made = plan(tmp_path)
    assert made["typed"]
    assert made["flags"] == ["VERSION_COMPATIBLE"]
    assert ("set_memory_pool_limit", "WORKSPACE", 256 << 20) in trt.calls
    assert made["profiles"] == [{"lr_uint8": [[1, 48, 40, 3]] * 3}]


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [(("40x48", "1"), [1, 48, 40, 3]), (("40x48,40x32", "1,4"), [0, 0, 40, 3]),
     (("32,40x48", "4"), [4, 0, 0, 3])],
)  # fmt: skip
@pytest.mark.usefixtures("trt")
def test_stand_in_what_all_profiles_share_is_fixed(
    tiny_model: Path, tmp_path: Path, shapes: tuple[str, str], axes: list[int]
) -> None:
    """A batch, height or width that every profile has is stated in the network TensorRT gets, others not."""
    windows, batches = shapes
    options = ["--windows", windows, "--batches", batches]
    assert main(["build", str(tiny_model), "--precision", "fp16", *options]) == 0
    network = onnx.load_from_string(base64.b64decode(plan(tmp_path)["onnx"])).graph
    assert [axis.dim_value for axis in network.input[0].type.tensor_type.shape.dim] == axes


@pytest.mark.usefixtures("trt")
def test_stand_in_json(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """--json - prints the document alone, --json FILE writes the same beside the table."""
    command = ["build", str(tiny_model), "--precision", "fp16", *FEW]
    assert main([*command, "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["profiles"] == [
        {"height_px": height, "width_px": width, "batch": batch}
        for height, width in ((32, 32), (48, 40))
        for batch in (1, 4)
    ]
    assert [layer["count"] for layer in printed["layers"]] == [1, 1, 1, 1]
    assert printed["tensorrt"] == "11.4.0.106"
    assert main([*command, "--json", str(tmp_path / "layers.json")]) == 0
    written = json.loads((tmp_path / "layers.json").read_text(encoding="utf-8"))
    assert written == {**printed, "notes": []}
    assert "window px" in capsys.readouterr().out


def test_stand_in_timing_cache_is_kept_and_read(
    trt: State, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timings are written after a build, and given to the next, which has to fit them."""
    timings = tmp_path / "new" / "timings"
    command = ["build", str(tiny_model), "--precision", "fp16", "--timing-cache", str(timings)]
    assert main([*command, *FEW]) == 0
    assert timings.read_bytes() == b"timings"
    assert ("set_timing_cache", 0, False) in trt.calls
    trt.reset()
    assert main([*command, "--windows", "64"]) == 0
    assert ("set_timing_cache", len(b"timings"), False) in trt.calls
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache" / "second"))


@pytest.mark.usefixtures("trt")
def test_stand_in_timing_cache_of_another_gpu_is_replaced(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Timings that TensorRT does not accept are said so, and new ones are begun."""
    import trt_standin

    timings = tmp_path / "timings"
    timings.write_bytes(b"of another GPU")
    monkeypatch.setattr(
        trt_standin.IBuilderConfig, "set_timing_cache",
        lambda self, cache, ignore_mismatch: not cache._data and not ignore_mismatch,  # noqa: ARG005
    )  # fmt: skip
    command = ["build", str(tiny_model), "--precision", "fp16", "--timing-cache", str(timings)]
    assert main([*command, *FEW]) == 0
    assert "is not used" in capsys.readouterr().err
    assert timings.read_bytes() == b"timings"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("parse", r"node 'body/warp' (Warp): Unsupported operator 'Warp' in node 7"),
        ("build", "out of memory"),
        ("builder", "The GPU's driver is older than the CUDA that this TensorRT needs"),
        ("deserialise", "refuses the plan that it has just built"),
    ],
)
def test_stand_in_failures_are_one_line_and_leave_nothing(
    trt: State,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    said: str,
) -> None:
    """An operator it lacks, no memory, an old driver, a plan it refuses: exit code 1, one line, no plan."""
    trt.faults[fault] = 9
    assert main(["build", str(tiny_model), "--precision", "fp16", *FEW]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("idrn-trt: ")
    assert said in error
    assert plans(tmp_path) == []


def test_stand_in_ctrl_c_stops_a_build_and_leaves_nothing(
    trt: State,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C during a build: TensorRT is told to stop, exit code 130, and a later build starts afresh."""
    import trt_standin

    steps: list[int] = []

    def endless(_: Any, __: Any, config: Any) -> None:
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, 1000)
        os.kill(os.getpid(), signal.SIGINT)
        while monitor.step_complete("Building Engine", len(steps)):
            steps.append(len(steps))

    command = ["build", str(tiny_model), "--precision", "fp16", *FEW]
    with monkeypatch.context() as patch:
        patch.setattr(trt_standin.Builder, "build_serialized_network", endless)
        assert main(command) == 130
    assert "interrupted" in capsys.readouterr().err
    assert plans(tmp_path) == []
    assert main(command) == 0
    assert trt.alive.total() == 0


@pytest.mark.parametrize(
    ("module", "said"),
    [("tensorrt", "TensorRT is not usable"), ("pycuda.driver", "idrn-trt[tensorrt]")],
)
@pytest.mark.usefixtures("trt")
def test_stand_in_without_the_packages(
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    said: str,
) -> None:
    """Without TensorRT, or without pycuda, the line says which and how to install it."""
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["build", str(tiny_model), "--precision", "fp16"]) == 1
    assert said in capsys.readouterr().err


def test_stand_in_an_old_tensorrt(
    trt: State,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A release older than 10.3 is refused by its number before anything is built."""
    import trt_standin

    monkeypatch.setattr(trt_standin, "__version__", "8.6.1")
    assert main(["build", str(tiny_model), "--precision", "fp16"]) == 1
    assert "TensorRT 8.6.1 is not usable: expected 10.3 or newer" in capsys.readouterr().err
    assert trt.names() == []


@pytest.mark.usefixtures("trt")
def test_stand_in_an_inspector_that_is_not_understood_costs_the_table_only(
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The plan stands although its layers cannot be read, and the command says so."""
    import trt_standin

    monkeypatch.setattr(
        trt_standin.EngineInspector, "get_engine_information", lambda *_: "layer names only"
    )
    assert main(["build", str(tiny_model), "--precision", "fp16", *FEW]) == 0
    assert "note: TensorRT's inspector answers in an unknown form" in capsys.readouterr().out
    assert len(plans(tmp_path)) == 1


def test_stand_in_usage(trt: State, tiny_model: Path, driver: Driver, tmp_path: Path) -> None:
    """Wrong values are wrong usage, exit code 2, before the GPU is touched."""
    command = ["build", str(tiny_model), "--precision", "fp16"]
    driver.reset()
    for wrong in (
        ["--windows", "4"], ["--windows", "40x4"], ["--batches", "0"], ["--level", "6"],
        ["--workspace-mib", "0"], ["--timing-cache", str(tmp_path)],
    ):  # fmt: skip
        assert main([*command, *wrong]) == 2
    for unreadable in ("40x", "x48", "40x48x3", "32,", "-32", "forty"):
        with pytest.raises(SystemExit) as ended:
            main([*command, f"--windows={unreadable}"])
        assert ended.value.code == 2
    assert (trt.names(), driver.calls()) == ([], [])
