"""The calibration table: what was measured over real faces, and how the int8 files follow from it.

A table and the fp32 model give the quantised files again to the last bit, without any picture.
`docs/models.md` describes the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import ModelError
from idrn_trt.files import write_text

FORMAT = 1
PERCENTILES = (99.0, 99.9, 99.99, 99.999)
CLIPS = ("max", *(f"p{p:g}" for p in PERCENTILES))
KINDS = ("int8-cpu", "int8-trt")
# A factor of equalisation or its inverse: float16 holds activations that many times larger with ease.
LARGEST_FACTOR = 32.0

_LARGEST_FILE = 16 << 20
_LARGEST_NAME = 256
_MOST = {"crops": 100_000, "tensors": 10_000, "windows_px": 64, "channels": 65_536}


@dataclass(frozen=True, slots=True)
class Range:
    """A tensor's smallest and largest value, and percentiles of its magnitude in PERCENTILES' order."""

    min: float
    max: float
    percentiles: tuple[float, ...]

    def limit(self, clip: str) -> float:
        """The largest magnitude to represent: a name of CLIPS -> a positive number."""
        if clip == "max":
            return max(-self.min, self.max)
        return self.percentiles[CLIPS.index(clip) - 1]


@dataclass(frozen=True, slots=True)
class Plan:
    """What, besides the ranges, decides one int8 file.

    clip: a name of CLIPS. keep_float: layers left in float. bias: layer -> what is added to its bias,
    float32, one value an output channel. shared_concat: see qdq.int8_trt.
    """

    clip: str = "max"
    keep_float: tuple[str, ...] = ()
    bias: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    shared_concat: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One model's calibration: ranges by tensor, what they were measured on and with, and the plans.

    factors: see equalise.equalised; the ranges are those of the equalised model.
    """

    model_sha256: str
    windows_px: tuple[int, ...]
    crops: tuple[str, ...]
    tools: dict[str, str]
    tensors: dict[str, Range]
    plans: dict[str, Plan] = field(default_factory=dict)
    factors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def write_table(table: Table, path: Path) -> None:
    """Write the table as JSON, all at once. Raises SinkError."""
    write_text(path, json.dumps(_encoded(table), indent=1) + "\n")


