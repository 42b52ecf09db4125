"""README.md's code, and what `make run` adds to it, do what they are said to."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from idrn_trt.images import read_image, write_image
from idrn_trt.types import Box, FaceResult, Window

ROOT = Path(__file__).parents[1]

UInt8 = npt.NDArray[np.uint8]


def test_the_first_sample_runs_as_it_stands(tmp_path: Path, astronaut: UInt8) -> None:
    """README.md's first code makes clear.png, four times as large, of photo.jpg."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    small = Image.fromarray(astronaut).resize((160, 160), Image.Resampling.BICUBIC)
    write_image(tmp_path / "photo.jpg", np.asarray(small))
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "clear.png").shape == (640, 640, 3)


@pytest.fixture(name="demo")
def _demo() -> ModuleType:
    """examples/demo.py as a module."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_upright_faces_stand_side_by_side(demo: ModuleType) -> None:
    """The comparison has no gap but its own between the pictures of an upright window."""
    lr = np.full((64, 48, 3), 100, np.uint8)
    sr = np.full((256, 192, 3), 100, np.uint8)
    page = np.asarray(demo.sheet([FaceResult(Box(0, 0, 9, 9), 1.0, Window(0, 0, 48, 64), lr, sr)]))
    assert page.shape == (demo.TITLE_PX + 256, 3 * 192 + 2 * demo.GAP_PX, 3)
    white = (page[demo.TITLE_PX + 1 :] == 255).all(axis=(0, 2))
    assert int(white.sum()) == 2 * demo.GAP_PX
