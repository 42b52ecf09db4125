"""The machine's int8 arithmetic peak, measured: the best that the same library reaches on easy shapes.

A share of a peak computed from clock and instruction width would blame the network for what the machine never
gives (clock under load, memory). So the peak is the best of a few fixed graphs through OpenVINO itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as op

# A chain of equal convolutions: long enough that the call's own cost disappears in it.
CHAIN = 8
CONV_CHANNELS = (64, 128, 256)
CONV_SIDES_PX = (32, 64)
GEMM_SIDE = 2048


@dataclass(frozen=True, slots=True)
class Load:
    """One graph to time: call it, and divide its multiply-accumulates by the time."""

    name: str
    macs: int
    run: Callable[[], object]


def int8_loads(threads: int) -> list[Load]:
    """The fixed int8 graphs, compiled: chains of 3x3 convolutions, and one matrix product."""
    core = ov.Core()
    settings = {"INFERENCE_NUM_THREADS": str(threads), "PERFORMANCE_HINT": "LATENCY"}
    loads = []
    for channels in CONV_CHANNELS:
        for side in CONV_SIDES_PX:
            model = _convolutions(channels, side)
            macs = CHAIN * 9 * channels**2 * side**2
            name = f"{CHAIN} conv3x3 {channels} ch {side} px"
            loads.append(Load(name, macs, _runner(core, model, settings)))
    gemm = _runner(core, _gemm(), settings)
    loads.append(Load(f"gemm {GEMM_SIDE}", GEMM_SIDE**3, gemm))
    return loads


def _runner(core: ov.Core, model: ov.Model, settings: dict[str, str]) -> Callable[[], object]:
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    run: Callable[[], object] = request.infer
    return run


def _quantised(x: ov.Node | ov.Output) -> ov.Node:
    """A non-negative tensor on the uint8 grid over [0, 1]."""
    zero, one = np.float32(0), np.float32(1)
    return op.fake_quantize(x, zero, one, zero, one, 256)


def _weights(shape: tuple[int, ...]) -> ov.Node:
    """Seeded int8 weights with a scale that keeps a chain's values near [0, 1]."""
    values = np.random.default_rng(0).integers(-127, 128, shape, np.int8)
    fan_in = int(np.prod(shape[1:]))
    scale = np.float32(1 / (127 * np.sqrt(fan_in)))
    return op.multiply(op.convert(op.constant(values), "f32"), op.constant(scale))


def _convolutions(channels: int, side: int) -> ov.Model:
    x = op.parameter([1, channels, side, side], np.float32)
    y: ov.Node = x
    for _ in range(CHAIN):
        kernel = _weights((channels, channels, 3, 3))
        y = op.relu(op.convolution(_quantised(y), kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    return ov.Model([_quantised(y)], [x])


def _gemm() -> ov.Model:
    x = op.parameter([GEMM_SIDE, GEMM_SIDE], np.float32)
    return ov.Model(
        [
            op.matmul(
                _quantised(x), _weights((GEMM_SIDE, GEMM_SIDE)), transpose_a=False, transpose_b=True
            )
        ],
        [x],
    )
