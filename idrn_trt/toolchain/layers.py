"""What a TensorRT plan is made of, from the JSON of TensorRT's engine inspector.

Written from NVIDIA's documentation of that JSON, for 10.x and 11.x
(https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/engine-tools.html); not run on
a plan of ours.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idrn_trt.engines._trt_profiles import Profile, size_text
from idrn_trt.errors import ModelError
from idrn_trt.tables import table

# What the layers of every profile but the first have behind their names.
_PROFILE = re.compile(r"\[profile (\d+)\]\s*$")
_TYPES = {"int8": "int8", "half": "fp16", "fp16": "fp16", "float": "fp32", "fp32": "fp32"}
_REFORMAT = "Reformat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The layers of one profile.

    reformats: that only copy a tensor into another layout or type. convolutions: how many of each
    weights' type. float_islands: runs of float convolutions between int8 ones, each of which costs a
    reformat on both sides. kinds: how many of each of TensorRT's own layer types.
    """

    count: int
    reformats: int
    convolutions: dict[str, int]
    float_islands: int
    kinds: dict[str, int]


def read_layers(text: str, profiles: int) -> list[Layers]:
    """One `Layers` for each of so many profiles, in order. Raises ModelError for another JSON."""
    try:
        described = json.loads(text)["Layers"]
        groups: list[list[dict[str, Any]]] = [[] for _ in range(profiles)]
        for layer in described:
            match = _PROFILE.search(layer["Name"])
            groups[int(match[1]) if match else 0].append(layer)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"TensorRT's inspector answers in an unknown form: {error!r}") from error
    return [_layers(group) for group in groups]


def _layers(described: Sequence[dict[str, Any]]) -> Layers:
    kinds = Counter(str(layer.get("LayerType", "unknown")) for layer in described)
    types = list(_convolution_types(described))
    return Layers(
        count=len(described),
        reformats=kinds[_REFORMAT],
        convolutions=dict(Counter(types)),
        float_islands=_islands(types),
        kinds=dict(kinds.most_common()),
    )


def _convolution_types(described: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The weights' type of each convolution. With several shapes it is all that TensorRT tells."""
    for layer in described:
        weights = layer.get("Weights")
        if isinstance(weights, dict) and "Type" in weights:
            name = str(weights["Type"]).lower()
            yield _TYPES.get(name, name)


def _islands(types: Sequence[str]) -> int:
    runs = [is_int8 for is_int8, _ in itertools.groupby(types, lambda kind: kind == "int8")]
    return sum(1 for is_int8 in runs[1:-1] if not is_int8)


def layers_text(profiles: Sequence[Profile], layers: Sequence[Layers]) -> str:
    """The table for people: a row a profile."""
    rows = [
        (size_text(profile.window), profile.batch, found.count, found.reformats, found.float_islands,
         ", ".join(f"{n} {kind}" for kind, n in sorted(found.convolutions.items())) or "not told")
        for profile, found in zip(profiles, layers, strict=True)
    ]  # fmt: skip
    head = ("window px", "batch", "layers", "reformats", "float islands", "convolutions")
    return table(head, rows)