def read_table(path: Path) -> Table:
    """The table in a file. Raises ModelError, one line, for anything that is not wholly valid."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelError(f"above {_LARGEST_FILE >> 20} MiB")
        data = json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_no_constant)
        return _decoded(data)
    except OSError as error:
        raise ModelError(f"cannot read calibration table {str(path)!r}: {error}") from error
    except (ModelError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(
            f"calibration table {str(path)!r} is not valid: {reason}. Make it anew with "
            "`idrn-trt quantise MODEL --calib FOLDER`"
        ) from error


def _encoded(table: Table) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model_sha256": table.model_sha256,
        "windows_px": list(table.windows_px),
        "tools": table.tools,
        "plans": {kind: _encoded_plan(plan) for kind, plan in table.plans.items()},
        "factors": _encoded_arrays(table.factors),
        "tensors": {
            name: {"min": r.min, "max": r.max, **dict(zip(CLIPS[1:], r.percentiles, strict=True))}
            for name, r in table.tensors.items()
        },
        "crops": list(table.crops),
    }


def _encoded_plan(plan: Plan) -> dict[str, Any]:
    return {
        "clip": plan.clip,
        "keep_float": list(plan.keep_float),
        "shared_concat": plan.shared_concat,
        "bias": _encoded_arrays(plan.bias),
    }


def _encoded_arrays(arrays: dict[str, npt.NDArray[np.float32]]) -> dict[str, list[float]]:
    """float32 -> shortest decimals that read back as the same float32."""
    return {name: [float(str(v)) for v in values] for name, values in arrays.items()}


def _decoded(data: Any) -> Table:
    fields = _object(
        data,
        "the table",
        {"format", "model_sha256", "windows_px", "tools", "plans", "factors", "tensors", "crops"},
    )
    if fields["format"] != FORMAT or type(fields["format"]) is not int:
        raise ModelError(f"format {fields['format']!r}, expected {FORMAT}")
    return Table(
        model_sha256=_sha256(fields["model_sha256"], "model_sha256"),
        windows_px=tuple(_list(fields["windows_px"], "windows_px", _window)),
        crops=tuple(_list(fields["crops"], "crops", _sha256)),
        tools=_mapping(fields["tools"], "tools", _text),
        tensors=_mapping(fields["tensors"], "tensors", _range),
        plans=_plans(fields["plans"]),
        factors=_mapping(fields["factors"], "factors", _factors),
    )


def _plans(value: Any) -> dict[str, Plan]:
    plans = _mapping(value, "plans", _plan)
    if unknown := sorted(set(plans) - set(KINDS)):
        raise ModelError(f"plans for {unknown[0]!r}, expected {' or '.join(KINDS)}")
    return plans


def _plan(value: Any, where: str) -> Plan:
    fields = _object(value, where, {"clip", "keep_float", "shared_concat", "bias"})
    if fields["clip"] not in CLIPS:
        raise ModelError(f"{where}: clip {fields['clip']!r}, expected one of {', '.join(CLIPS)}")
    if not isinstance(fields["shared_concat"], bool):
        raise ModelError(f"{where}: shared_concat {fields['shared_concat']!r}, expected a boolean")
    return Plan(
        clip=fields["clip"],
        keep_float=tuple(_list(fields["keep_float"], f"{where}: keep_float", _text)),
        shared_concat=fields["shared_concat"],
        bias=_mapping(fields["bias"], f"{where}: bias", _bias),
    )


def _bias(value: Any, where: str) -> npt.NDArray[np.float32]:
    return np.array(_list(value, where, _number), np.float32)


def _factors(value: Any, where: str) -> npt.NDArray[np.float32]:
    factors = _bias(value, where)
    if not ((factors >= 1 / LARGEST_FACTOR) & (factors <= LARGEST_FACTOR)).all():
        raise ModelError(
            f"{where}: expected factors from 1/{LARGEST_FACTOR:g} to {LARGEST_FACTOR:g}"
        )
    return factors


def _range(value: Any, where: str) -> Range:
    fields = _object(value, where, {"min", "max", *CLIPS[1:]})
    numbers = {name: _number(v, f"{where}: {name}") for name, v in fields.items()}
    steps = [0.0, *(numbers[name] for name in CLIPS[1:])]
    steps.append(max(-numbers["min"], numbers["max"]))
    if numbers["min"] > numbers["max"] or steps != sorted(steps) or steps[-1] <= 0:
        raise ModelError(
            f"{where}: expected min <= max and 0 <= p99 <= ... <= the largest magnitude, above 0"
        )
    return Range(numbers["min"], numbers["max"], tuple(steps[1:-1]))


def _object(value: Any, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ModelError(f"{where}: got {got!r:.100}, expected the keys {', '.join(sorted(keys))}")
    return value


def _mapping(value: Any, where: str, decode: Callable[[Any, str], Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MOST["tensors"]:
        raise ModelError(f"{where}: expected an object of at most {_MOST['tensors']} entries")
    return {_text(name, where): decode(v, f"{where}: {name!r}") for name, v in value.items()}


def _list(value: Any, where: str, decode: Callable[[Any, str], Any]) -> list[Any]:
    most = _MOST.get(where, _MOST["channels"])
    if not isinstance(value, list) or len(value) > most:
        raise ModelError(f"{where}: expected a list of at most {most} entries")
    return [decode(v, where) for v in value]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ModelError(f"{where}: {value!r:.40}, expected a number")
    # Anything a float32 network computes on pictures in [0, 1] is far inside this.
    if not abs(value) <= 1e6:  # a NaN must fail too, and an int may be beyond any float
        raise ModelError(f"{where}: {value!r:.40}, expected a magnitude up to 1e6")
    return float(value)


def _window(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 8 <= value <= 4096:
        raise ModelError(f"{where}: {value!r:.40}, expected 8 to 4096 pixels")
    return value


def _sha256(value: Any, where: str) -> str:
    text = _text(value, where)
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ModelError(f"{where}: {text!r:.80} is not a sha256 in hexadecimal")
    return text


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LARGEST_NAME:
        raise ModelError(f"{where}: {value!r:.40}, expected text of 1 to {_LARGEST_NAME} letters")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ModelError("a key occurs twice")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ModelError(f"{name} is not a number")
