"""The same network in the libraries a user could take instead, each at its best sensible settings.

Same weights, pictures, threads and windows as the engines. A peer is given float32 planes that are ready
made and its result is left as it comes, so the conversions from and to uint8 that an engine's times
contain are in none of these.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.bench.cases import Case, Row, is_seeded, network_of
from idrn_trt.bench.measure import OwnClock
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.pictures import windows
from idrn_trt.zoo import Model

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

_MOST_WINDOWS = 1024
_MOST_COMPILED = 256


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a peer runs: its threads, the one shape it is built for, and a folder for its files."""

    threads: int
    count: int
    side: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A network opened in a library, for one shape.

    prepare: float32 planes (N, 3, h, w) in [0, 1] -> what `run` takes, done before timing. fetch: what
    `run` returned -> float32 planes. settings: what was set, for the report. kind: of the model file.
    clock: what times the call; None for this process's clock.
    """

    run: Callable[[Any], Any]
    settings: str
    kind: str = "fp32"
    prepare: Callable[[Float32], Any] = lambda lr: lr
    fetch: Callable[[Any], Float32] = np.asarray
    clock: Callable[[Callable[[], object]], OwnClock] | None = None


Build = Callable[[Model, Setting], Peer]


def peer_cases(
    model: Model,
    options: BenchOptions,
    threads: int,
    folder: Path,
    builds: Mapping[tuple[str, str], Build] | None = None,
) -> Iterator[Case | Row]:
    """Every peer for this model, opened one after the other; a Row with its reason where it fails.

    builds: (engine, precision) -> how it is opened; PEERS by default.
    """
    setting = Setting(threads, options.windows_a_call, options.window_px, folder)
    for (engine, precision), build in (PEERS if builds is None else builds).items():
        if options.precisions and precision not in options.precisions:
            continue
        row = Row(model=model.name, engine=engine, precision=precision, peer=True)
        row.network, row.seeded = network_of(model), is_seeded(model)
        try:
            peer = build(model, setting)
        except Exception as error:  # noqa: BLE001 (each library has exceptions of its own)
            row.reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            yield row
            continue
        row.settings = peer.settings
        row.clock = "device" if peer.clock else "wall"
        row.scale = model.scale
        if peer.kind in model.files:
            row.file_mb = round(model.files[peer.kind].size_bytes / 1e6, 3)
            row.sha256 = model.files[peer.kind].sha256
        yield _case(row, model, peer, setting)


def _case(row: Row, model: Model, peer: Peer, setting: Setting) -> Case:
    def answer(pictures: UInt8) -> UInt8:
        return _answer(peer, pictures, setting.count)

    def timed(batch: UInt8) -> Callable[[], object]:
        ready = peer.prepare(planes(batch))

        def call() -> object:
            return peer.run(ready)

        return peer.clock(call) if peer.clock else call

    return Case(
        row=row, answer=answer, timed=timed, close=lambda: None, most_windows=_MOST_WINDOWS,
        source=model,
    )  # fmt: skip


def _answer(peer: Peer, pictures: UInt8, count: int) -> UInt8:
    """The result as uint8 (N, s*h, s*w, 3), in batches of the one size that the peer was built for."""
    missing = -len(pictures) % count
    padded = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
    parts = [
        peer.fetch(peer.run(peer.prepare(planes(padded[k : k + count]))))
        for k in range(0, len(padded), count)
    ]
    sr = np.concatenate(parts)[: len(pictures)].transpose(0, 2, 3, 1)
    return np.asarray(np.rint(np.clip(sr, 0, 1) * 255), np.uint8)


def planes(batch: UInt8) -> Float32:
    """uint8 RGB (N, h, w, 3) -> float32 (N, 3, h, w) in [0, 1]."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)


def _torch(dtype: str, *, compiled: bool) -> Build:
    def build(model: Model, setting: Setting) -> Peer:
        import torch

        from idrn_trt.toolchain.unfold import network_from_file

        torch.set_num_threads(setting.threads)
        kind = getattr(torch, dtype)
        net: Any = network_from_file(model.read("fp32"), model).to(kind)
        net = net.to(memory_format=torch.channels_last)
        settings = f"torch {torch.__version__}, channels-last, inference_mode"
        if compiled:
            net = compiled_net(net)
            settings += ", torch.compile (inductor, freezing)"

        def run(lr: Any) -> Any:
            with torch.inference_mode():
                return net(lr)

        def prepare(lr: Float32) -> Any:
            return torch.from_numpy(lr).to(kind).contiguous(memory_format=torch.channels_last)

        return Peer(
            run=run, prepare=prepare, fetch=lambda sr: np.asarray(sr.float().numpy()),
            settings=settings,
        )  # fmt: skip

    return build


def compiled_net(net: Any, **options: Any) -> Any:
    """The network under torch.compile, for one shape; what it cannot compile whole is an error.

    By itself it goes on uncompiled after 8 networks of one class, and says so in its log alone.
    """
    import torch
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    inductor.freezing = True
    dynamo.recompile_limit = _MOST_COMPILED
    return torch.compile(net, dynamic=False, fullgraph=True, **options)


def _onnxruntime(kind: str) -> Build:
    def build(model: Model, setting: Setting) -> Peer:
        return _session(model.read(kind), kind, setting, f"the model's {kind} file")

    return build


