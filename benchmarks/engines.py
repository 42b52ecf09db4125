"""How fast the engines are, beside the same network in the libraries a user could take instead.

One process, cases in turns, medians with spread; a control that uses none of the libraries voids the
run when it varies by more than a tenth. Needs the `train` extra. Prints a table, writes JSON.

    python benchmarks/engines.py --json benchmarks/results/engines.json
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from PIL import Image

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import CONTROL, Samples, interleave, load_average
from idrn_trt.bench.peak import int8_loads
from idrn_trt.engines import open_engine
from idrn_trt.engines.openvino import core as shared_core
from idrn_trt.files import write_text
from idrn_trt.images import write_image
from idrn_trt.tables import table
from idrn_trt.toolchain.net import IDRN, NetConfig, cost
from idrn_trt.toolchain.seeded import seeded_model
from idrn_trt.zoo import DEFAULT_MODEL, Model, find_model

Case = Callable[[], object]

OURS = "Engine.run openvino int8"
# A run whose control varied more than this says nothing.
MOST_CONTROL_SPREAD = 0.10


def smooth_window(side: int, seed: int = 0) -> np.ndarray:
    """A picture with smooth areas and noise, uint8 (1, side, side, 3): latency hardly depends on it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    base = np.stack([x, y, (x + y) / 2], -1) * 200
    return np.clip(base + rng.normal(20, 8, base.shape), 0, 255).astype(np.uint8)[None]


def torch_cases(network: NetConfig, window: np.ndarray, threads: int) -> dict[str, Case]:
    """The network in torch, channels-last, float32 and bfloat16; weights are seeded."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    nchw = torch.from_numpy(window).permute(0, 3, 1, 2).float().div(255)
    lr = nchw.contiguous(memory_format=torch.channels_last)
    cases: dict[str, Case] = {}
    for name, kind in (("torch fp32", torch.float32), ("torch bf16", torch.bfloat16)):
        net = IDRN(network).eval().to(kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        cases[name] = _inference(net, lr.to(kind))
    return cases


def _inference(net: IDRN, lr: torch.Tensor) -> Case:
    def run() -> object:
        with torch.inference_mode():
            return net(lr)

    return run


def openvino_case(data: bytes, lr: np.ndarray, hint: str, threads: int) -> Case:
    """A model file as it is through OpenVINO's own calls: float NCHW in and out, static shape."""
    core = shared_core()
    graph = core.read_model(data)
    graph.reshape(list(lr.shape))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": hint,
    }
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    request.set_input_tensor(ov.Tensor(lr, shared_memory=True))
    return request.infer


def onnxruntime_case(data: bytes | str, lr: np.ndarray, threads: int) -> Case:
    """A model file through ONNX Runtime's CPU provider."""
    import onnxruntime  # after idrn_trt.toolchain, which switches its usage reports off

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning on after a call would steal the cores of the case that is timed next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"lr": lr})


def nchw(window: np.ndarray) -> np.ndarray:
    """uint8 NHWC -> float32 NCHW in [0, 1]."""
    return np.ascontiguousarray(window.transpose(0, 3, 1, 2)).astype(np.float32) / 255


def onnxruntime_int8_files(model: Path, folder: Path, side: int) -> dict[str, str]:
    """The fp32 file quantised by ONNX Runtime itself, in its two formats: what its user would do."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantise

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        """Seeded pictures: the file is timed here and never used."""

        def __init__(self) -> None:
            self.left = [smooth_window(side, seed) for seed in range(8)]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return {"lr": nchw(self.left.pop())} if self.left else None

    files = {}
    for name, form in (("QDQ", QuantFormat.QDQ), ("QOperator", QuantFormat.QOperator)):
        target = folder / f"ort-{name}.onnx"
        quantise(
            str(model), str(target), Windows(), quant_format=form, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        files[f"ONNX Runtime int8, its own {name}"] = str(target)
    return files


def raw_openvino(engine: Any) -> Case:
    """The bare call that `Engine.run` wraps: the engine's own compiled graph, without its checks."""
    graph = next(iter(engine._graphs.values()))  # noqa: SLF001 (this is what is measured)
    return graph._request.infer  # type: ignore[no-any-return]  # noqa: SLF001


def measure(model: Model, side: int, threads: int, rounds: int) -> dict[str, Samples]:
    """Every case on one window of side x side."""
    window = smooth_window(side)
    lr = nchw(window)
    fp32 = model.read("fp32")
    cases: dict[str, Case] = {}
    for precision in ("int8", "bf16", "fp32"):
        engine = open_engine(model, engine="openvino", precision=precision, threads=threads)
        engine.run(window)
        cases[f"Engine.run openvino {precision}"] = lambda engine=engine: engine.run(window)
        if precision == "int8":
            cases["raw OpenVINO call int8"] = raw_openvino(engine)
    ort = open_engine(model, engine="onnxruntime", precision="int8", threads=threads)
    cases["Engine.run onnxruntime int8"] = lambda: ort.run(window)
    cases["OpenVINO f32"] = openvino_case(fp32, lr, "f32", threads)
    cases["OpenVINO bf16"] = openvino_case(fp32, lr, "bf16", threads)
    cases["ONNX Runtime fp32"] = onnxruntime_case(fp32, lr, threads)
    cases["ONNX Runtime int8, our file"] = onnxruntime_case(model.read("int8-cpu"), lr, threads)
    cases.update(torch_cases(network_of(model), window, threads))
    with tempfile.TemporaryDirectory() as folder:
        for name, path in onnxruntime_int8_files(model.file("fp32"), Path(folder), side).items():
            cases[name] = onnxruntime_case(path, lr, threads)
        return interleave(cases, rounds=rounds, threads=threads)


