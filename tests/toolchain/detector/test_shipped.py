"""The detector that is shipped: small, reproducible from its table, and no enlarging model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import idrn_trt
from idrn_trt.engines import open_engine
from idrn_trt.errors import ModelError
from idrn_trt.toolchain.graph import read_model
from idrn_trt.toolchain.quantise import emitted, fitting_table
from idrn_trt.zoo import DETECTOR_MODEL, FACE_DETECTION, Model, find_model, list_models

ROOT = Path(idrn_trt.__file__).parents[1]
LARGEST_BYTES = 600_000


@pytest.fixture(scope="module")
def model() -> Model:
    """The shipped model."""
    return find_model(DETECTOR_MODEL)


def test_the_files_follow_from_weights_and_table(model: Model) -> None:
    """From model.onnx and the calibration table every quantised file is made again, bit for bit."""
    source = model.file("fp32")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    table = fitting_table(ROOT / "calib" / f"{DETECTOR_MODEL}.json", digest)
    for kind, made in emitted(read_model(source), table).items():
        data = made.SerializeToString(deterministic=True)
        assert hashlib.sha256(data).hexdigest() == model.files[kind].sha256


def test_it_is_small(model: Model) -> None:
    """What the wheel carries of it is at most 0.6 MB, its network at most 150,000 parameters."""
    assert model.file("int8-cpu").stat().st_size <= LARGEST_BYTES
    weights = read_model(model.file("fp32")).graph.initializer
    assert sum(len(t.raw_data) // 4 for t in weights) <= 150_000


def test_it_is_listed_by_its_task() -> None:
    """Those who look for models that enlarge do not get it; those who look for detectors or all do."""
    assert DETECTOR_MODEL not in [m.name for m in list_models()]
    assert [m.name for m in list_models(FACE_DETECTION)] == [DETECTOR_MODEL]
    assert DETECTOR_MODEL in [m.name for m in list_models(task=None)]


def test_it_enlarges_nothing() -> None:
    """Given as the model of an engine it is a ModelError."""
    with pytest.raises(ModelError, match=DETECTOR_MODEL):
        open_engine(DETECTOR_MODEL, engine="openvino", precision="fp32")
