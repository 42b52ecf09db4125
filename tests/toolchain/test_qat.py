"""The fake-quantised network is the exported int8 file: same places, same steps, same picture."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from idrn_trt.errors import ModelError
from idrn_trt.images import read_image
from idrn_trt.quality.pairs import centre_square
from idrn_trt.toolchain.calibrate import (
    UInt8,
    activations,
    calibrate,
    crop_files,
    model_sha256,
    planes,
    read_crops,
)
from idrn_trt.toolchain.equalise import channel_groups, equalised
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.fidelity import Float32, Run, agreement_db, run_onnxruntime, run_openvino
from idrn_trt.toolchain.fold import folded_kernel
from idrn_trt.toolchain.graph import Graph, layer_name
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.qat import FakeQuantised, Grid
from idrn_trt.toolchain.qat_layers import Layer, folded
from idrn_trt.toolchain.qdq import int8_cpu, int8_trt
from idrn_trt.toolchain.table import Plan, Range, Table

# Least PSNR in dB to the file. It is above 140 where nothing happens but float rounding, which now and then
# moves a value over the border between two steps; one quantiser less takes it to some 50, 75 at most.
AGREEMENT_DB = 80.0
# OpenVINO adds up integers and scales the sum, which is another rounding.
OPENVINO_DB = 60.0


@dataclass
class Case:
    """A network, its fp32 file, and a table with factors and bias corrections."""

    net: IDRN
    model: onnx.ModelProto
    table: Table

    def grid(self, target: Any) -> Grid:
        """A new grid of one of the files."""
        return Grid(self.net, self.model, self.table, target)

    def file(self, target: str) -> onnx.ModelProto:
        """The int8 file."""
        even = equalised(self.model, self.table.factors)
        return EMIT[target](even, self.table, self.table.plans[target])


EMIT = {"int8-cpu": int8_cpu, "int8-trt": int8_trt}


def lively(net: IDRN, picture: UInt8) -> IDRN:
    """The network with biases, units that count, and pictures of much contrast."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(".bias"):
                torch.nn.init.normal_(parameter, std=0.02)
        for unit in net.units:
            unit.conv2.weight *= 6  # a unit starts near the identity
        net.tail.weight *= 0.25 / net(torch.from_numpy(planes(picture))).std()
    return net


@pytest.fixture(scope="module", name="case", params=["d2-w16-x4", "d1-w16-x3", "d2-w16-x2-fast"])
def _case(request: pytest.FixtureRequest, faces: Path) -> Case:
    torch.manual_seed(6)
    crops = read_crops(crop_files(faces), (24,))
    net = lively(IDRN(NetConfig.parse(request.param)), crops[0].pixels)
    model, rng = export_onnx(net), np.random.default_rng(6)
    groups, layers = channel_groups(model), Graph.of(model).convolutions()
    values = np.exp2(rng.uniform(-1.5, 1.5, 10_000)).astype(np.float32)
    values[0] = 1  # the image's and the picture's channels
    factors = {layer_name(c): values[groups[c.output[0]]] for c in layers}
    shifts = {n: rng.normal(0, 0.01, f.shape).astype(np.float32) for n, f in factors.items()}
    table = replace(
        calibrate(equalised(model, factors), crops),
        plans=dict.fromkeys(EMIT, Plan(bias=shifts)),
        factors=factors,
    )
    return Case(net, model, table)


@pytest.fixture(scope="module", name="pictures")
def _pictures(faces: Path) -> list[UInt8]:
    files = sorted(faces.iterdir())[5:7]
    return [np.asarray(centre_square(read_image(f), 24))[:, :17] for f in files]


def run_torch(net: torch.nn.Module) -> Run:
    """The picture that a network gives."""

    @torch.no_grad()
    def run(picture: UInt8) -> Float32:
        return net(torch.from_numpy(planes(picture))).numpy()

    return run


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The TensorRT file computing in float32 between its roundings."""
    lifted = onnx.ModelProto()
    lifted.CopyFrom(model)
    for tensor in lifted.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in lifted.graph.node:
        if node.op_type == "Cast":
            node.attribute[0].i = TensorProto.FLOAT
    return lifted


@pytest.mark.parametrize(
    ("engine", "least_db"), [(run_onnxruntime, AGREEMENT_DB), (run_openvino, OPENVINO_DB)]
)
def test_torch_computes_the_cpu_file(
    engine: Any, least_db: float, case: Case, pictures: list[UInt8]
) -> None:
    """ONNX Runtime's and OpenVINO's answers to int8-cpu are the fake-quantised network's."""
    file = engine(case.file("int8-cpu"))
    fake = run_torch(FakeQuantised(case.net, case.grid("int8-cpu")))
    assert agreement_db(file, fake, pictures) >= least_db
    assert agreement_db(file, run_torch(case.net), pictures) < OPENVINO_DB


