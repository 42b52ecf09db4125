"""The programs of the native build."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built() -> Callable[[str], Path]:
    """The program of that name in the native build: IDRN_NATIVE_BUILD, else build/ of the source tree.

    Skips, saying how to build it, where it is not.
    """

    def program(name: str) -> Path:
        path = Path(os.environ.get("IDRN_NATIVE_BUILD", ROOT / "build"), "native", name)
        if not path.is_file():
            pytest.skip(f"{path.name} is not built: cmake -B build && cmake --build build")
        return path

    return program
