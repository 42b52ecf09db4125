"""`idrn-trt doctor --gpu`: the TensorRT engine built, held against ONNX Runtime, and timed, on this GPU.

It is the acceptance test that this project cannot run itself, so it finishes with whatever can be said
even where a precision fails. Never run with TensorRT by this project.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idrn_trt.bench.machine import cpu, gpus, versions
from idrn_trt.bench.pictures import picture
from idrn_trt.engines._onnx_file import load_onnx
from idrn_trt.engines._trt_build import check_version
from idrn_trt.engines._trt_profiles import Profile, chosen_options
from idrn_trt.engines.base import UInt8
from idrn_trt.errors import BackendUnavailable, IdrnError
from idrn_trt.quality.metrics import psnr
from idrn_trt.types import Precision
from idrn_trt.zoo import Model

if TYPE_CHECKING:
    from idrn_trt.engines.tensorrt import TensorRtEngine

FORMAT = 2
# Least PSNR on uint8 against ONNX Runtime computing the same file: what remains is rounding.
NEEDED_DB: dict[Precision, float] = {"fp16": 50.0, "int8": 46.0}
KINDS: dict[Precision, str] = {"fp16": "fp16", "int8": "int8-trt"}
_PACKAGES = ("idrn-trt", "tensorrt", "pycuda", "onnxruntime", "numpy", "torch")
# So many different pictures fill a batch: ONNX Runtime on a CPU is slow with large windows.
_PICTURES = 2
_WARM_UP = 20

Say = Callable[[str], None]


def check_gpu(model: Model, repeats: int, say: Say) -> dict[str, Any]:
    """The whole report as JSON has it; "passed" is the verdict. say: told what is being done.

    Raises BackendUnavailable or DeviceError where there is no GPU that TensorRT can use.
    """
    tensorrt = check_version()
    from idrn_trt.engines import _cuda
    from idrn_trt.engines.tensorrt import precisions

    precisions(set())
    here = _cuda.gpu()
    results = [_precision(model, precision, repeats, say) for precision in NEEDED_DB]
    return {
        "format": FORMAT,
        "model": model.name,
        "machine": {**cpu(), "gpus": gpus()},
        "gpu": {
            "name": here.name,
            "compute_capability": ".".join(map(str, here.compute_capability)),
            "driver_cuda": here.driver,
            "free_mib": _cuda.device().free_bytes() >> 20,
        },
        "tensorrt": tensorrt,
        "pycuda": _cuda.version(),
        "versions": versions(*_PACKAGES),
        "repeats": repeats,
        "precisions": results,
        "passed": all(result["passed"] for result in results),
    }


def _precision(model: Model, precision: Precision, repeats: int, say: Say) -> dict[str, Any]:
    """One precision's part; "error" says what stopped it, "" nothing."""
    from idrn_trt.engines.tensorrt import TensorRtEngine

    result: dict[str, Any] = {
        "precision": precision, "needed_db": NEEDED_DB[precision], "passed": False, "error": "",
        "notes": [], "build_s": None, "open_s": None, "layers": [], "shapes": [],
    }  # fmt: skip
    try:
        file = load_onnx(model, (KINDS[precision],))
        result["file_sha256"] = file.sha256
        say(f"{precision}: building the plan where there is none yet, which takes minutes")
        _build(model, precision, result, say)
        start = time.perf_counter()
        with contextlib.closing(TensorRtEngine(model, precision)) as engine:
            result["open_s"] = round(time.perf_counter() - start, 3)
            result["notes"] += engine.notes
            reference = _Reference(file.data)
            for profile in engine.profiles:
                say(f"{precision}: {profile}")
                result["shapes"].append(_shape(engine, profile, reference, repeats))
    except IdrnError as error:
        result["error"] = str(error)
    worst = min((shape["parity_db"] for shape in result["shapes"]), default=0.0)
    result["passed"] = not result["error"] and worst >= NEEDED_DB[precision]
    return result