def _onnxruntime_own_int8(model: Model, setting: Setting) -> Peer:
    """What its user would do: static Q/DQ per channel by its own tool, calibrated on seeded pictures."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    target = setting.folder / f"{model.name}.ort-qdq.onnx"
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # its advice on shapes, which are right in these files
    try:
        quantize_static(
            str(model.file("fp32")), str(target), _reader(setting), quant_format=QuantFormat.QDQ,
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    finally:
        logging.disable(before)
    return _session(target.read_bytes(), "", setting, "quantize_static QDQ, uint8 x int8 a channel")


def _reader(setting: Setting) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Pictures(CalibrationDataReader):  # type: ignore[misc]  # published without types
        """Seeded pictures: the speed is what is asked for, the quality is in the report beside it."""

        def __init__(self) -> None:
            self.left = [planes(windows(setting.count, setting.side, seed)) for seed in range(8)]

        def get_next(self) -> dict[str, Float32] | None:
            return {"lr": self.left.pop()} if self.left else None

    return Pictures()


def _session(data: bytes, kind: str, setting: Setting, what: str) -> Peer:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.log_severity_level = 3
    # Threads that spin on after a call would steal the cores of the case that is timed next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return Peer(
        run=lambda lr: session.run(None, {"lr": lr})[0],
        settings=f"onnxruntime {ort.__version__}, all graph optimisations, spinning stopped; {what}",
        kind=kind,
    )


def _openvino(hint: str) -> Build:
    def build(model: Model, setting: Setting) -> Peer:
        import openvino as ov

        from idrn_trt.engines.openvino import can_bf16
        from idrn_trt.engines.openvino import core as shared_core

        core = shared_core()
        release = ov.__version__.partition("-")[0]
        if hint == "bf16" and not can_bf16():
            raise RuntimeError("this processor has no bfloat16 arithmetic")
        graph = core.read_model(model.read("fp32"))
        graph.reshape([setting.count, 3, setting.side, setting.side])
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": setting.threads,
            "INFERENCE_PRECISION_HINT": hint,
        }
        request = core.compile_model(graph, "CPU", config).create_infer_request()

        def run(lr: Any) -> Any:
            request.set_input_tensor(lr)
            request.infer()
            return request.get_output_tensor(0)

        return Peer(
            run=run,
            prepare=lambda lr: ov.Tensor(lr, shared_memory=True),
            fetch=lambda sr: np.array(sr.data),
            settings=f"openvino {release}, static shape, LATENCY, {hint}, float32 ends",
        )

    return build


def _opencv(model: Model, setting: Setting) -> Peer:  # noqa: ARG001 (OpenCV's threads are set once for all)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.read("fp32"), np.uint8))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)

    def run(lr: Any) -> Any:
        net.setInput(lr)
        return net.forward()

    return Peer(run=run, settings=f"opencv {cv2.__version__} dnn, its own backend on the CPU")


def _ncnn(model: Model, setting: Setting) -> Peer:
    import ncnn

    param, weights = _ncnn_files(model, setting)
    net = ncnn.Net()
    net.opt.num_threads = setting.threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise RuntimeError("ncnn cannot load what pnnx made")

    def run(pictures: Any) -> Any:
        found = []
        for picture in pictures:  # its tensors have no batch axis
            extractor = net.create_extractor()
            extractor.input("in0", picture)
            found.append(extractor.extract("out0")[1])
        return found

    return Peer(
        run=run,
        prepare=lambda lr: [ncnn.Mat(picture).clone() for picture in lr],
        fetch=lambda sr: np.stack([np.array(picture) for picture in sr]),
        settings=f"ncnn {ncnn.__version__}, converted by pnnx, fp32, Winograd and packing on",
    )


def _ncnn_files(model: Model, setting: Setting) -> tuple[Path, Path]:
    """The network as ncnn's two files, converted by pnnx in a folder of its own."""
    program = shutil.which("pnnx") or shutil.which("pnnx", path=str(Path(sys.executable).parent))
    if program is None:
        raise RuntimeError("ncnn reads no ONNX and its converter is missing: pip install pnnx")
    folder = setting.folder / f"ncnn-{model.name}"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(model.read("fp32"))
    shape = f"inputshape=[1,3,{setting.side},{setting.side}]"
    subprocess.run(  # noqa: S603 (its arguments are ours)
        [program, "model.onnx", shape, "fp16=0"],
        cwd=folder, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return folder / "model.ncnn.param", folder / "model.ncnn.bin"


PEERS: dict[tuple[str, str], Build] = {
    ("torch eager", "fp32"): _torch("float32", compiled=False),
    ("torch eager", "bf16"): _torch("bfloat16", compiled=False),
    ("torch compile", "fp32"): _torch("float32", compiled=True),
    ("torch compile", "bf16"): _torch("bfloat16", compiled=True),
    ("onnxruntime plain", "fp32"): _onnxruntime("fp32"),
    ("onnxruntime plain, our file", "int8"): _onnxruntime("int8-cpu"),
    ("onnxruntime plain, its own", "int8"): _onnxruntime_own_int8,
    ("openvino plain", "fp32"): _openvino("f32"),
    ("openvino plain", "bf16"): _openvino("bf16"),
    ("opencv dnn", "fp32"): _opencv,
    ("ncnn", "fp32"): _ncnn,
}
