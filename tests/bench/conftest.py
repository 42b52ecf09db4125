"""Reports and measurements small enough for unit tests: no test here judges a time."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idrn_trt.bench import cold, measure, peak
from idrn_trt.bench.document import FORMAT, KIND
from idrn_trt.zoo import DETECTOR_MODEL, find_model

# The scripts, which are no package.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(name="hurried")
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring without the pauses that make its figures worth something."""
    monkeypatch.setattr(measure, "SETTLE_S", 0.0)
    monkeypatch.setattr(measure, "WAKE_S", 0.0)
    monkeypatch.setattr(measure, "_CONTROL_BYTES", bytes(1 << 10))
    monkeypatch.setattr(cold, "ROUNDS", 1)
    monkeypatch.setattr(peak, "BEST_CONVS", ((16, 16),))
    monkeypatch.setattr(peak, "GEMM_SIDE", 64)


@pytest.fixture(name="zoo")
def _zoo(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of model folders, named by IDRN_MODELS: the tiny model, the face detector, and no other."""
    root = tmp_path / "zoo"
    detector = find_model(DETECTOR_MODEL).folder
    for model in (tiny_model, detector):
        shutil.copytree(model, root / model.name)
    monkeypatch.setenv("IDRN_MODELS", str(root))
    monkeypatch.setattr("idrn_trt.zoo._PACKAGE", tmp_path / "nowhere")
    return root


def times(median_ms: float, seed: int, blocks: int = 20, calls: int = 10) -> list[list[float]]:
    """Blocks of calls around a median, 2 % apart: a quiet machine."""
    rng = np.random.default_rng(seed)
    found: list[list[float]] = rng.normal(median_ms, 0.02 * median_ms, (blocks, calls)).tolist()
    return found


@pytest.fixture(scope="session", name="make_report")
def _make_report() -> Callable[..., dict[str, Any]]:
    """A report with one row "m openvino int8" of these times."""

    def make(blocks_ms: list[list[float]], reason: str = "", **more: Any) -> dict[str, Any]:
        row = {
            "model": "m", "engine": "openvino", "precision": "int8", "reason": reason,
            "blocks_ms": blocks_ms, "sha256": "a" * 64,
        }  # fmt: skip
        return {
            "format": FORMAT, "kind": KIND, "mode": "engines", "label": "",
            "machine": {"model": "a processor"}, "versions": {},
            "conditions": {"scenario": "single-stream", "window_px": 32, "batch": 1, "threads": 2},
            "control": {"blocks_ms": times(8.0, 99)}, "rows": [row], **more,
        }  # fmt: skip

    return make
