"""The float16 file: types, nodes, closeness, and weights that do not fit."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from idrn_trt.errors import ModelError
from idrn_trt.quality.metrics import psnr
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.half import half
from idrn_trt.toolchain.net import IDRN, NetConfig


@pytest.fixture(scope="module", name="model")
def _model() -> onnx.ModelProto:
    torch.manual_seed(2)
    return export_onnx(IDRN(NetConfig.parse("d2-w16-x4")))


def run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    """The picture that ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["sr"], {"lr": lr})[0]


def test_ends_are_float32_and_the_inside_is_float16(model: onnx.ModelProto) -> None:
    """Input and output keep float32, every constant and every inner tensor is float16."""
    made = onnx.shape_inference.infer_shapes(half(model), strict_mode=True)
    ends = [*made.graph.input, *made.graph.output]
    assert {v.type.tensor_type.elem_type for v in ends} == {TensorProto.FLOAT}
    assert {t.data_type for t in made.graph.initializer} == {TensorProto.FLOAT16}
    inner = {v.type.tensor_type.elem_type for v in made.graph.value_info}
    assert inner == {TensorProto.FLOAT16}


def test_only_the_two_ends_are_cast(model: onnx.ModelProto) -> None:
    """A float16 file has the fp32 file's nodes and two casts."""
    kinds = [n.op_type for n in half(model).graph.node]
    assert kinds[0] == kinds[-1] == "Cast"
    assert kinds[1:-1] == [n.op_type for n in model.graph.node]


def test_the_picture_stays_within_half_precision(model: onnx.ModelProto) -> None:
    """float16 answers at least 60 dB close to float32."""
    lr = np.random.default_rng(0).random((1, 3, 20, 12), dtype=np.float32)
    assert psnr(run(model, lr) * 255, run(half(model), lr) * 255) >= 60


@pytest.mark.parametrize("value", [70000.0, -1e30, float("nan"), float("inf")])
def test_a_weight_beyond_float16_is_refused(model: onnx.ModelProto, value: float) -> None:
    """A constant that float16 cannot hold is named instead of becoming infinite."""
    altered = onnx.ModelProto()
    altered.CopyFrom(model)
    tensor = next(t for t in altered.graph.initializer if t.name == "head.bias")
    array = numpy_helper.to_array(tensor).copy()
    array[3] = value
    tensor.CopyFrom(numpy_helper.from_array(array, "head.bias"))
    with pytest.raises(ModelError, match=r"head\.bias"):
        half(altered)