def measure_peak(models: list[Model], threads: int, rounds: int) -> dict[str, Any]:
    """The machine's int8 peak and the share of it that each model's `Engine.run` reaches at 32x32.

    Loads and engines take turns in one run; a model's MACs are those of the unfolded network.
    """
    loads = [(load.name, load.macs, load.run) for load in int8_loads(threads)]
    networks = [_engine_load(model, threads) for model in models]
    cases = {name: run for name, _, run in (*loads, *networks)}
    taken = interleave(cases, rounds=rounds, threads=threads)
    rate = {name: macs / taken[name].p50 / 1e9 for name, macs, _ in (*loads, *networks)}
    peak = max(rate[name] for name, _, _ in loads)
    return {
        "tmac_s": round(peak, 4),
        "control_spread": round(taken[CONTROL].spread, 4),
        "loads": {n: {**taken[n].to_dict(), "tmac_s": round(rate[n], 4)} for n, _, _ in loads},
        "share": {name: round(rate[name] / peak, 4) for name, _, _ in networks},
        "networks": {name: taken[name].to_dict() for name, _, _ in networks},
    }


def _engine_load(model: Model, threads: int) -> tuple[str, int, Case]:
    engine = open_engine(model, engine="openvino", precision="int8", threads=threads)
    window = smooth_window(32)
    return model.name, cost(network_of(model)).macs, lambda: engine.run(window)


def network_of(model: Model) -> NetConfig:
    """The network that a model's manifest names."""
    if model.manifest is None:
        raise SystemExit(f"{model.name} has no manifest: name a model folder")
    return NetConfig(**model.manifest.network)


def start_up_s(rounds: int) -> dict[str, list[float]]:
    """Whole processes: the bare interpreter, `import idrn_trt`, and a photo to its first clear face.

    The photo is scikit-image's astronaut, shrunk until the face is small; caches are warm.
    """
    from skimage.data import astronaut

    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        small = Image.fromarray(astronaut()).resize((160, 160), Image.Resampling.BICUBIC)
        write_image(photo, np.asarray(small))
        first = (
            "from idrn_trt import Upscaler; from idrn_trt.images import read_image;"
            "from pathlib import Path;"
            f"assert len(Upscaler().upscale(read_image(Path({str(photo)!r}))).faces) == 1"
        )
        commands = {"python": "pass", "import idrn_trt": "import idrn_trt", "first face": first}
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, code in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True)
                if turn:  # the first turn warms the caches
                    taken[name].append(time.perf_counter() - start)
        return taken


def report_text(document: dict[str, Any]) -> str:
    """The tables for a person."""
    rows = [
        (name, *(f"{case[key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms")),
         f"{case['spread']:.2f}", f"{document['ratio_of_ours'][name]:.2f}")
        for name, case in sorted(document["cases"].items(), key=lambda item: item[1]["p50_ms"])
    ]  # fmt: skip
    peak, start_up = document["int8_peak"], document["start_up_s"]
    lines = [table(("case", "p50 ms", "p90", "p99", "spread", "ours/it"), rows)]
    lines.append(f"int8 peak {peak['tmac_s']:.3f} TMAC/s")
    lines += [f"{name} reaches {share:.0%} of it" for name, share in peak["share"].items()]
    lines.append(f"process start to first face {start_up['first face']:.2f} s")
    extra_ms = (start_up["import idrn_trt"] - start_up["python"]) * 1e3
    lines.append(f"import idrn_trt over the bare interpreter {extra_ms:.0f} ms")
    if document["void"]:
        lines.append("void: the control varied by more than a tenth, the machine is not quiet")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    model = find_model(args.model)
    before = load_average()
    with tempfile.TemporaryDirectory() as folder:
        models = [model, seeded_model(args.wide, Path(folder))]
        peak = measure_peak(models, args.threads, max(3, args.rounds // 2))
    taken = measure(model, args.window, args.threads, args.rounds)
    start_up = start_up_s(7)
    ours = taken[OURS].p50
    spreads = (taken[CONTROL].spread, peak["control_spread"])
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": cpu(),
        "versions": versions("numpy", "openvino", "onnxruntime", "torch", "idrn-trt"),
        "threads": args.threads,
        "window_px": args.window,
        "model": model.name,
        "model_sha256": {kind: file.sha256 for kind, file in model.files.items()},
        "load_average": {"before": before, "after": load_average()},
        "control_spread": round(taken[CONTROL].spread, 4),
        "void": max(spreads) > MOST_CONTROL_SPREAD,
        "cases": {name: samples.to_dict() for name, samples in taken.items()},
        "ratio_of_ours": {name: round(ours / s.p50, 4) for name, s in taken.items()},
        "int8_peak": peak,
        "start_up_s": {name: round(float(np.median(t)), 4) for name, t in start_up.items()},
    }


def main() -> int:
    """Measure, print, write; exit 1 when the control voids the run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--wide", default="d16-w128-x4", help="a second network, seeded weights")
    parser.add_argument("--window", type=int, default=32, metavar="PX")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    document = run(args)
    print(report_text(document))
    if args.json is not None:
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 1 if document["void"] else 0


if __name__ == "__main__":
    sys.exit(main())
