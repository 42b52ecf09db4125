"""The TensorRT engine where there is no TensorRT, no driver, or an old pycuda; more in tests/standin/."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from idrn_trt.engines import describe_engines, open_engine
from idrn_trt.engines._trt_profiles import Profile
from idrn_trt.engines._trt_sanity import check_pictures
from idrn_trt.engines.base import EngineBase, UInt8
from idrn_trt.errors import BackendUnavailable, ModelError
from idrn_trt.types import EngineSpec
from idrn_trt.zoo import Model, find_model

ROOT = Path(__file__).parents[2]


def reason() -> str:
    """Why the registry says that tensorrt is not usable."""
    (status,) = (s for s in describe_engines() if s.name == "tensorrt")
    assert not status.usable
    return status.reason


@pytest.fixture
def imported_anew(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The engine's modules are imported again, and are so after the test."""
    import idrn_trt.engines

    for name in ("tensorrt", "_trt_network", "_trt_plan", "_trt_shape", "_cuda"):
        monkeypatch.delitem(sys.modules, f"idrn_trt.engines.{name}", raising=False)
        monkeypatch.delattr(idrn_trt.engines, name, raising=False)
    return monkeypatch


def test_without_tensorrt(tiny_model: Path, imported_anew: pytest.MonkeyPatch) -> None:
    """Naming the engine without TensorRT installed is an error that says how to install it."""
    imported_anew.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'idrn-trt\[tensorrt\]'"):
        open_engine(tiny_model, engine="tensorrt")


def test_without_pycuda(imported_anew: pytest.MonkeyPatch) -> None:
    """With TensorRT and without pycuda it is pycuda that is asked for."""
    imported_anew.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pycuda"]:
        imported_anew.delitem(sys.modules, name)
    imported_anew.setitem(sys.modules, "pycuda", None)
    assert "pycuda" in reason()
    assert "pip install 'idrn-trt[tensorrt]'" in reason()


# Without the folder of the stand-ins, in a process that has loaded no driver.
NO_DRIVER = """
import sys, types
sys.modules["tensorrt"] = types.ModuleType("tensorrt")
from idrn_trt.engines import describe_engines
print(next(s.reason for s in describe_engines() if s.name == "tensorrt"))
"""


@pytest.mark.skipif(importlib.util.find_spec("pycuda") is None, reason="pycuda is not installed")
def test_without_a_driver() -> None:
    """The real pycuda without an NVIDIA driver: the driver is named, and what containers need."""
    done = subprocess.run(
        [sys.executable, "-c", NO_DRIVER], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if "libcuda" not in done.stdout:
        pytest.skip("an NVIDIA driver is installed here")
    assert "no NVIDIA driver is installed" in done.stdout
    assert "--gpus all" in done.stdout
    assert done.stdout.count("\n") == 1


DETECTOR_WITHOUT_DRIVER = """
import sys, types
sys.modules["tensorrt"] = types.ModuleType("tensorrt")
sys.modules["tensorrt"].__version__ = "11.4.0"
from idrn_trt.errors import BackendUnavailable
from idrn_trt.faces.detect import open_detector
try:
    open_detector("cnn", engine="tensorrt")
except BackendUnavailable as error:
    print(error)
"""


@pytest.mark.skipif(importlib.util.find_spec("pycuda") is None, reason="pycuda is not installed")
def test_a_detector_without_a_driver() -> None:
    """A detector named to run in TensorRT is refused in the same words."""
    done = subprocess.run(
        [sys.executable, "-c", DETECTOR_WITHOUT_DRIVER],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "libcuda" not in done.stdout:
        pytest.skip("an NVIDIA driver is installed here")
    assert "no NVIDIA driver is installed" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_pycuda_for_another_cuda(imported_anew: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pycuda that the driver cannot serve is told from a missing driver, with the remedy."""
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text("")
    text = "raise ImportError('undefined symbol: cuEventElapsedTime_v2')"
    (tmp_path / "pycuda" / "driver.py").write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pycuda"]:
        imported_anew.delitem(sys.modules, name)
    imported_anew.syspath_prepend(str(tmp_path))
    imported_anew.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    assert "cuEventElapsedTime_v2" in reason()
    assert "--no-binary pycuda" in reason()
    for name in ("pycuda", "pycuda.driver"):
        sys.modules.pop(name, None)


def test_auto_does_not_take_it(tiny_model: Path) -> None:
    """`auto` never builds a plan for minutes that nobody asked for."""
    engine = open_engine(tiny_model, precision="fp32", threads=1)
    assert engine.spec.engine != "tensorrt"
    engine.close()


class Painter(EngineBase):
    """An engine that enlarges by repetition and then paints as it is told."""

    def __init__(self, change: str, model: str) -> None:
        super().__init__(EngineSpec(engine="painter", model=model, scale=4, precision="int8"))
        self.change = change

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        picture = batch.repeat(4, axis=1).repeat(4, axis=2)
        noise = np.random.default_rng(0).normal(0, 40, picture.shape)
        out[:] = {
            "the last window only": picture,
            "nothing": picture,
            "black": 0,
            "white": 255,
            "inverted": 255 - picture,
            "noise": (picture + noise).clip(0, 255).astype(np.uint8),
        }[self.change]
        if self.change == "the last window only":
            out[-1] = 255 - picture[-1]


PROFILES = (Profile(32, 32, 1), Profile(48, 40, 4))


@pytest.fixture
def trained() -> Model:
    """A model whose manifest has figures."""
    return find_model("idrn-d8-w64-x4")


def test_a_sane_engine_passes(trained: Model) -> None:
    """What is near to bicubic interpolation is a picture."""
    check_pictures(Painter("nothing", trained.name), PROFILES, trained)


@pytest.mark.parametrize("change", ["black", "white"])
def test_a_mean_that_moved_is_refused(tiny_model: Path, change: str) -> None:
    """NaN and overflow end as 0 or 255: refused for any model, with the engine and shape named."""
    with pytest.raises(ModelError, match=r"'painter' \(tiny.*grey ramp.*1 windows of 32x32 px"):
        check_pictures(Painter(change, "tiny"), PROFILES, find_model(tiny_model))


@pytest.mark.parametrize("change", ["inverted", "noise"])
def test_a_trained_network_far_from_bicubic_is_refused(trained: Model, change: str) -> None:
    """A mean in its place is not enough of a network that was trained."""
    with pytest.raises(ModelError, match=r"grey levels from bicubic"):
        check_pictures(Painter(change, trained.name), PROFILES, trained)


def test_every_window_of_a_batch_is_looked_at(trained: Model) -> None:
    """One window gone wrong among good ones, in one shape of the plan, is found."""
    with pytest.raises(ModelError, match=r"bicubic.*4 windows of 40x48 px"):
        check_pictures(Painter("the last window only", trained.name), PROFILES[1:], trained)


def test_an_untrained_network_is_not_held_against_bicubic(tiny_model: Path) -> None:
    """Without figures in the manifest nothing is known of what it should look like."""
    check_pictures(Painter("inverted", "tiny"), PROFILES, find_model(tiny_model))
