"""ONNX Runtime's CUDA provider where its build for GPUs is stood in for by the one for CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from idrn_trt.engines import onnxruntime as engine
from idrn_trt.engines import open_engine

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A build with CUDA, which starts when asked["starts"] is true; what it was asked for is kept."""
    asked: dict[str, Any] = {"starts": True, "providers": [], "preloads": 0}

    class Session(ort.InferenceSession):
        """A session that computes on the CPU whatever it says."""

        def __init__(self, data: bytes, *, providers: list[str], **options: Any) -> None:
            asked["providers"].append(providers)
            asked["options"] = options
            super().__init__(data, providers=[CPU], **options)

        def get_providers(self) -> list[str]:
            return [CUDA, CPU] if asked["starts"] else [CPU]

    def preload() -> None:
        asked["preloads"] += 1
        print("a warning in colour")  # noqa: T201 (so does the real one)

    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", preload)
    return asked


def test_stand_in_cuda_is_asked_for_first(
    asked: dict[str, Any], tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CUDA comes before the CPU, its libraries are loaded first, and nothing is printed or noted."""
    opened = open_engine(tiny_model, engine="onnxruntime", precision="fp16", threads=1)
    assert asked["providers"] == [[CUDA, CPU]]
    assert asked["preloads"] == 1
    assert opened.notes == []
    assert opened.run(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 128, 128, 3)
    assert capsys.readouterr().out == ""
    opened.close()


def test_stand_in_cuda_that_does_not_start_is_noted(
    asked: dict[str, Any], tiny_model: Path
) -> None:
    """Where CUDA does not start the CPU computes, and the one note says what is needed."""
    asked["starts"] = False
    opened = open_engine(tiny_model, engine="onnxruntime", precision="fp32", threads=1)
    (note,) = opened.notes
    assert "CUDA provider did not start" in note
    assert "onnxruntime-gpu[cuda,cudnn]" in note
    opened.close()


@pytest.mark.usefixtures("asked")
def test_stand_in_cuda_is_part_of_the_version() -> None:
    """The build for GPUs has the same number: a choice of precision made on a CPU is not taken for it."""
    assert engine.version() == f"{ort.__version__} with CUDA"


def test_the_build_for_cpus_asks_for_no_gpu(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    """Without the provider nothing is preloaded and nothing noted."""
    if CUDA in ort.get_available_providers():
        pytest.skip("the build for GPUs is installed here")
    monkeypatch.setattr(ort, "preload_dlls", lambda: pytest.fail("preloaded"))
    opened = open_engine(tiny_model, engine="onnxruntime", precision="fp32", threads=1)
    assert opened.notes == []
    assert engine.version() == ort.__version__
    opened.close()
