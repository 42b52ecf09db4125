"""Bias correction: channel means of the quantised network made equal to the float network's.

Rounding weights shifts each channel's mean (Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.2); in super-resolution that is a change of brightness. Here
the shift is measured over the calibration crops, not derived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from idrn_trt.toolchain.calibrate import UInt8, observe
from idrn_trt.toolchain.graph import Graph, layer_name

Float32 = npt.NDArray[np.float32]

# Correcting a layer moves the means after it, so the shift is measured again; it shrinks each time.
ROUNDS = 3


def bias_corrections(
    model: onnx.ModelProto,
    emit: Callable[[dict[str, Float32]], onnx.ModelProto],
    pictures: Sequence[UInt8],
) -> dict[str, Float32]:
    """For each convolution what to add to its bias: layer name -> (M,) float32.

    model: the float network, with its channels in the emitted file's order. emit: corrections ->
    quantised network. pictures: uint8 RGB (h, w, 3), each of equal weight.
    """
    wanted = channel_means(model, pictures)
    corrections = {name: np.zeros_like(mean) for name, mean in wanted.items()}
    for _ in range(ROUNDS):
        got = channel_means(emit(_as_float32(corrections)), pictures)
        for name, mean in wanted.items():
            corrections[name] += mean - got[name]
    return _as_float32(corrections)


def channel_means(
    model: onnx.ModelProto, pictures: Sequence[UInt8]
) -> dict[str, npt.NDArray[np.float64]]:
    """The mean of every convolution's output channels over the pictures, before any ReLU."""
    layers = {layer_name(c): str(c.output[0]) for c in Graph.of(model).convolutions()}
    sums: dict[str, npt.NDArray[np.float64]] = {}
    for values in observe(model, list(layers.values()), pictures, "channel means"):
        for name, tensor in layers.items():
            mean = values[tensor].astype(np.float64).mean(axis=(0, 2, 3))
            sums[name] = sums.get(name, 0.0) + mean
    return {name: total / len(pictures) for name, total in sums.items()}


def _as_float32(values: dict[str, npt.NDArray[np.float64]]) -> dict[str, Float32]:
    return {name: value.astype(np.float32) for name, value in values.items()}
