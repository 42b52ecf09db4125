"""The import rules of CONTRIBUTING.md, on the source and in fresh interpreters."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import idrn_trt
from idrn_trt.cli import VERBS

PACKAGE = Path(idrn_trt.__file__).parent
HEAVY = (
    "av", "cv2", "numpy", "onnx", "onnxruntime", "openvino", "PIL", "pycuda", "tensorrt", "torch",
)  # fmt: skip
# What a plain `pip install .` does not bring.
OPTIONAL = (
    "lightning_fabric", "onnx", "onnxruntime", "onnxsim", "pycuda", "safetensors", "skimage",
    "tensorrt", "torch",
)  # fmt: skip

# Package -> the only files and folders of idrn_trt that may import it.
HOMES = {
    "torch": ("toolchain/",),
    "onnx": ("toolchain/",),
    "lightning_fabric": ("toolchain/distribute.py",),
    "tensorrt": ("engines/tensorrt.py", "engines/_trt_"),
    "pycuda": ("engines/_cuda.py",),
}
TOOLCHAIN = "idrn_trt.toolchain"


class Import(NamedTuple):
    """One imported name, absolute: where it stands, and whether only a call reaches it."""

    name: str
    line: int
    inside_function: bool


def imports_of(source: str, package: str) -> Iterator[Import]:
    """Every import of a module that lies in `package`, nested and by import_module("...") too."""
    pending: list[tuple[ast.AST, bool]] = [(ast.parse(source), False)]
    while pending:
        node, inside = pending.pop()
        for name in _imported_by(node, package):
            yield Import(name, getattr(node, "lineno", 0), inside)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]


def _imported_by(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, base]).rstrip(".")
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func
        called = getattr(function, "attr", getattr(function, "id", ""))
        if called in {"import_module", "__import__"}:
            return [str(node.args[0].value)]
    return []


def violations(root: Path) -> list[str]:
    """Each import below `root`, a folder laid out like idrn_trt, that breaks a rule."""
    found = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root).as_posix()
        package = ".".join(["idrn_trt", *path.relative_to(root).parent.parts])
        for item in imports_of(path.read_text(encoding="utf-8"), package):
            top = item.name.partition(".")[0]
            if top in HOMES and not place.startswith(HOMES[top]):
                found.append(f"{place}:{item.line} imports {top}")
            if f"{item.name}.".startswith(f"{TOOLCHAIN}.") and not _may_use_toolchain(place, item):
                found.append(f"{place}:{item.line} imports the toolchain")
    return found


def _may_use_toolchain(place: str, item: Import) -> bool:
    if place.startswith("toolchain/"):
        return True
    return item.inside_function and (place == "cli.py" or place.startswith("commands/"))


def python(code: str, *flags: str) -> str:
    """What a fresh interpreter prints; the source tree is on its path whatever the flags."""
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_source_keeps_the_import_rules() -> None:
    """No file imports a package that only another file may, nor the runtime the toolchain."""
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("upscaler.py", "import torch.nn as nn"),
        ("faces/detect.py", "def f():\n    from onnx import helper"),
        ("engines/openvino.py", "import tensorrt"),
        ("toolchain/build.py", "import pycuda.driver"),
        ("engines/onnxruntime.py", "import importlib\nimportlib.import_module('torch')"),
        ("zoo.py", "from idrn_trt import toolchain"),
        ("engines/bicubic.py", "from ..toolchain.net import IDRN"),
        ("upscaler.py", "def f():\n    import idrn_trt.toolchain.net"),
        ("commands/train.py", "from idrn_trt.toolchain.train import Trainer"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, place: str, source: str) -> None:
    """The scan sees imports at the top, in functions, relative ones and those by name."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("toolchain/net.py", "import torch, onnx"),
        ("engines/_trt_build.py", "import tensorrt"),
        ("engines/_cuda.py", "import pycuda.driver"),
        ("commands/train.py", "def run():\n    from idrn_trt.toolchain.train import Trainer"),
        ("engines/onnxruntime.py", "import onnxruntime"),
    ],
)
def test_a_permitted_import_is_let_through(tmp_path: Path, place: str, source: str) -> None:
    """The scan does not mistake onnxruntime for onnx, nor a rule's own home for a stranger."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []


def test_the_package_itself_loads_the_standard_library_only() -> None:
    """`import idrn_trt` pulls in none of the heavy packages, though they are installed here."""
    loaded = python(f"import idrn_trt\nprint(*set({HEAVY}).intersection(sys.modules))")
    assert loaded.split() == []


@pytest.mark.parametrize("module", ["idrn_trt", "errors", "types", "options", "cli", "zoo"])
def test_a_bare_interpreter_imports(module: str) -> None:
    """With no site-packages at all, these modules import."""
    name = module if module == "idrn_trt" else f"idrn_trt.{module}"
    python(f"import {name}", "-I", "-S")


def test_the_runtime_loads_no_tool() -> None:
    """Every runtime module imported at once brings neither torch, onnx, tensorrt nor pycuda."""
    names = ("tensorrt", "_trt_network", "_trt_plan", "_trt_shape", "_cuda")
    gpu = {f"idrn_trt.engines.{name}" for name in names}
    modules = [
        module.name
        for module in pkgutil.walk_packages([str(PACKAGE)], "idrn_trt.")
        if not f"{module.name}.".startswith(f"{TOOLCHAIN}.") and module.name not in gpu
    ]
    assert "idrn_trt.upscaler" in modules
    imports = "\n".join(f"import {name}" for name in modules)
    assert python(f"{imports}\nprint(*set({tuple(HOMES)}).intersection(sys.modules))").split() == []


VERB_NAMES = [v.__name__.rpartition(".")[2].replace("_", "-") for v in VERBS]


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_help_needs_nothing_installed(verb: str) -> None:
    """Each verb's --help is printed by an interpreter without any site-packages."""
    code = f"from idrn_trt.cli import main\nmain([{verb!r}, '--help'])"
    assert python(code, "-I", "-S").startswith(f"usage: idrn-trt {verb}")


