"""Weights to start from: of a checkpoint, or of a released model's fp32 ONNX file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.checkpoint import load_checkpoint, load_weights
from idrn_trt.toolchain.export import check
from idrn_trt.toolchain.fold import folded_kernel
from idrn_trt.toolchain.graph import Array, Graph, attribute, read_model
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.networks import Config

_UNIT = re.compile(r"units\.(\d+)\.conv1\.weight")


def weights_file(path: Path) -> Path:
    """The file that `path` means: itself, or a model folder's model.onnx. Raises ModelError."""
    file = path / "model.onnx" if path.is_dir() else path
    if not file.is_file():
        raise ModelError(
            f"no weights at {str(path)!r}: expected a checkpoint (.safetensors), a model folder "
            "with model.onnx, or an .onnx file"
        )
    return file


def read_weights(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """The network's configuration and its weights, by the names that torch gives them.

    path: see `weights_file`. Of a checkpoint with a running average that is taken. Raises ModelError.
    """
    file = weights_file(path)
    if file.suffix == ".onnx":
        return weights_of_onnx(read_model(file))
    saved = load_checkpoint(file)
    return saved.enlarging, saved.average or saved.weights


def weights_of_onnx(model: onnx.ModelProto) -> tuple[NetConfig, dict[str, Tensor]]:
    """The same of an fp32 model file; the sub-pixel fold is undone, exactly.

    The network built from them is checked against the file. Raises ModelError for a file that is not
    an exported IDRN with dense units: quantised, float16, or with batch normalisation folded in.
    """
    graph = Graph.of(model)
    found = {name: value for name, value in graph.constants.items() if _is_weight(name)}
    if any(node.op_type not in _OPERATORS for node in graph.nodes) or not found:
        kinds = ", ".join(sorted({node.op_type for node in graph.nodes}))
        raise ModelError(f"weights are read from fp32 files of IDRN only, got one with {kinds}")
    try:
        config = _config(graph, found)
        _unfold(config, found)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(f"the file's weights are not those of an IDRN: {error!r}") from error
    weights = {name: torch.from_numpy(np.array(value)) for name, value in found.items()}
    net = IDRN(config)
    load_weights(net, weights)
    check(net.eval(), model)
    return config, weights


_OPERATORS = frozenset({"Conv", "Relu", "Add", "Concat", "DepthToSpace", "Constant"})


def _is_weight(name: str) -> bool:
    return name.endswith((".weight", ".bias"))


def _config(graph: Graph, found: dict[str, Array]) -> NetConfig:
    shuffles = [n for n in graph.nodes if n.op_type == "DepthToSpace"]
    depth = sum(_UNIT.fullmatch(name) is not None for name in found)
    width = len(found["head.bias"])
    if depth and found["units.0.conv2.weight"].shape[1] != 2 * width:
        raise ValueError("units without a dense connection")
    additions = sum(node.op_type == "Add" for node in graph.nodes)
    return NetConfig(
        depth=depth,
        width=width,
        scale=int(np.prod([attribute(n, "blocksize") for n in shuffles])),
        # A unit has one addition of its own; Eq. (1) one more each, "global" one in all.
        fusion="every-unit" if additions == 2 * depth else "global",
        reconstruction="staged" if any(name.startswith("stages.") for name in found) else "direct",
    )


def _unfold(config: NetConfig, found: dict[str, Array]) -> None:
    """Undo fold.fold: each tap of the tail is found again in every phase of the folded one."""
    folded, bias = found["tail.weight"], found["tail.bias"]
    if config.reconstruction == "direct" or folded.shape[1] == config.width:
        return
    r = 3 if config.scale == 3 else 2
    phases = folded.reshape(3, r, r, config.width, r, r, 3, 3)
    kernel = np.empty((3, config.width, 3, 3), folded.dtype)
    for i in range(3):
        for j in range(3):
            (dy, a), (dx, b) = divmod(i - 1, r), divmod(j - 1, r)
            kernel[:, :, i, j] = phases[:, 0, 0, :, a, b, dy + 1, dx + 1]
    if not np.array_equal(folded_kernel(kernel, r), folded):
        raise ValueError("a last convolution that no fold gives")
    found["tail.weight"], found["tail.bias"] = kernel, bias[:: r * r]
