"""The same network in what an owner of an NVIDIA GPU could take instead, timed by the GPU itself.

A time is what passed on the GPU between an event in front of the call and one behind it; copies between
host and GPU are not in it. The tests run the same code on the CPU, by the wall clock and without CUDA
graphs (docs/decisions/023). Torch's ways were run on one GPU (benchmarks/results/gpu-h200.json), ONNX
Runtime's on none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from idrn_trt.bench.cases import Case, Row
from idrn_trt.bench.measure import OwnClock
from idrn_trt.bench.options import BenchOptions
from idrn_trt.toolchain.peers import Build, Float32, Peer, Setting, compiled_net, peer_cases
from idrn_trt.zoo import Model

Builds = dict[tuple[str, str], Build]

_TORCH, _ONNXRUNTIME = "torch cuda", "onnxruntime cuda"
_CUDA_PROVIDER = "CUDAExecutionProvider"
_COMPILE_MODE = "max-autotune-no-cudagraphs"


def gpu_cases(models: Iterable[Model], options: BenchOptions, folder: Path) -> Iterator[Case | Row]:
    """What this GPU can run of every model; one marked row for each library that cannot use it."""
    marked, builds = gpu_peers()
    yield from marked
    for model in models:
        yield from peer_cases(model, options, 1, folder, builds)


def gpu_peers() -> tuple[list[Row], Builds]:
    """(a marked row for each library that is of no use here, how the peers of the others are opened)."""
    marked: list[Row] = []
    builds: Builds = {}
    for library, why_not, own in (
        (_TORCH, without_torch, torch_builds),
        (_ONNXRUNTIME, without_onnxruntime, onnxruntime_builds),
    ):
        reason = why_not()
        if reason:
            marked.append(
                Row(model="every network", engine=library, precision="-", peer=True, reason=reason)
            )
        else:
            builds |= own("cuda")
    return marked, builds


def without_torch() -> str:
    """Why torch cannot use a GPU here; "" where it can."""
    try:
        import torch
    except ImportError as error:
        return f"{error}. Install it with `pip install 'idrn-trt[train]'`"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return "torch finds no NVIDIA GPU: see `nvidia-smi` and CUDA_VISIBLE_DEVICES"
    return ""


def without_onnxruntime() -> str:
    """Why ONNX Runtime cannot use a GPU here; "" where it can."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        return f"{error}. Install it with `pip install 'onnxruntime-gpu[cuda,cudnn]'`"
    if _CUDA_PROVIDER not in ort.get_available_providers():
        return (
            f"onnxruntime {ort.__version__} is built without CUDA: `pip install "
            "'onnxruntime-gpu[cuda,cudnn]'` in its place"
        )
    reason = without_torch()
    return f"its memory and its clock are torch's: {reason}" if reason else ""


def torch_builds(device: str) -> Builds:
    """The network in torch on a device, "cuda" or "cpu"; on the CPU without what needs CUDA graphs."""
    builds = {
        (f"{_TORCH} eager", "fp32"): _torch(device, "float32"),
        (f"{_TORCH} channels-last", "fp16"): _torch(device, "float16"),
        (f"{_TORCH} compile", "fp16"): _torch(device, "float16", compiled=True),
    }
    if device == "cuda":
        builds |= {
            (f"{_TORCH} graph", "fp16"): _torch(device, "float16", graph=True),
            (f"{_TORCH} compiled graph", "fp16"): _torch(
                device, "float16", compiled=True, graph=True
            ),
        }
    return builds


def _torch(device: str, dtype: str, *, compiled: bool = False, graph: bool = False) -> Build:
    def build(model: Model, setting: Setting) -> Peer:
        import torch

        from idrn_trt.toolchain.unfold import network_from_file

        torch.backends.cudnn.benchmark = True
        form = torch.channels_last if dtype == "float16" else torch.contiguous_format
        to: dict[str, Any] = {"dtype": getattr(torch, dtype), "memory_format": form}
        net: Any = network_from_file(model.read("fp32"), model).to(device, **to)
        if compiled:
            net = compiled_net(net, mode=_COMPILE_MODE)
        # A CUDA graph reads the place that it was captured with, so every way has such a place.
        lr = torch.zeros((setting.count, 3, setting.side, setting.side)).to(device, **to)
        call = _captured(net, lr) if graph else lambda: net(lr)

        def run(_: object) -> Any:
            with torch.inference_mode():
                return call()

        return Peer(
            run=run,
            prepare=lambda planes: lr.copy_(torch.from_numpy(planes)),
            fetch=lambda sr: np.asarray(sr.float().cpu().numpy()),
            settings=_torch_settings(dtype, compiled=compiled, graph=graph),
            clock=_events if device == "cuda" else None,
        )

    return build


