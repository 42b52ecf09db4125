"""Manifests, calibration tables, reports and checkpoints of any content: read, or refused in one line.

The checkpoint, whose header is JSON too, is among them where torch is installed.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz_damage import damaged
from fuzz_target import check_one_line
from fuzz_videos import scratch
from hypothesis import strategies as st

from idrn_trt.bench.compare import compare
from idrn_trt.bench.document import FORMAT, KIND, read_report
from idrn_trt.commands.bench import _comparison_text
from idrn_trt.errors import ModelError, SourceError
from idrn_trt.manifest import parse_manifest
from idrn_trt.toolchain.table import read_table

Case = tuple[str, bytes]

_SHA = "0123456789abcdef" * 4


def _manifest() -> dict[str, Any]:
    entry = {"path": "model.onnx", "sha256": _SHA, "bytes": 12}
    return {
        "format_version": 1, "name": "idrn-d1-w8-x2", "scale": 2, "network": {"depth": 1, "scale": 2},
        "files": {"fp32": entry, "int8-cpu": {**entry, "path": "a/b.onnx", "parents": ["fp32"]}},
        "data": [{"name": "a", "share": 0.5}], "recipe": {"steps": 1}, "quality": {"psnr": 1e2},
    }  # fmt: skip


def _table() -> dict[str, Any]:
    steps = {"p99": 0.5, "p99.9": 0.6, "p99.99": 0.7, "p99.999": 0.8}
    plan = {
        "clip": "max",
        "keep_float": ["out"],
        "shared_concat": False,
        "bias": {"head": [0.25, -1]},
    }
    return {
        "format": 1, "model_sha256": _SHA, "windows_px": [32], "tools": {"numpy": "2"},
        "plans": {"int8-cpu": plan}, "factors": {"head": [0.5, 2.0]},
        "tensors": {"lr": {"min": 0, "max": 1.0, **steps}}, "crops": [_SHA],
    }  # fmt: skip


def _report() -> dict[str, Any]:
    row = {
        "model": "m", "engine": "openvino", "precision": "int8", "reason": "", "sha256": _SHA,
        "blocks_ms": [[5.0, 5.1], [5.2, 5.0], [5.1, 5.3]], "figures": {"median_ms": 5.1}, "notes": ["a"],
    }  # fmt: skip
    return {
        "format": FORMAT, "kind": KIND, "mode": "engines", "label": "", "interrupted": False,
        "machine": {"model": "a processor"}, "versions": {"numpy": "2"},
        "conditions": {"scenario": "single-stream", "window_px": 32, "batch": 1, "threads": 2},
        "control": {"blocks_ms": [[8.0], [8.1], [8.2]]},
        "rows": [row, {**row, "precision": "fp32", "blocks_ms": [], "reason": "not here"}],
    }  # fmt: skip


@functools.lru_cache(maxsize=1)
def _checkpoint() -> tuple[dict[str, Any], bytes]:
    """A checkpoint's header, with the JSON text in it taken apart, and the numbers behind it."""
    import torch

    from idrn_trt.toolchain.checkpoint import Checkpoint, save_checkpoint
    from idrn_trt.toolchain.net import IDRN, NetConfig

    torch.set_num_threads(1)
    net = IDRN(NetConfig(depth=1, width=2, scale=2))
    state = {name: {"exp_avg": p.detach().clone()} for name, p in net.named_parameters()}
    path = scratch() / "seed.safetensors"
    save_checkpoint(
        Checkpoint(net.config, net.state_dict(), state, {"steps": 1}, {"step": 1}), path
    )
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"]["idrn_trt"] = json.loads(header["__metadata__"]["idrn_trt"])
    return header, data[end:]


def _packed(header: Any) -> bytes:
    """The checkpoint's bytes again."""
    header = copy.deepcopy(header)
    meta = header.get("__metadata__") if isinstance(header, dict) else None
    if isinstance(meta, dict) and "idrn_trt" in meta:
        meta["idrn_trt"] = json.dumps(meta["idrn_trt"])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + _checkpoint()[1]


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a JSON document."""
    yield place
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from _places(value[key], (*place, key))


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ("", "..", "/etc/passwd", "a/../../b", "fp32", "max", _SHA, "\ud800", "x" * 400)
    ),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def _rewritten(draw: st.DrawFn, document: Any) -> Any:
    """The document with some of its values replaced, dropped or swapped."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        place = draw(st.sampled_from(places))
        if not place:
            return draw(_VALUES)
        above = functools.reduce(lambda value, key: value[key], place[:-1], document)
        how = draw(st.sampled_from(("replace", "replace", "drop", "nest")))
        if how == "replace":
            above[place[-1]] = draw(_VALUES)
        elif how == "drop":
            del above[place[-1]]
        else:
            above[place[-1]] = draw(st.sampled_from(([], {}))) or [above[place[-1]]]
    return document


def cases() -> st.SearchStrategy[Case]:
    """A kind of document, and its text: rewritten value by value, or damaged byte by byte."""
    kinds = []
    for kind, document in (("manifest", _manifest()), ("table", _table()), ("report", _report())):
        text = json.dumps(document).encode()
        texts = st.one_of(
            _rewritten(document).map(lambda d: json.dumps(d).encode()), damaged((text,))
        )
        kinds.append(st.tuples(st.just(kind), texts))
    if importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors"):
        header = _checkpoint()[0]
        files = st.one_of(_rewritten(header).map(_packed), damaged((_packed(header),)))
        kinds.append(st.tuples(st.just("checkpoint"), files))
    return st.one_of(kinds)


def check(case: Case) -> bool:
    """Read it and do with it what its readers do."""
    kind, data = case
    path = scratch() / f"{kind}.json"
    path.write_bytes(data)
    try:
        {
            "manifest": _check_manifest, "table": read_table, "report": _check_report,
            "checkpoint": _check_checkpoint,
        }[kind](path)  # fmt: skip
    except (ModelError, SourceError) as error:
        check_one_line(error)
        return False
    return True


def _check_manifest(path: Path) -> None:
    manifest = parse_manifest(path.read_bytes())
    for file in manifest.files.values():
        inside = (path.parent / file.path).resolve()
        assert inside.is_relative_to(path.parent.resolve())


def _check_report(path: Path) -> None:
    report = read_report(path)
    good = path.with_name("good.json")
    good.write_text(json.dumps(_report()))
    for pair in ((report, read_report(good)), (read_report(good), report)):
        assert _comparison_text(compare(*pair, 1.1), 1.1)


def _check_checkpoint(path: Path) -> None:
    from idrn_trt.toolchain.checkpoint import load_checkpoint

    load_checkpoint(path).module()
