"""Type stubs of the real bindings, made by pybind11-stubgen and repaired, for mypy and for `surface`.

They carry NVIDIA's text, so they are made when the tests run and never kept in this project.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from bindings import bindings, python

# What returns None when it fails; the bindings' signatures do not say so.
_MAY_BE_NONE = (
    "build_serialized_network", "deserialize_cuda_engine", "create_execution_context",
    "create_timing_cache",
)  # fmt: skip
_HEAD = """# mypy: ignore-errors
from __future__ import annotations
import builtins
import collections.abc
"""
_BUFFER = "    def __buffer__(self, flags: int, /) -> memoryview:\n        ...\n"
# Python functions that the package adds to the extension module.
_TAIL = """
__version__: str
def volume(iterable: collections.abc.Iterable[int]) -> int: ...
def nptype(trt_type: DataType) -> typing.Any: ...
"""


def make_stubs(version: str, folder: Path) -> str:
    """The text of tensorrt/__init__.pyi, written below `folder`. Skips where there are no bindings."""
    pytest.importorskip("pybind11_stubgen")
    python(
        bindings(version),
        "-m", "pybind11_stubgen", "tensorrt_bindings.tensorrt", "--ignore-all-errors",
        "-o", str(folder / "raw"),
    )  # fmt: skip
    text = (folder / "raw" / "tensorrt_bindings" / "tensorrt.pyi").read_text(encoding="utf-8")
    stub = folder / "tensorrt" / "__init__.pyi"
    stub.parent.mkdir(parents=True)
    stub.write_text(repaired(text), encoding="utf-8")
    return stub.read_text(encoding="utf-8")


def repaired(text: str) -> str:
    """The stubs as Python that mypy reads: signatures that are no Python become (*args, **kwargs)."""
    text = text.replace("from __future__ import annotations\n", _HEAD, 1)
    text = text.replace("typing.SupportsInt", "int").replace("typing.SupportsFloat", "float")
    # It has the buffer protocol, which C does not declare.
    text = text.replace("class IHostMemory:\n", f"class IHostMemory:\n{_BUFFER}", 1)
    lines = [_signature(line) if line.lstrip().startswith("def ") else line
             for line in text.splitlines()]  # fmt: skip
    return "\n".join(lines) + _TAIL


def _signature(line: str) -> str:
    # The module has a `bool` of its own, which is a DataType.
    line = re.sub(r"(: |-> )bool\b", r"\1builtins.bool", line)
    line = re.sub(r": ([\w.]+) = None", r": \1 | None = None", line)
    line = re.sub(r": Dims\b", ": Dims | collections.abc.Sequence[int]", line)
    line = re.sub(r": buffer\b", ": bytes", line)
    name = line.lstrip()[4:].partition("(")[0]
    if name in _MAY_BE_NONE:
        line = re.sub(r"-> ([\w.]+):$", r"-> \1 | None:", line)
    try:
        ast.parse(line.strip() + " ...")
    except SyntaxError:
        indent = line[: len(line) - len(line.lstrip())]
        return f"{indent}def {name}(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:"
    return line
