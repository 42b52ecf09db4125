"""TensorRT's real Python bindings, importable without TensorRT: the published wheel on stub libraries.

The wheels hold the extension module and no library. Beside it go shared libraries of our own, with the
nine C functions that it asks for, all of which return a null pointer. So it imports; no TensorRT object
can be made. Wheels are taken from the package index with pip and kept in the user's cache; nothing of
them is part of this project.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

# JetPack 6.2's, the last but two of 10, and 11.
VERSIONS = {"10.3": "10.3.0", "10.13": "10.13.3.9", "11.4": "11.4.0.106"}

_PACKAGE = "tensorrt-cu12-bindings"
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
_FUNCTIONS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
    "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins",
)  # fmt: skip


class UnavailableError(Exception):
    """Why the bindings cannot be had here."""


def bindings(version: str) -> Path:
    """A folder from which `import tensorrt` imports that version's bindings. Skips where it cannot be."""
    folder = _folder_or_reason(version)
    if isinstance(folder, str):
        pytest.skip(f"the bindings of TensorRT {version} are not to be had here: {folder}")
    return folder


@functools.cache
def _folder_or_reason(version: str) -> Path | str:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    folder = Path.home() / ".cache" / "idrn_trt_tests" / f"{_PACKAGE}-{VERSIONS[version]}-{tag}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        try:
            _unpack(version, Path(scratch), made)
            _add_libraries(made)
        except UnavailableError as error:
            return str(error)
        (made / "tensorrt").mkdir()
        shim = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
        (made / "tensorrt" / "__init__.py").write_text(shim)
        with contextlib.suppress(OSError):  # another test run was first
            made.rename(folder)
    return folder


def python(folder: Path, *arguments: str) -> str:
    """What a fresh interpreter that sees the folder's tensorrt prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def _unpack(version: str, scratch: Path, made: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
         "--retries", "1", "--timeout", "20", "-d", str(scratch), f"{_PACKAGE}=={VERSIONS[version]}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        raise UnavailableError((done.stderr.strip().splitlines() or ["pip gave no reason"])[-1])
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(made)


def _add_libraries(made: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise UnavailableError("there is no C compiler to make stub libraries with")
    source = "\n".join(f"void *{name}(void) {{ return 0; }}" for name in _FUNCTIONS)
    major = next(made.glob("*.dist-info")).name.split("-")[1].split(".")[0]
    for library in _LIBRARIES:
        target = made / "tensorrt_bindings" / f"lib{library}.so.{major}"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(target)],
            input=source, text=True, check=True,
        )  # fmt: skip
