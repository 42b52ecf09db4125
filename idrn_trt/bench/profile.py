"""Where a network's time goes: OpenVINO's own counters, layer by layer."""

from __future__ import annotations

from typing import Any

import openvino as ov

from idrn_trt.bench.cases import Case
from idrn_trt.bench.pictures import windows
from idrn_trt.engines.openvino import compile_options, with_uint8_ends
from idrn_trt.engines.openvino import core as shared_core
from idrn_trt.errors import ModelError
from idrn_trt.zoo import Model

CALLS = 30


def profile(case: Case, side: int, count: int, threads: int) -> list[dict[str, Any]]:
    """Layers with their type, kernel and mean time in ms over CALLS calls, the slowest first.

    The graph is the engine's own, compiled once more with counters on, which slows it a little. Raises
    ModelError for an engine that keeps no such counters.
    """
    if case.row.engine != "openvino" or case.source is None or case.row.precision == "fp16":
        raise ModelError(f"no times by layer for {case.row.name}: only engine 'openvino' has them")
    precision = case.row.precision
    core = shared_core()
    graph = core.read_model(_file(case.source, case.row.sha256))
    # Numbered by the engine in this order; people know the file's names.
    names = {f"idrn_{n}": o.friendly_name for n, o in enumerate(graph.get_ordered_ops())}
    graph = with_uint8_ends(graph, (count, side, side))
    config = {**compile_options(precision, threads), "PERF_COUNT": True}  # type: ignore[arg-type]
    request = core.compile_model(graph, "CPU", config).create_infer_request()
    request.set_input_tensor(ov.Tensor(windows(count, side)))
    totals: dict[tuple[str, str, str], float] = {}
    for turn in range(CALLS + 3):
        request.infer()
        if turn < 3:  # caches
            continue
        for layer in request.get_profiling_info():
            name = names.get(layer.node_name, layer.node_name)
            key = (name, layer.node_type, layer.exec_type)
            totals[key] = totals.get(key, 0.0) + layer.real_time.total_seconds() * 1e3
    layers = [
        {"layer": name, "type": kind, "kernel": kernel, "ms": round(ms / CALLS, 6)}
        for (name, kind, kernel), ms in totals.items()
        if ms > 0
    ]
    return sorted(layers, key=lambda layer: layer["ms"], reverse=True)


def _file(model: Model, sha256: str) -> bytes:
    kind = next(kind for kind, file in model.files.items() if file.sha256 == sha256)
    return model.read(kind)
