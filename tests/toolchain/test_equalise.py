"""Equalisation changes where values are large, never the picture; its factors lower the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from idrn_trt.errors import ModelError
from idrn_trt.quality.metrics import psnr
from idrn_trt.toolchain.calibrate import calibrate, crop_files, read_crops
from idrn_trt.toolchain.equalise import Float32, channel_groups, equalised
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.factors import least_noise
from idrn_trt.toolchain.fidelity import run_onnxruntime
from idrn_trt.toolchain.graph import Graph, layer_name
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.qdq import int8_cpu, int8_trt
from idrn_trt.toolchain.rewrite import shuffles_by_block
from idrn_trt.toolchain.table import LARGEST_FACTOR, Plan


def network(name: str, **changes: str) -> onnx.ModelProto:
    """A network with random weights."""
    torch.manual_seed(8)
    return export_onnx(IDRN(NetConfig.parse(name, **changes)))


@pytest.fixture(scope="module", name="model")
def _model() -> onnx.ModelProto:
    return network("d2-w16-x4")


def run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    """The picture that ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["sr"], {"lr": lr})[0]


def random_factors(model: onnx.ModelProto) -> dict[str, Float32]:
    """Factors from 1/32 to 32, one draw for each group of channels."""
    groups = channel_groups(model)
    size = 1 + max(int(g.max()) for g in groups.values())
    drawn = np.exp2(np.random.default_rng(0).uniform(-5, 5, size)).astype(np.float32)
    drawn[0] = 1
    convolutions = Graph.of(model).convolutions()
    return {layer_name(c): drawn[groups[c.output[0]]] for c in convolutions}


@pytest.mark.parametrize(
    ("name", "changes"),
    [("d2-w16-x4", {}), ("d1-w16-x3", {}), ("d2-w16-x2", {"fusion": "global"}),
     ("d2-w16-x4", {"reconstruction": "direct"}), ("d2-w16-x2", {"unit": "traditional"})],
)  # fmt: skip
def test_any_factors_keep_the_picture(name: str, changes: dict[str, str]) -> None:
    """With factors over three decades the picture differs by at most 2e-6 of its largest value."""
    model = network(name, **changes)
    lr = np.random.default_rng(0).random((2, 3, 17, 29), dtype=np.float32)
    factors = random_factors(model)
    assert max(float(f.max()) for f in factors.values()) > 10
    expected, got = run(model, lr), run(equalised(model, factors), lr)
    assert np.abs(got - expected).max() / np.abs(expected).max() <= 2e-6


def test_shuffles_by_block_are_followed_too(model: onnx.ModelProto) -> None:
    """A DCR shuffle's channels are grouped by its own order."""
    blocks = shuffles_by_block(model)
    lr = np.random.default_rng(1).random((1, 3, 9, 14), dtype=np.float32)
    got = run(equalised(blocks, random_factors(blocks)), lr)
    assert np.abs(got - run(model, lr)).max() <= 2e-6 * np.abs(got).max()


def test_the_residual_stream_shares_its_factors_and_hidden_maps_have_their_own(
    model: onnx.ModelProto,
) -> None:
    """Head and every conv2 have the same groups, each conv1 others; the picture has group 0."""
    groups = channel_groups(model)
    by_layer = {layer_name(c): groups[c.output[0]] for c in Graph.of(model).convolutions()}
    stream = by_layer["head"].tolist()
    assert len(set(stream)) == 16
    assert by_layer["units.0.conv2"].tolist() == by_layer["units.1.conv2"].tolist() == stream
    hidden = {*by_layer["units.0.conv1"], *by_layer["units.1.conv1"]}
    assert len(hidden) == 32
    assert not hidden & set(stream)
    assert set(by_layer["tail"]) == {0}


def test_the_phases_of_a_shuffled_channel_share_a_factor(model: onnx.ModelProto) -> None:
    """Four channels before a CRD shuffle of factor 2 are one behind it."""
    groups = channel_groups(model)
    convolutions = {layer_name(c): c for c in Graph.of(model).convolutions()}
    before = groups[convolutions["stages.0.conv"].output[0]].reshape(16, 4)
    after = groups[convolutions["stages.1.conv"].input[0]]
    assert (before == after[:, None]).all()
    assert len(set(after)) == 16


def test_no_factors_leave_the_model_as_it_is(model: onnx.ModelProto) -> None:
    """Without factors there is nothing to rewrite."""
    assert equalised(model, {}) == model


def test_unknown_layers_and_wrong_sizes_are_named(model: onnx.ModelProto) -> None:
    """Factors for a layer that is not there, or of another size, are a ModelError."""
    with pytest.raises(ModelError, match=r"'units\.9'.*head"):
        equalised(model, {"units.9": np.ones(16, np.float32)})
    with pytest.raises(ModelError, match=r"'head' has 3 factors, expected 16"):
        equalised(model, {"head": np.ones(3, np.float32)})


@pytest.mark.parametrize("layer", ["head", "units.1.conv2", "stages.0.conv", "tail"])
def test_factors_that_would_change_the_picture_are_refused(
    layer: str, model: onnx.ModelProto
) -> None:
    """One changed factor where channels meet, or at the picture, is a ModelError."""
    factors = random_factors(model)
    factors[layer] = factors[layer].copy()
    factors[layer][1] *= np.float32(1.5)
    with pytest.raises(ModelError, match="meet"):
        equalised(model, factors)


def test_an_unknown_operator_is_named(model: onnx.ModelProto, faces: Path) -> None:
    """A graph with a Sigmoid, which no factor passes through, is refused by that name."""
    foreign = onnx.ModelProto()
    foreign.CopyFrom(model)
    next(n for n in foreign.graph.node if n.op_type == "Relu").op_type = "Sigmoid"
    with pytest.raises(ModelError, match="'Sigmoid'"):
        least_noise(foreign, [c.pixels for c in read_crops(crop_files(faces))])


def uneven(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal model whose channels differ in size by up to a thousand, as bad as they come."""
    return equalised(model, random_factors(model))


def test_chosen_factors_lower_the_noise_of_uneven_channels(
    model: onnx.ModelProto, faces: Path
) -> None:
    """Both int8 files of an uneven network come at least 6 dB closer to float."""
    bad = uneven(model)
    crops = read_crops(crop_files(faces))
    good = equalised(bad, least_noise(bad, [c.pixels for c in crops]))
    picture = crops[1].pixels
    wanted = run_onnxruntime(model)(picture) * 255
    for emit in (int8_cpu, int8_trt):
        before, after = (
            psnr(wanted, run_onnxruntime(emit(m, calibrate(m, crops), Plan()))(picture) * 255)
            for m in (bad, good)
        )
        assert after > before + 6


def test_chosen_factors_are_within_their_bounds_and_repeatable(
    model: onnx.ModelProto, faces: Path
) -> None:
    """A dead channel gets a factor within the bounds, and the same pictures give the same factors."""
    dead = onnx.ModelProto()
    dead.CopyFrom(uneven(model))
    tensor = next(t for t in dead.graph.initializer if t.name == "units.0.conv1.weight")
    array = numpy_helper.to_array(tensor).copy()
    array[5] = 0
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    pictures = [c.pixels for c in read_crops(crop_files(faces))]
    first, second = least_noise(dead, pictures), least_noise(dead, pictures)
    for name, factors in first.items():
        assert (factors == second[name]).all()
        assert factors.dtype == np.float32
        assert factors.min() >= 1 / LARGEST_FACTOR
        assert factors.max() <= LARGEST_FACTOR
    assert (first["tail"] == 1).all()