def test_the_overview_names_every_verb() -> None:
    """`idrn-trt --help` works without any site-packages and lists the verbs."""
    text = python("from idrn_trt.cli import main\nmain(['--help'])", "-I", "-S")
    missing = [verb for verb in VERB_NAMES if not re.search(rf"\n    {verb}\s", text)]
    assert missing == []


def test_doctor_works_without_optional_packages() -> None:
    """`idrn-trt doctor` reports on a machine that has the plain install only."""
    hide = f"sys.modules.update(dict.fromkeys({OPTIONAL}))"
    text = python(f"{hide}\nfrom idrn_trt.cli import main\nassert main(['doctor']) == 0")
    assert "openvino" in text


@pytest.mark.parametrize("words", [["bench", "--paper"], ["quantise", "m", "--calib", "c"]])
def test_without_openvino_one_line_says_what_to_install(words: list[str]) -> None:
    """A verb that needs OpenVINO where it is not installed ends with a line, not with a traceback."""
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        f"from idrn_trt.cli import main\nsys.exit(main({words}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "idrn-trt: module 'openvino' is not installed: pip install openvino\n"


def test_without_openvino_the_other_library_finds_faces_too() -> None:
    """ONNX Runtime is taken for the network and the detector alike, and that is said."""
    pytest.importorskip("onnxruntime")
    text = python(
        "sys.modules['openvino'] = None\nimport numpy as np\nfrom idrn_trt import Upscaler\n"
        "with Upscaler(precision='fp32', threads=1) as upscaler:\n"
        "    upscaler.upscale(np.full((96, 96, 3), 90, np.uint8))\n"
        "    print(upscaler.engine.spec.engine, upscaler.notes)"
    )
    assert text.startswith("onnxruntime [")
    assert "openvino" in text


def test_importing_stays_cheap(capsys: pytest.CaptureFixture[str]) -> None:
    """`import idrn_trt` loads no other module; the milliseconds are printed and not judged."""
    code = (
        "import time, __future__\nbefore = set(sys.modules)\nstart = time.perf_counter()\n"
        "import idrn_trt\nprint(1000 * (time.perf_counter() - start))\n"
        "print(*set(sys.modules) - before)"
    )
    lines = [python(code).splitlines() for _ in range(5)]
    with capsys.disabled():
        best_ms = min(float(ms) for ms, _ in lines)
        print(f"\nimport idrn_trt: {best_ms:.1f} ms, best of 5")  # noqa: T201 (a report)
    assert [loaded for _, loaded in lines] == ["idrn_trt"] * 5
