"""What is done about the memory of a long-running process."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from idrn_trt import cli

# How many blocks of its own a picture of 1 MB adds, once a larger one was freed.
_COUNT = """
import ctypes, sys
import numpy as np
from idrn_trt.memory import give_frames_back

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
                 "fordblks", "keepcost")]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
if sys.argv[1] == "yes":
    assert give_frames_back()
del_me = np.ones(4 << 20, np.uint8)
del del_me
before = mallinfo2().hblks
picture = np.ones(1 << 20, np.uint8)
print(mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
@pytest.mark.parametrize(("told", "blocks"), [("no", 0), ("yes", 1)])
def test_a_picture_is_a_block_of_its_own(told: str, blocks: int) -> None:
    """Told so, malloc takes each picture from the system and so can give it back; left alone it does not."""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("glibc before 2.33 has no mallinfo2")
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, told], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == blocks


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["models"], 0),
        (["evaluate", "nothing", "--data", "x"], 0),
        (["upscale", "no-such-file.png", "--engine", "nothing"], 1),
        (["bench", "--duration", "0"], 1),
    ],
)
def test_only_verbs_that_make_frames_set_it(
    words: list[str],
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`idrn-trt upscale`, `stream` and `bench` tell malloc; the others leave it alone."""
    told: list[bool] = []
    monkeypatch.setattr(cli, "give_frames_back", lambda: told.append(True))
    cli.main(words)
    assert len(told) == calls
    capsys.readouterr()
