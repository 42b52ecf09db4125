"""Layer reports from JSON in the form that TensorRT's inspector is documented to give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idrn_trt.engines._trt_profiles import Profile
from idrn_trt.errors import ModelError
from idrn_trt.toolchain.layers import layers_text, read_layers


def conv(name: str, kind: str) -> dict[str, Any]:
    """A convolution as 10.x and 11.x describe it where several shapes hide the tensors' formats."""
    return {
        "Name": name,
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "x", "Format/Datatype": "N/A due to dynamic shapes"}],
        "Outputs": [{"Name": "y", "Format/Datatype": "N/A due to dynamic shapes"}],
        "ParameterType": "Convolution",
        "Weights": {"Type": kind, "Count": 36864},
    }


def other(kind: str, name: str = "layer") -> dict[str, Any]:
    """A layer without weights."""
    return {"Name": name, "LayerType": kind, "Inputs": [], "Outputs": []}


def text(*layers: dict[str, Any]) -> str:
    """The inspector's answer."""
    return json.dumps({"Layers": layers, "Bindings": ["lr_uint8", "sr_uint8"]})


def test_reformats_and_types_are_counted() -> None:
    """Layers are counted by kind, convolutions by their weights' type under the names of our files."""
    (found,) = read_layers(
        text(conv("head", "Half"), other("Reformat"), conv("a", "Int8"), conv("b", "Int8"),
             other("Reformat"), conv("tail", "Half"), other("PointWiseV2")),
        1,
    )  # fmt: skip
    assert found.count == 7
    assert found.reformats == 2
    assert found.convolutions == {"fp16": 2, "int8": 2}
    assert found.kinds == {"CaskConvolution": 4, "Reformat": 2, "PointWiseV2": 1}


@pytest.mark.parametrize(
    ("types", "islands"),
    [
        ("h888h", 0),  # float head and tail, as our files have them
        ("h88h88h", 1),
        ("h8hh8h8h", 2),
        ("hhh", 0),
        ("888", 0),
        ("8h", 0),
        ("", 0),
        ("8f8", 1),
    ],
)
def test_float_islands_lie_between_int8_layers(types: str, islands: int) -> None:
    """A run of float convolutions counts when int8 ones stand on both of its sides."""
    names = {"h": "Half", "8": "Int8", "f": "Float"}
    (found,) = read_layers(text(*(conv(f"c{i}", names[t]) for i, t in enumerate(types))), 1)
    assert found.float_islands == islands


def test_profiles_are_told_apart_by_their_layers_names() -> None:
    """Layers of later profiles carry the profile's number; each profile gets its own counts."""
    described = text(
        conv("head", "Half"),
        conv("a", "Int8"),
        conv("head [profile 1]", "Half"),
        other("Reformat", "copy [profile 1]"),
        conv("a [profile 1]", "Int8"),
    )
    first, second = read_layers(described, 2)
    assert (first.count, first.reformats) == (2, 0)
    assert (second.count, second.reformats) == (3, 1)
    table = layers_text([Profile(48, 40, 1), Profile(48, 40, 4)], [first, second])
    assert table.splitlines()[0].split()[:3] == ["window", "px", "batch"]
    assert [line.split()[:2] for line in table.splitlines()[-2:]] == [
        ["40x48", "1"],
        ["40x48", "4"],
    ]
    assert "1 fp16, 1 int8" in table


@pytest.mark.parametrize(
    "answer",
    ["", "no JSON", "[]", "{}", '{"Layers": [3]}', '{"Layers": ["only the name"]}',
     '{"Layers": [{"Name": "a [profile 7]"}]}'],
)  # fmt: skip
def test_another_form_is_an_error_and_no_crash(answer: str) -> None:
    """What a release answers in another form than documented is a ModelError."""
    with pytest.raises(ModelError, match="unknown form"):
        read_layers(answer, 2)
