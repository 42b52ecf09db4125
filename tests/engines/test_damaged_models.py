"""Damaged files opened for real: whatever passes the first look, a backend must fail in our words."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from make_models import quantised, tiny

from idrn_trt.engines import open_engine
from idrn_trt.errors import IdrnError


def damaged(rng: random.Random, whole: bytes) -> bytes:
    """The file with one to three small wounds, most of them in its structure."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 3)):
        # The weights lie in between.
        at = rng.choice([rng.randrange(len(data)), rng.randrange(2000), -1 - rng.randrange(200)])
        at %= len(data)
        action = rng.randrange(3)
        if action == 0:
            data[at] = rng.randrange(256)
        elif action == 1:
            del data[at : at + rng.randint(1, 8)]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(data)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_damaged_files(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each of 120 opens as a working engine or is refused in one line, with nothing printed."""
    rng = random.Random(0)  # noqa: S311 (a fixed sequence is wanted)
    whole = [tiny().SerializeToString(), quantised(tiny()).SerializeToString()]
    path = tmp_path / "damaged.onnx"
    answered = 0
    for number in range(120):
        path.write_bytes(damaged(rng, whole[number % 2]))
        try:
            open_engine(path, engine=name, threads=1).close()
        except IdrnError as error:
            answered += "\n" not in str(error)
        else:
            answered += 1
    assert answered == 120
    assert capfd.readouterr() == ("", "")
