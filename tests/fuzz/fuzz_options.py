"""Options of the right type and any value: taken, or refused with an OptionError that shows the value."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from pathlib import Path
from typing import Any

from fuzz_target import check_one_line
from hypothesis import strategies as st

from idrn_trt import options
from idrn_trt.bench.options import BenchOptions
from idrn_trt.errors import OptionError
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sinks.faces import Retention

CLASSES: dict[str, type[Any]] = {
    name: kind for name, kind in vars(options).items() if dataclasses.is_dataclass(kind)
} | {kind.__name__: kind for kind in (VideoOptions, BenchOptions, StreamOptions, Retention)}

Case = tuple[str, dict[str, Any]]


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation's type."""
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return st.one_of(st.sampled_from(parts), st.text(max_size=12))
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return st.one_of(*(_values(part) for part in parts))
    if typing.get_origin(kind) is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(_values(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(_values, parts))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.one_of(st.integers(-3, 1025), st.integers()),
        float: st.one_of(
            st.floats(0, 10), st.floats(), st.sampled_from((math.inf, -math.inf, math.nan, 1e308))
        ),
        str: st.one_of(st.sampled_from(("", "test", "max", "p99", "auto")), st.text(max_size=12)),
        Path: st.sampled_from(("", ".", "a.json", "folder", "\n")).map(Path),
        types.NoneType: st.none(),
    }
    return simple[kind]


def cases() -> st.SearchStrategy[Case]:
    """A class of options, all its required values and some of the others."""
    return st.one_of(*(_of(name, kind) for name, kind in CLASSES.items()))


@st.composite
def _of(draw: st.DrawFn, name: str, kind: type[Any]) -> Case:
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    must = [field.name for field in fields if field.default is dataclasses.MISSING]
    # Of many random values one is always wrong, and only that one is then looked at.
    may = draw(st.lists(st.sampled_from([field.name for field in fields]), max_size=3))
    return name, {field: draw(_values(hints[field])) for field in dict.fromkeys([*must, *may])}


def check(case: Case) -> bool:
    """Make it; what is taken holds only numbers that can be counted with."""
    name, values = case
    try:
        made = CLASSES[name](**values)
    except OptionError as error:
        check_one_line(error)
        return False
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        if isinstance(value, float):
            assert math.isfinite(value), (field.name, value)
    return True