def _torch_settings(dtype: str, *, compiled: bool, graph: bool) -> str:
    import torch

    parts = [f"torch {torch.__version__}", "inference_mode", "cudnn.benchmark"]
    # Its default where the card has it: https://docs.pytorch.org/docs/stable/notes/cuda.html
    parts += ["channels-last" if dtype == "float16" else "convolutions in TF32 where there is it"]
    parts += [f"torch.compile (inductor, freezing, {_COMPILE_MODE})"] if compiled else []
    parts += ["one CUDA graph"] if graph else []
    return ", ".join(parts)


def _captured(net: Any, lr: Any) -> Callable[[], Any]:
    """Replays the network as a CUDA graph, captured after a few runs on another stream.

    As https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs asks.
    """
    import torch

    captured = torch.cuda.CUDAGraph()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode():
        with torch.cuda.stream(aside):
            for _ in range(3):
                net(lr)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(captured):
            sr = net(lr)

    def replay() -> Any:
        captured.replay()
        return sr

    return replay


def onnxruntime_builds(device: str) -> Builds:
    """The network in ONNX Runtime on a device, "cuda" or "cpu"."""
    return {
        (_ONNXRUNTIME, "fp32"): _onnxruntime(device, halved=False),
        (_ONNXRUNTIME, "fp16"): _onnxruntime(device, halved=True),
    }


def _onnxruntime(device: str, *, halved: bool) -> Build:
    def build(model: Model, setting: Setting) -> Peer:
        import onnxruntime as ort
        import torch

        stream: Any = None
        if device == "cuda":
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        options = ort.SessionOptions()
        options.log_severity_level = 3
        provider: Any = "CPUExecutionProvider"
        if stream is not None:
            # The events must stand in the queue that the session works through. It takes torch's
            # default stream, which has the number 0, for none: github.com/microsoft/onnxruntime/pull/19229
            provider = (_CUDA_PROVIDER, {"user_compute_stream": str(stream.cuda_stream)})
        data = _halved(model) if halved else model.read("fp32")
        session = ort.InferenceSession(data, options, providers=[provider])
        if stream is not None and _CUDA_PROVIDER not in session.get_providers():
            raise RuntimeError("ONNX Runtime's CUDA provider did not start: see `idrn-trt doctor`")
        lr = torch.zeros((setting.count, 3, setting.side, setting.side), device=device)
        ends = session.io_binding()
        ends.bind_input("lr", device, 0, np.float32, tuple(lr.shape), lr.data_ptr())
        ends.bind_output("sr", device)
        how = ort.RunOptions()
        how.add_run_config_entry("disable_synchronize_execution_providers", "1")

        def prepare(planes: Float32) -> None:
            lr.copy_(torch.from_numpy(planes))
            _wait(device)

        def fetch(_: object) -> Float32:
            _wait(device)
            return np.asarray(ends.copy_outputs_to_cpu()[0])

        return Peer(
            run=lambda _: session.run_with_iobinding(ends, how),
            prepare=prepare,
            fetch=fetch,
            settings=f"onnxruntime {ort.__version__}, ends on the GPU, the provider's default options",
            kind="" if halved else "fp32",
            clock=None if stream is None else lambda call: _events(call, stream),
        )

    return build


def _halved(model: Model) -> bytes:
    import onnx

    from idrn_trt.toolchain.half import half

    data: bytes = half(onnx.load_model_from_string(model.read("fp32"))).SerializeToString()
    return data


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _events(call: Callable[[], object], stream: Any = None) -> OwnClock:
    """The call by the GPU's clock, on a stream, None for torch's own."""
    import torch

    def whole() -> None:
        call()
        torch.cuda.synchronize()

    def times_ms(calls: int) -> list[float]:
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        taken = []
        for _ in range(calls):
            start.record(stream)
            call()
            end.record(stream)
            end.synchronize()
            taken.append(start.elapsed_time(end))
        return taken

    return OwnClock(whole, times_ms)