def _build(model: Model, precision: Precision, result: dict[str, Any], say: Say) -> None:
    from idrn_trt.toolchain.build import build, document

    options = chosen_options(result["file_sha256"], precision)
    start = time.perf_counter()
    built = build(model, precision, options, say=say)
    result["build_s"] = round(time.perf_counter() - start, 1)
    result["layers"] = document(built, options)["layers"]
    result["notes"] += built.notes


def _shape(
    engine: TensorRtEngine, profile: Profile, reference: _Reference, repeats: int
) -> dict[str, Any]:
    height, width = profile.window
    pictures = np.stack([picture(height, width, seed) for seed in range(_PICTURES)])
    batch = np.resize(pictures, profile.shape)
    expected = reference.answer(pictures)
    result = engine.run(batch).copy()
    parity_db = psnr(result, np.resize(expected, result.shape))
    return {
        "height_px": height,
        "width_px": width,
        "batch": profile.batch,
        "parity_db": round(min(parity_db, 99.0), 2),
        "graph": not engine.shape(profile.window, profile.batch).no_graph,
        "times": {
            "run": _percentiles(_run_times_ms(engine, batch, repeats)),
            **_device_times(engine, profile, repeats),
        },
    }


def _run_times_ms(engine: TensorRtEngine, batch: UInt8, repeats: int) -> list[float]:
    """Whole calls, as a user makes them."""
    times = []
    for _ in range(_WARM_UP + repeats):
        start = time.perf_counter_ns()
        engine.run(batch)
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times[_WARM_UP:]


def _device_times(
    engine: TensorRtEngine, profile: Profile, repeats: int
) -> dict[str, dict[str, float] | None]:
    """With and without graph and copies; None where no graph can be captured."""
    found: dict[str, dict[str, float] | None] = {}
    for graph in (True, False):
        for copies in (True, False):
            name = f"{'graph' if graph else 'queue'}{' and copies' if copies else ''}"
            try:
                times_ms = engine.times_ms(
                    profile.window, profile.batch, _WARM_UP + repeats, graph=graph, copies=copies
                )
            except IdrnError:  # the engine's notes say why
                found[name] = None
            else:
                found[name] = _percentiles(times_ms[_WARM_UP:])
    return found


def _percentiles(times_ms: list[float]) -> dict[str, float]:
    shares = (50, 90, 99)
    values = np.percentile(times_ms, shares)
    return {f"p{share}_ms": round(float(v), 4) for share, v in zip(shares, values, strict=True)}


class _Reference:
    """The same file computed by ONNX Runtime as it stands, without rewriting."""

    def __init__(self, data: bytes) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendUnavailable(
                "the check against ONNX Runtime needs it: pip install 'idrn-trt[onnxruntime]'"
            ) from error
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._session: Any = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._answers: dict[tuple[tuple[int, ...], bytes], UInt8] = {}

    def answer(self, batch: UInt8) -> UInt8:
        """Scaled, clipped and rounded as an engine does it; remembered."""
        key = (batch.shape, batch.tobytes())
        if key not in self._answers:
            lr = batch.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
            sr = self._session.run(None, {self._session.get_inputs()[0].name: lr})[0]
            levels = np.rint(np.clip(sr * 255, 0, 255)).astype(np.uint8)
            self._answers[key] = np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
        return self._answers[key]


def write_report(document: dict[str, Any], path: Path) -> tuple[Path, Path]:
    """Write the report as `path` with the ends .md and .json. Raises SinkError."""
    import json

    from idrn_trt.commands._gpu_report import markdown
    from idrn_trt.files import write_text

    targets = path.with_suffix(".md"), path.with_suffix(".json")
    write_text(targets[0], markdown(document), "report")
    write_text(targets[1], json.dumps(document, indent=1, ensure_ascii=False) + "\n", "report")
    return targets
