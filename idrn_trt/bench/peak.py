"""The machine's arithmetic peak, measured: the best that the same library reaches on easy shapes.

A share of a peak computed from clock and instruction width would blame the network for what the machine never
gives (clock under load, memory). So the peak is the best of a few fixed graphs through OpenVINO itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from idrn_trt.bench.measure import interleave
from idrn_trt.engines.openvino import can_bf16
from idrn_trt.engines.openvino import core as shared_core

# A chain of equal convolutions: long enough that the call's own cost disappears in it.
CHAIN = 8
CONV_CHANNELS = (64, 128, 256)
CONV_SIDES_PX = (32, 64)
GEMM_SIDE = 2048
# The shapes that came out best on the processors tried; enough for a report, where seconds count.
BEST_CONVS = ((128, 64), (256, 32))

PRECISIONS = ("fp32", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Load:
    """One graph to time: call it, and divide its multiply-accumulates by the time."""

    name: str
    macs: int
    run: Callable[[], object]


def int8_loads(threads: int) -> list[Load]:
    """The fixed int8 graphs, compiled: chains of 3x3 convolutions, and one matrix product."""
    every = tuple((channels, side) for channels in CONV_CHANNELS for side in CONV_SIDES_PX)
    return loads("int8", threads, every)


def loads(
    precision: str, threads: int, convolutions: tuple[tuple[int, int], ...] | None = None
) -> list[Load]:
    """The fixed graphs in one of PRECISIONS, compiled.

    convolutions: (channels, side in px) of each chain, BEST_CONVS by default.
    """
    core = shared_core()
    quantised = precision == "int8"
    settings = {
        "INFERENCE_NUM_THREADS": str(threads),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    made = []
    for channels, side in BEST_CONVS if convolutions is None else convolutions:
        model = _convolutions(channels, side, quantised=quantised)
        macs = CHAIN * 9 * channels**2 * side**2
        name = f"{CHAIN} conv3x3 {channels} ch {side} px"
        made.append(Load(name, macs, _runner(core, model, settings)))
    gemm = _runner(core, _gemm(quantised=quantised), settings)
    made.append(Load(f"gemm {GEMM_SIDE}", GEMM_SIDE**3, gemm))
    return made


def _runner(core: ov.Core, model: ov.Model, settings: dict[str, str]) -> Callable[[], object]:
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    run: Callable[[], object] = request.infer
    return run


def _non_negative(x: ov.Node | ov.Output, *, quantised: bool) -> ov.Node | ov.Output:
    """A non-negative tensor, on the uint8 grid over [0, 1] where the graph is to run in int8."""
    if not quantised:
        return x
    zero, one = np.float32(0), np.float32(1)
    return op.fake_quantize(x, zero, one, zero, one, 256)


def _weights(shape: tuple[int, ...], *, quantised: bool) -> ov.Node:
    """Seeded weights, int8 with a scale or float, that keep a chain's values near [0, 1]."""
    values = np.random.default_rng(0).integers(-127, 128, shape, np.int8)
    scale = np.float32(1 / (127 * np.sqrt(int(np.prod(shape[1:])))))
    if not quantised:
        return op.constant(values.astype(np.float32) * scale)
    return op.multiply(op.convert(op.constant(values), "f32"), op.constant(scale))


def _convolutions(channels: int, side: int, *, quantised: bool) -> ov.Model:
    x = op.parameter([1, channels, side, side], np.float32)
    y: ov.Node = x
    for _ in range(CHAIN):
        kernel = _weights((channels, channels, 3, 3), quantised=quantised)
        y = _non_negative(y, quantised=quantised)
        y = op.relu(op.convolution(y, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    return ov.Model([_non_negative(y, quantised=quantised)], [x])


def _gemm(*, quantised: bool) -> ov.Model:
    x = op.parameter([GEMM_SIDE, GEMM_SIDE], np.float32)
    y = _non_negative(x, quantised=quantised)
    kernel = _weights((GEMM_SIDE, GEMM_SIDE), quantised=quantised)
    return ov.Model([op.matmul(y, kernel, transpose_a=False, transpose_b=True)], [x])


def measure_peak(precisions: set[str], threads: int, budget_s: float) -> dict[str, dict[str, Any]]:
    """Precision -> {"tmac_s": the best 10^12 MAC/s, "load": of which graph}, for those this CPU has."""
    wanted = [p for p in PRECISIONS if p in precisions and (p != "bf16" or can_bf16())]
    made = {(p, load.name): load for p in wanted for load in loads(p, threads)}
    if not made:
        return {}
    taken = interleave(
        {" ".join(key): load.run for key, load in made.items()},
        rounds=1000,
        threads=threads,
        budget_s=budget_s,
    )
    # A peak is what the machine gives at its best, so of the calls too the best counts.
    rates = {key: load.macs / taken[" ".join(key)].ms.min() / 1e9 for key, load in made.items()}
    best = {p: max((key for key in rates if key[0] == p), key=lambda k: rates[k]) for p in wanted}
    return {p: {"tmac_s": round(float(rates[key]), 4), "load": key[1]} for p, key in best.items()}
