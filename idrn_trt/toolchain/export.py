"""From a trained network to a model file that follows the project's contract.

The contract (docs/models.md): input `lr` (N, 3, h, w), output `sr` (N, 3, s*h, s*w), float32 RGB in
[0, 1], N, h and w dynamic, DepthToSpace in CRD mode, the last sub-pixel stage folded.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxsim
import torch
from torch import nn

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.fold import fold

OPSET = 17
# Largest |torch - ONNX Runtime| allowed on the check pictures, in units of [0, 1].
TOLERANCE = 1e-5
# Windows that the exported graph is checked on: not square, not the one it was traced with, batched.
CHECK_SHAPES = ((1, 3, 32, 32), (3, 3, 24, 40))


def export_onnx(
    net: nn.Module,
    *,
    folded: bool = True,
    shapes: Sequence[tuple[int, int, int, int]] = CHECK_SHAPES,
    tolerance: float = TOLERANCE,
) -> onnx.ModelProto:
    """The network as a simplified ONNX graph, proven equal to it.

    `folded` moves the last convolution off the full-resolution grid (exact; see fold). shapes: what it is
    traced with (the first) and checked on. Raises ModelError when the graph's output differs from torch's
    by more than the tolerance.
    """
    net = net.float().cpu().eval()
    model = _simplify(_trace(net, shapes[0]))
    if folded:
        model = fold(model)
    del model.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = "idrn_trt", "", ""
    onnx.checker.check_model(model, full_check=True)
    check(net, model, shapes, tolerance)
    return model


def _trace(net: nn.Module, shape: tuple[int, int, int, int]) -> onnx.ModelProto:
    axes = {0: "N", 2: "h", 3: "w"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The TorchScript exporter gives the plainest graph: one node an operator, DepthToSpace kept.
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            net,
            (torch.rand(shape),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["lr"],
            output_names=["sr"],
            dynamic_axes={"lr": axes, "sr": {0: "N", 2: "H", 3: "W"}},
        )
        return onnx.load(path)


def _simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    simplified: onnx.ModelProto
    simplified, equal = onnxsim.simplify(model)
    if not equal:
        raise ModelError("onnxsim's simplified graph does not compute what the exported one does")
    return simplified


def check(
    net: nn.Module,
    model: onnx.ModelProto,
    shapes: Sequence[tuple[int, int, int, int]] = CHECK_SHAPES,
    tolerance: float = TOLERANCE,
) -> float:
    """The largest |torch - ONNX Runtime| over seeded pictures; ModelError above the tolerance."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    differences = []
    for shape in shapes:
        lr = rng.random(shape, dtype=np.float32)
        with torch.no_grad():
            expected = net(torch.from_numpy(lr)).numpy()
        got = session.run(["sr"], {"lr": lr})[0]
        differences.append(np.abs(got - expected).max())
    worst = float(np.max(differences))  # NaN if any is
    if not worst <= tolerance:  # NaN must fail too
        raise ModelError(
            f"the exported graph differs from the network by {worst:.2e}, allowed are {tolerance:.0e}"
        )
    return worst
