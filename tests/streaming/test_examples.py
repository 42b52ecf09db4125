"""The examples on streams, as their first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import idrn_trt
from idrn_trt.images import write_image

EXAMPLES = Path(idrn_trt.__file__).parents[1] / "examples"


def run(*arguments: object) -> str:
    """What an example prints."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_source_and_a_sink_of_ones_own(astronaut: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """The photograph's one face is followed through the pan."""
    write_image(tmp_path / "photo.png", astronaut[:240:2, 80:400:2])
    assert run(EXAMPLES / "own_source.py", tmp_path / "photo.png") == "1 faces were followed\n"


def test_inside_asyncio(astronaut: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """Every frame of a folder comes, with its face."""
    for number in range(3):
        write_image(tmp_path / f"{number}.png", astronaut[:240:2, 80:400:2])
    assert run(EXAMPLES / "asyncio_stream.py", tmp_path) == "3 frames, 3 faces\n"


def test_a_function_that_is_called(astronaut: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """It is told of each frame's face, and the counts come at the end."""
    for number in range(3):
        write_image(tmp_path / f"{number}.png", astronaut[:240:2, 80:400:2])
    *told, last = run(EXAMPLES / "callback_stream.py", tmp_path).splitlines()
    assert [line.partition(",")[0] for line in told] == [
        f"{time} s: face 1" for time in ("0.00", "0.04", "0.08")
    ]
    assert last == "3 frames, 3 faces"


@pytest.mark.parametrize("name", ["own_source", "asyncio_stream", "callback_stream"])
def test_without_an_argument_the_usage_is_said(name: str) -> None:
    """As of any command: exit code 2, no traceback."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