def test_torch_computes_the_tensorrt_file(case: Case, pictures: list[UInt8]) -> None:
    """int8-trt's grid is the network's, which is as near to the file as float16 lets it be."""
    fake = run_torch(FakeQuantised(case.net, case.grid("int8-trt")))
    file = run_onnxruntime(case.file("int8-trt"))
    exact = run_onnxruntime(in_float32(case.file("int8-trt")))
    assert agreement_db(exact, fake, pictures) >= AGREEMENT_DB
    assert agreement_db(file, fake, pictures) >= agreement_db(file, exact, pictures) - 0.5
    assert agreement_db(exact, run_torch(case.net), pictures) < OPENVINO_DB


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_each_rounding_of_activations_counts(
    target: str, case: Case, pictures: list[UInt8]
) -> None:
    """Without any one of the activations' quantisers the agreement with the file is lost."""
    file = run_onnxruntime(in_float32(case.file(target)))
    grid = case.grid(target)
    fake = run_torch(FakeQuantised(case.net, grid))
    rounding = [k for k, step in enumerate(grid.steps) if step.result.endswith("/quantised")]
    assert len(rounding) >= 4
    for k in rounding:
        step = grid.steps[k]
        grid.steps[k] = replace(step, operation=lambda _, read: read[0])
        lost = agreement_db(file, fake, pictures)
        grid.steps[k] = step
        # uint8 pictures are on the image's grid anyway.
        assert (lost < AGREEMENT_DB) == (step.reads[0] != "lr"), step.result


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_weights_and_biases_are_the_files(target: str, case: Case) -> None:
    """The integers, scales and biases of every layer are the stored ones, to the bit."""
    graph, grid = Graph.of(case.file(target)), case.grid(target)
    convolutions = {layer_name(c): c for c in graph.convolutions()}
    assert {layer.name for layer in grid.layers} == set(convolutions)
    for layer in grid.layers:
        assert isinstance(layer, Layer)
        weights, bias = (value.detach().numpy() for value in layer(case.net))
        assert (bias == graph.constants[convolutions[layer.name].input[2]]).all()
        if layer.rounded:
            scales = graph.constants[f"{layer.name}.weight/scale"].astype(np.float32)
            steps = weights / scales[:, None, None, None]
            stored = graph.constants[f"{layer.name}.weight/int8"]
            assert np.abs(steps - stored).max() < 1e-4
        else:
            assert (weights == graph.constants[f"{layer.name}.weight"]).all()
    assert any(layer.rounded for layer in grid.layers)


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_a_rounded_layer_counts(target: str, case: Case, pictures: list[UInt8]) -> None:
    """Without the rounding of any one layer's weights the agreement is lost."""
    file = run_onnxruntime(in_float32(case.file(target)))
    grid = case.grid(target)
    fake = run_torch(FakeQuantised(case.net, grid))
    for layer in grid.layers:
        if layer.rounded:
            layer.rounded = False
            assert agreement_db(file, fake, pictures) < AGREEMENT_DB, layer.name
            layer.rounded = True


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_a_layer_kept_in_float_is_not_rounded(target: str, case: Case) -> None:
    """The table's plan decides which layers are int8."""
    plan = replace(case.table.plans[target], keep_float=("units.0.conv1",))
    table = replace(case.table, plans={target: plan})
    grid = Grid(case.net, case.model, table, target)  # type: ignore[arg-type]
    rounded = {layer.name: layer.rounded for layer in grid.layers}
    assert not rounded["units.0.conv1"]
    assert rounded["units.0.conv2"]


@pytest.mark.parametrize("r", [2, 3])
def test_the_fold_of_tensors_is_the_exporters(r: int) -> None:
    """Both fold a kernel to the same one."""
    kernel = torch.randn(3, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(folded(kernel, r).numpy(), folded_kernel(kernel.numpy(), r))


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_every_parameter_learns(target: str, case: Case, pictures: list[UInt8]) -> None:
    """Rounding passes gradients to all weights and biases, about as the float network has them."""
    lr = torch.from_numpy(planes(pictures[0]))
    gradients = []
    for net in (case.net, FakeQuantised(case.net, case.grid(target))):
        parameters = list(case.net.parameters())
        gradients.append(torch.autograd.grad(net(lr).square().mean(), parameters))
    for wanted, got in zip(*gradients, strict=True):
        likeness = torch.cosine_similarity(wanted.flatten(), got.flatten(), dim=0)
        assert likeness > 0.9


def test_values_beyond_the_range_are_clipped_and_teach_nothing(case: Case) -> None:
    """A table that was too narrow clips: the picture stops changing, and so does its gradient."""
    narrow = {name: replace(r, max=r.max * 1e-4, percentiles=(0.0,) * 4)
              for name, r in case.table.tensors.items()}  # fmt: skip
    table = Table("", (), (), {}, narrow, {"int8-cpu": Plan()}, case.table.factors)
    fake = FakeQuantised(case.net, Grid(case.net, case.model, table, "int8-cpu"))
    lr = torch.full((1, 3, 8, 8), 0.75)
    [gradient] = torch.autograd.grad(fake(lr).sum(), [case.net.head.weight])
    [free] = torch.autograd.grad(case.net(lr).sum(), [case.net.head.weight])
    assert gradient.abs().max() < 0.01 * free.abs().max()


@pytest.mark.parametrize("target", ["int8-cpu", "int8-trt"])
def test_the_kept_table_makes_the_file_that_was_trained(target: Any, case: Case) -> None:
    """What is exported from the network becomes the same int8 file by the table that a run leaves."""
    grid, net = case.grid(target), copy.deepcopy(case.net)
    with torch.no_grad():
        net.head.weight *= 1.001
    after, table = export_onnx(net), grid.table_of(net)
    made = EMIT[target](equalised(after, table.factors), table, table.plans[target])
    assert table.model_sha256 == model_sha256(after) != model_sha256(case.model)
    assert model_sha256(made) == Grid(net, after, table, target).digest != grid.digest
    assert table.tensors == case.table.tensors


def test_another_networks_file_is_refused() -> None:
    """A file with a layer that the network lacks is none of the network's."""
    model = export_onnx(IDRN(NetConfig.parse("d2-w8-x2-fast")))
    tensors = {t: Range(0.0, 1.0, (1.0,) * 4) for t in activations(Graph.of(model))}
    table = Table("", (), (), {}, tensors, {"int8-cpu": Plan()})
    with pytest.raises(ModelError, match="exported from these weights"):
        Grid(IDRN(NetConfig.parse("d1-w8-x2-fast")), model, table, "int8-cpu")
