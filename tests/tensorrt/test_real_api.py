"""Our use of TensorRT held against the real bindings of three versions: names and types, no behaviour.

No TensorRT library is there, so nothing is built or run. What these tests show is that every name, member
and enumerator in our source exists in 10.3, 10.13 and 11.4, and that the types fit.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bindings import VERSIONS, bindings, python
from stubs import make_stubs
from surface import Surface, own_names, problems, surface_of, uses_tensorrt

import idrn_trt

PACKAGE = Path(idrn_trt.__file__).parent
USERS = [
    path for path in sorted(PACKAGE.rglob("*.py")) if uses_tensorrt(path.read_text(encoding="utf-8"))
]  # fmt: skip


@pytest.fixture(scope="session", name="stubs")
def _stubs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder with the stubs of a version, made once."""

    @functools.cache
    def stubs(version: str) -> Path:
        folder = tmp_path_factory.mktemp(f"stubs-{version}")
        make_stubs(version, folder)
        return folder

    return stubs


@pytest.fixture(scope="session", name="stub_folder", params=VERSIONS)
def _stub_folder(request: pytest.FixtureRequest, stubs: Callable[[str], Path]) -> Path:
    """A folder with the stubs of one version."""
    return stubs(request.param)


def surface_in(folder: Path) -> Surface:
    """The surface that the stubs in a folder describe."""
    return surface_of((folder / "tensorrt" / "__init__.pyi").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", name="ours")
def _ours() -> set[str]:
    return own_names(PACKAGE)


def test_the_files_that_use_tensorrt_are_found() -> None:
    """The scan looks at the two modules that call TensorRT: the builder, and the plan that is run."""
    places = {path.relative_to(PACKAGE).as_posix() for path in USERS}
    assert places == {"engines/_trt_build.py", "engines/_trt_plan.py"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_bindings_are_what_is_imported(version: str) -> None:
    """The module under test is NVIDIA's extension module, of the version meant."""
    code = "import tensorrt as t; print(t.__version__, type(t.Builder).__module__, t.Builder.__module__)"
    printed = python(bindings(version), "-c", code)
    assert printed.split() == [VERSIONS[version], "pybind11_builtins", "tensorrt_bindings.tensorrt"]


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.stem)
def test_every_name_exists(path: Path, stub_folder: Path, ours: set[str]) -> None:
    """Whatever our source takes from TensorRT is there in this version."""
    assert problems(path.read_text(encoding="utf-8"), surface_in(stub_folder), ours) == []


@pytest.mark.parametrize(
    ("snippet", "missing"),
    [
        ("config.set_flag(trt.BuilderFlag.FP16)", "BuilderFlag.FP16"),
        ("config.set_flag(trt.BuilderFlag.INT8)", "BuilderFlag.INT8"),
        ("trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "EXPLICIT_BATCH"),
        ("trt.IInt8EntropyCalibrator2", "IInt8EntropyCalibrator2"),
        ("config.int8_calibrator = None", "IBuilderConfig has no int8_calibrator"),
        ("builder.platform_has_fast_fp16", "Builder has no platform_has_fast_fp16"),
        ("network.get_input(0).dynamic_range = (-1, 1)", "ITensor has no dynamic_range"),
        ("network.get_layer(0).precision = trt.int8", "ILayer has no precision"),
        ("whatever.dynamic_range = (-1, 1)", "nothing has dynamic_range"),
        ("whatever.max_workspace_size = 1", "nothing has max_workspace_size"),
        ("whatever.execute_async_v2(0)", "nothing has execute_async_v2"),
        ("whatever.execute_async_v9(0)", "nothing has execute_async_v9"),
        ("trt.Runtime(logger).deserialize_cuda_engine(b'').num_bindings", "num_bindings"),
        ("trt.Runtime(logger).deserialise(b'')", "Runtime has no deserialise"),
    ],
)
def test_a_name_that_11_lacks_is_caught(
    snippet: str, missing: str, ours: set[str], stubs: Callable[[str], Path]
) -> None:
    """The check finds removed and mistyped names, in each way that code can reach them."""
    source = (
        "import tensorrt as trt\nbuilder = trt.Builder(logger)\n"
        "config = builder.create_builder_config()\nnetwork = builder.create_network(0)\n"
    )
    eleven = surface_in(stubs("11.4"))
    assert problems(source, eleven, ours) == []
    (complaint,) = problems(f"{source}{snippet}\n", eleven, ours)
    assert missing in complaint
    assert complaint.startswith("line 5")


def test_what_10_has_and_11_has_not_passes_in_10(
    ours: set[str], stubs: Callable[[str], Path]
) -> None:
    """The same name is accepted by the version that has it: the check is of versions, not of taste."""
    source = "import tensorrt as trt\nflag = trt.BuilderFlag.FP16\n"
    assert problems(source, surface_in(stubs("10.3")), ours) == []


@pytest.fixture(scope="session", name="mypy")
def _mypy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Path], Path], list[str]]:
    """Gives what mypy, strict, says of files with the stubs in a folder. What it knows of others is kept."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mypy.ini").write_text("[mypy]\n", encoding="utf-8")

    def mypy(files: list[Path], stubs: Path) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--no-warn-unused-ignores",
             "--no-error-summary", "--config-file", str(folder / "mypy.ini"), "--cache-dir",
             str(folder / "cache"), "--follow-imports", "silent", "--ignore-missing-imports",
             *map(str, files)],
            env={**os.environ, "MYPYPATH": str(stubs)}, capture_output=True, text=True, check=False,
            cwd=PACKAGE.parent,
        )  # fmt: skip
        return (done.stdout + done.stderr).splitlines()

    return mypy


Mypy = Callable[[list[Path], Path], list[str]]


def test_the_types_fit(stub_folder: Path, mypy: Mypy) -> None:
    """Our source passes mypy with the real signatures in place of no types at all."""
    assert mypy(USERS, stub_folder) == []


def test_mypy_catches_a_wrong_argument(stub_folder: Path, tmp_path: Path, mypy: Mypy) -> None:
    """With the stubs a missing member, a wrong argument and an unchecked None are errors."""
    source = tmp_path / "wrong.py"
    source.write_text(
        "import tensorrt as trt\n"
        "def f(builder: trt.Builder, runtime: trt.Runtime, profile: trt.IOptimizationProfile) -> None:\n"
        "    builder.build_engine_as_before()\n"
        '    profile.set_shape("lr", 3, 4, 5)\n'
        '    runtime.deserialize_cuda_engine(b"").create_engine_inspector()\n',
        encoding="utf-8",
    )
    said = mypy([source], stub_folder)
    for line, kind in ((3, "attr-defined"), (4, "arg-type"), (5, "union-attr")):
        assert any(f"wrong.py:{line}:" in text and kind in text for text in said), said
