"""The fold changes where the last convolution runs, never what it computes."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.fold import fold, folded_kernel
from idrn_trt.toolchain.graph import Graph
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.rewrite import shuffles_by_block


def unfolded(name: str, **changes: str) -> onnx.ModelProto:
    """A network with random weights, exported as it is written."""
    torch.manual_seed(1)
    return export_onnx(IDRN(NetConfig.parse(name, **changes)), folded=False)


def run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    """The picture that ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["sr"], {"lr": lr})[0]


def operators(model: onnx.ModelProto) -> list[str]:
    """The nodes' operators in order."""
    return [n.op_type for n in model.graph.node]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (2, 3, 17, 29), (1, 3, 8, 41)])
def test_the_fold_is_exact(scale: int, shape: tuple[int, ...]) -> None:
    """The folded graph differs from the unfolded one by at most 2e-6 of the largest value."""
    model = unfolded(f"d1-w16-x{scale}")
    lr = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected, got = run(model, lr), run(fold(model), lr)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() / np.abs(expected).max() <= 2e-6


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_last_convolution_leaves_the_full_resolution_grid(scale: int) -> None:
    """A folded graph ends in its shuffle, and computes 3 r^2 channels before it."""
    folded = fold(unfolded(f"d1-w16-x{scale}"))
    r = 3 if scale == 3 else 2
    assert operators(folded)[-2:] == ["Conv", "DepthToSpace"]
    tail = next(t for t in folded.graph.initializer if t.name == "tail.weight")
    assert tuple(tail.dims) == (3 * r * r, 16 * r * r, 3, 3)


def test_only_the_last_stage_is_folded() -> None:
    """x4 keeps its first sub-pixel stage: folding it too would multiply its work."""
    folded = fold(unfolded("d1-w16-x4"))
    first = next(t for t in folded.graph.initializer if t.name == "stages.1.conv.weight")
    assert tuple(first.dims) == (64, 16, 3, 3)
    assert operators(folded).count("DepthToSpace") == 2


def test_every_relu_stands_before_its_shuffle() -> None:
    """No ReLU follows a shuffle in a folded graph, so each can fuse with its convolution."""
    kinds = operators(fold(unfolded("d1-w16-x4")))
    assert ("DepthToSpace", "Relu") not in set(itertools.pairwise(kinds))


def test_direct_reconstruction_has_nothing_to_fold() -> None:
    """The nodes and the picture of a directly reconstructing network stay as they are, to the bit."""
    model = unfolded("d1-w16-x4", reconstruction="direct")
    folded = fold(model)
    assert operators(folded) == operators(model)
    lr = np.random.default_rng(0).random((1, 3, 9, 14), dtype=np.float32)
    assert (run(folded, lr) == run(model, lr)).all()


def test_folding_twice_is_folding_once() -> None:
    """A folded model is left as it is."""
    once = fold(unfolded("d1-w16-x3"))
    assert fold(once) == once


def test_a_foreign_model_is_refused() -> None:
    """A graph with other ends than lr and sr is not touched but named."""
    model = unfolded("d1-w16-x2")
    model.graph.output[0].name = "image"
    with pytest.raises(ModelError, match="image"):
        fold(model)


def test_a_one_tap_kernel_lands_where_the_formula_says() -> None:
    """For r = 2 the top-left tap of phase (0, 0) reads sub-pixel (1, 1) one pixel up and left."""
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 0, 0] = 7
    folded = folded_kernel(kernel, 2)
    assert folded[0, 3, 0, 0] == 7
    assert np.count_nonzero(folded[0]) == 1


@pytest.mark.parametrize("scale", [3, 4])
def test_block_order_shuffles_change_no_value(scale: int) -> None:
    """Inner shuffles in DCR mode with permuted channels give the same picture, the last stays CRD."""
    model = fold(unfolded(f"d1-w16-x{scale}"))
    rewritten = shuffles_by_block(model)
    lr = np.random.default_rng(0).random((1, 3, 9, 14), dtype=np.float32)
    assert np.abs(run(rewritten, lr) - run(model, lr)).max() <= 1e-6
    modes = [a.s for n in rewritten.graph.node if n.op_type == "DepthToSpace"
             for a in n.attribute if a.name == "mode"]  # fmt: skip
    assert modes == [b"DCR"] * (len(modes) - 1) + [b"CRD"]
    assert shuffles_by_block(rewritten) == rewritten


def test_merged_constants_are_told_apart() -> None:
    """Convolutions that an exporter gave one bias constant have one each inside a pass."""
    graph = Graph.of(fold(unfolded("d2-w16-x4")))
    biases = [c.input[2] for c in graph.convolutions()]
    assert len(set(biases)) == len(biases)
