"""The network in torch from a model file: its weights, the fold of the last stage undone."""

from __future__ import annotations

import numpy as np
import onnx
import torch

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.checkpoint import load_weights
from idrn_trt.toolchain.graph import OUTPUT, Array, Graph, as_float32, attribute
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
    graph = Graph.of(onnx.load_model_from_string(data))
    names = [name for name, part in net.named_modules() if isinstance(part, torch.nn.Conv2d)]
    found = graph.convolutions()
    if len(found) != len(names):
        raise ModelError(
            f"model {model.name!r} has {len(found)} convolutions, its manifest's network {len(names)}"
        )
    weights = {}
    # By their order: exporters merge equal constants, and then the names are not the network's.
    for name, conv in zip(names, found, strict=True):
        kernel, bias = (as_float32(graph.constants[constant]) for constant in conv.input[1:3])
        if name == "tail" and len(net.stages) > 0 and kernel.shape != net.tail.weight.shape:
            factor = _last_shuffle(graph)
            kernel, bias = unfolded_kernel(kernel, factor), bias[:: factor**2]
        weights[f"{name}.weight"] = torch.from_numpy(kernel.copy())
        weights[f"{name}.bias"] = torch.from_numpy(bias.copy())
    load_weights(net, weights)
    return net.eval()


def _last_shuffle(graph: Graph) -> int:
    """The factor of the shuffle that a folded file ends with. Raises ModelError for another end."""
    end = graph.producer(OUTPUT)
    if end is None or end.op_type != "DepthToSpace":
        raise ModelError("the file's last kernel is not the network's, and no shuffle follows it")
    return int(attribute(end, "blocksize"))


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
