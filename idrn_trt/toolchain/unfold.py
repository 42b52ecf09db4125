"""The network in torch from a model file: the weights by name, the fold of the last stage undone."""

from __future__ import annotations

import numpy as np
import onnx
import torch

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.checkpoint import load_weights
from idrn_trt.toolchain.graph import Array, Graph, as_float32
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.zoo import Model


def network_from_file(data: bytes, model: Model) -> IDRN:
    """The network of an fp32 file in float32 and evaluation mode.

    data: the file; its manifest says which network it is. Raises ModelError without a manifest, and
    when the weights are not that network's.
    """
    if model.manifest is None:
        raise ModelError(f"model {model.name!r} has no manifest that says which network it is")
    net = IDRN(NetConfig(**model.manifest.network))
    constants = Graph.of(onnx.load_model_from_string(data)).constants
    weights = {name: torch.from_numpy(np.array(a, np.float32)) for name, a in constants.items()}
    wanted = net.tail.weight.shape
    tail = weights.get("tail.weight")
    if tail is not None and tail.shape != wanted and len(net.stages) > 0:
        factor = net.stages[-1].factor
        assert isinstance(factor, int)
        weights["tail.weight"] = torch.from_numpy(unfolded_kernel(constants["tail.weight"], factor))
        weights["tail.bias"] = weights["tail.bias"][:: factor**2].clone()
    load_weights(net, weights)
    return net.eval()


def unfolded_kernel(kernel: Array, r: int) -> np.ndarray:
    """(M r^2, C r^2, 3, 3) as `fold.folded_kernel` makes it -> (M, C, 3, 3): every tap of phase (0, 0)."""
    rows, columns = kernel.shape[:2]
    phases = as_float32(kernel).reshape(rows // r**2, r, r, columns // r**2, r, r, 3, 3)
    out = np.zeros((rows // r**2, columns // r**2, 3, 3), np.float32)
    for i in range(3):
        for j in range(3):
            dy, pa = divmod(i - 1, r)
            dx, pb = divmod(j - 1, r)
            out[:, :, i, j] = phases[:, 0, 0, :, pa, pb, dy + 1, dx + 1]
    return out
