"""What all tests share: a cache folder of their own, and tiny models."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

UInt8 = npt.NDArray[np.uint8]

# A shell starts what it puts in the background with Ctrl-C ignored, and so would every child; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Before any test module imports onnxruntime, whose Linux builds report usage over the network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# tests/models/make_models.py and others; the folder of tests is no package.
sys.path.insert(0, str(Path(__file__).parent / "models"))


@pytest.fixture(scope="session", name="tables")
def _tables() -> ModuleType:
    """benchmarks/tables.py as a module."""
    script = Path(__file__).parents[1] / "benchmarks" / "tables.py"
    spec = importlib.util.spec_from_file_location("benchmark_tables", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from or left in the user's cache, and the user's models are not seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("IDRN_MODELS", raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder "tiny-x4" with a file of every kind, depth 1, width 8, untrained."""
    import make_models

    model = make_models.tiny()
    files = {
        "fp32": model,
        "fp16": make_models.halved(model),
        "int8-cpu": make_models.quantised(model),
        "int8-trt": make_models.quantised(model, signed=True),
    }
    return make_models.write_folder(tmp_path_factory.mktemp("models") / "tiny-x4", files)


@pytest.fixture(scope="session")
def astronaut() -> UInt8:
    """scikit-image's astronaut photograph (NASA, public domain), 512x512 RGB."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real faces, scenes and clips that IDRN_TEST_DATA names."""
    folder = os.environ.get("IDRN_TEST_DATA")
    if not folder:
        pytest.skip("IDRN_TEST_DATA is not set: it names a folder of real faces, scenes and clips")
    return Path(folder)
