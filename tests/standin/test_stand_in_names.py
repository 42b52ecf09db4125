"""The stand-in for TensorRT has only names that the real bindings have, so code cannot lean on more."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path

import pytest
import trt_standin

sys.path.insert(0, str(Path(__file__).parents[1] / "tensorrt" / "real_api"))

from bindings import VERSIONS, bindings, python

NAMES = """
import json, tensorrt as t
print(json.dumps({name: dir(getattr(t, name)) for name in dir(t)}))
"""


def names(module: object) -> dict[str, set[str]]:
    """Public classes that were defined for the stand-in, with their public members."""
    found = {}
    for name, thing in vars(module).items():
        if (
            isinstance(thing, type)
            and not name.startswith("_")
            and thing.__module__ == "trt_standin"
        ):
            members = thing.__members__ if issubclass(thing, enum.Enum) else vars(thing)
            found[name] = {member for member in members if not member.startswith("_")}
    return found


def own(thing: type) -> set[str]:
    """Attributes that an instance sets on itself and that are public."""
    source = Path(trt_standin.__file__).read_text(encoding="utf-8")
    block = source.split(f"class {thing.__name__}")[1].split("\nclass ")[0]
    parts = (part.split() for part in block.split("self.")[1:])
    return {part[0].rstrip(":") for part in parts if part[1:2] == ["="] and part[0][0] != "_"}


@pytest.mark.parametrize("version", VERSIONS)
def test_stand_in_names_are_real(version: str) -> None:
    """Every class, method, attribute and enumerator of the stand-in is in this version of TensorRT."""
    real = {
        name: set(members)
        for name, members in json.loads(python(bindings(version), "-c", NAMES)).items()
    }
    ours = names(trt_standin)
    assert len(ours) > 15
    assert set(ours) - set(real) == set()
    lacking = {name: members - real[name] for name, members in ours.items()}
    assert {name: members for name, members in lacking.items() if members} == {}
    for name in ("Runtime", "IBuilderConfig"):
        assert own(getattr(trt_standin, name)) - real[name] == set()
