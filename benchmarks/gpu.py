"""What can be proven on an NVIDIA GPU without TensorRT, and the figures TensorRT has to beat there.

    python benchmarks/gpu.py --json benchmarks/results/gpu-NAME.json
    python benchmarks/gpu.py --only checks        copies, graphs, memory, beside torch
    python benchmarks/gpu.py --only reference     the networks in PyTorch and ONNX Runtime
    python benchmarks/gpu.py --only detector      the face detector in TensorRT, beside OpenVINO

The checks run engines/_cuda.py on the real driver under the real pycuda; exit code 1 when one fails. The
reference are the rows of `idrn-trt bench --paper` on a GPU (idrn_trt/toolchain/peers_cuda.py) for these
networks, with seeded weights, and the engine of ONNX Runtime with its copies. The checks and the rows of
torch were run on an H200 (results/gpu-h200.json); those of ONNX Runtime and of the detector have never
been run on a GPU. A part whose package is not there says so. Clocks are as the machine has them: name it,
and keep it idle, its processor too: a row that is no graph waits for the host.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from gpu_report import FORMAT, KIND

from idrn_trt.bench.cases import Case, Row
from idrn_trt.bench.checks import check
from idrn_trt.bench.machine import cpu, gpus, versions
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.pictures import windows
from idrn_trt.errors import IdrnError

if TYPE_CHECKING:
    from idrn_trt.bench.measure import OwnClock
    from idrn_trt.engines import _cuda as cuda_module

NETWORKS = ("d8-w64-x4", "d16-w64-x4", "d16-w128-x4")
CASES = ((32, 1), (32, 16))
# A pinned round trip through engines/_cuda.py must reach this share of what the link was measured at.
LEAST_SHARE = 0.8
# Height and width of the pictures a detector's network is timed with: a region, 640x480, 1080p at its scale.
DETECTOR_SIZES = ((64, 64), (480, 640), (736, 1280))
# The first is what the others are held against.
DETECTOR_FILES = (("openvino", "fp32"), ("openvino", "int8-cpu"), ("tensorrt", "fp16"))
REPLAYS = 100_000
_PACKAGES = (
    "numpy", "pycuda", "torch", "onnxruntime-gpu", "onnxruntime", "openvino", "tensorrt",
)  # fmt: skip
# Growth over all replays that is still called flat.
FLAT_MIB = 8
_LARGE_BYTES, _FRAME_BYTES = 256 << 20, 16 * 512 * 512 * 3
_WARM_UP = 50
# A card that was idle has not raised its clocks yet, nor has the processor.
_WARM_UP_S = 2.0

# Every byte XOR 0x5A. Text, so that no compiler is needed; ptxas of CUDA 13.0 takes it, sm_75 to sm_120.
PTX = b"""
.version 6.3
.target sm_70
.address_size 64
.visible .entry flip(.param .u64 address, .param .u32 count)
{
  .reg .pred %p; .reg .b32 %r<6>; .reg .b64 %d<4>; .reg .b16 %h<3>;
  ld.param.u64 %d1, [address];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra DONE;
  cvta.to.global.u64 %d2, %d1;
  cvt.u64.u32 %d3, %r5;
  add.s64 %d2, %d2, %d3;
  ld.global.u8 %h1, [%d2];
  xor.b16 %h2, %h1, 90;
  st.global.u8 [%d2], %h2;
DONE:
  ret;
}
"""


# ---- checks


def checks(replays: int) -> dict[str, Any]:
    """Each check's figures, "passed" among them. Raises BackendUnavailable or DeviceError without a GPU."""
    from idrn_trt.engines import _cuda

    with _cuda.device().current():
        found = {"copies": copies(_cuda), "graph": graph(_cuda, replays)}
    found["beside torch"] = beside_torch(_cuda)
    return found


def copies(cuda: cuda_module) -> dict[str, Any]:
    """A frame's round trip through page-locked memory, beside the link's bandwidth with large blocks."""
    stream = cuda.Stream()
    link = round_trip_gb_per_s(cuda, stream, _LARGE_BYTES, 10)
    frame = round_trip_gb_per_s(cuda, stream, _FRAME_BYTES, 200)
    stream.free()
    share = frame / link
    return {
        "link_gb_per_s": round(link, 2),
        "frame_mb": round(_FRAME_BYTES / 1e6, 1),
        "frame_gb_per_s": round(frame, 2),
        "share": round(share, 3),
        "passed": share >= LEAST_SHARE,
    }


def round_trip_gb_per_s(cuda: cuda_module, stream: Any, size: int, repeats: int) -> float:
    """Bytes up and down again over the time of the fastest of `repeats` round trips, by device events."""
    pair = cuda.Pair((size,))

    def work() -> None:
        pair.upload(stream)
        pair.download(stream)

    best_ms = min(cuda.times_ms(stream, work, repeats))
    pair.free()
    return 2 * size / best_ms / 1e6


def graph(cuda: cuda_module, replays: int) -> dict[str, Any]:
    """Copy, kernel, copy: captured once, replayed with other bytes each time; the results and memory."""
    count = 1 << 16
    with cuda.errors("loading the kernel"):
        kernel = cuda.cuda.module_from_buffer(PTX).get_function("flip")
    stream, pair = cuda.Stream(), cuda.Pair((count,))

    def work() -> None:
        pair.upload(stream)
        shape = {"grid": ((count + 255) // 256, 1), "block": (256, 1, 1)}
        kernel(np.uint64(pair.memory.address), np.uint32(count), stream=stream.raw, **shape)
        pair.download(stream)

    work()
    stream.wait()
    captured = cuda.Graph(stream, work)
    rng = np.random.default_rng(0)
    wrong = 0
    before: tuple[float, float] = (0.0, 0.0)
    for number in range(replays):
        if number == min(1000, replays // 2):
            before = memory_mib(cuda)
        checked = number % 1000 == 0
        if checked:
            expected = rng.integers(0, 256, count, np.uint8)
            pair.host[:] = expected
        captured.launch()
        stream.wait()
        if checked:
            wrong += not np.array_equal(pair.host, expected ^ 0x5A)
    after = memory_mib(cuda)
    for part in (captured, pair, stream):
        part.free()
    growth = [round(a - b, 2) for a, b in zip(after, before, strict=True)]
    return {
        "replays": replays,
        "wrong": wrong,
        "host_growth_mib": growth[0],
        "gpu_growth_mib": growth[1],
        "passed": wrong == 0 and max(growth) < FLAT_MIB,
    }


def memory_mib(cuda: cuda_module) -> tuple[float, float]:
    """Resident memory of this process, and the GPU's memory in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    free, total = cuda.cuda.mem_get_info()
    return pages * 4096 / 2**20, (total - free) / 2**20


def beside_torch(cuda: cuda_module) -> dict[str, Any]:
    """Torch and engines/_cuda.py in turns, in one thread: each finds its context and memory as it left it."""
    try:
        import torch
    except ImportError:
        return {"passed": None, "reason": "torch is not installed"}
    if not torch.cuda.is_available():
        return {"passed": None, "reason": "this torch has no CUDA"}
    a = torch.rand((256, 256), device="cuda")
    expected = (a @ a).cpu()
    with cuda.device().current():
        stream, pair = cuda.Stream(), cuda.Pair((1 << 20,))
    wrong = 0
    for number in range(200):
        with cuda.device().current():
            pair.host[:] = number % 256
            pair.upload(stream)
            pair.download(stream)
            stream.wait()
            wrong += bool((pair.host != number % 256).any())
        wrong += not torch.equal((a @ a).cpu(), expected)
    with cuda.device().current():
        pair.free()
        stream.free()
    return {"rounds": 200, "wrong": wrong, "passed": wrong == 0}


# ---- reference


def reference(networks: Sequence[str], repeats: int, *, compiled: bool) -> list[dict[str, Any]]:
    """A row for each network, case and way of running it; "reason" where there is no time."""
    rows = onnxruntime_rows(repeats)
    try:
        from idrn_trt.toolchain.peers import peer_cases
        from idrn_trt.toolchain.peers_cuda import gpu_peers
        from idrn_trt.toolchain.seeded import seeded_model
    except ImportError as error:
        return [*rows, {"by": "torch cuda", "reason": str(error)}]
    marked, builds = gpu_peers()
    rows += [{"by": row.engine, "reason": row.reason} for row in marked]
    builds = {key: build for key, build in builds.items() if compiled or "compile" not in key[0]}
    if builds:
        warm_up("cuda", _WARM_UP_S)
    with tempfile.TemporaryDirectory() as scratch:
        for network in networks if builds else ():
            model = seeded_model(network, Path(scratch))
            for side, batch in CASES:
                options = BenchOptions(window_px=side, batch=batch)
                found = peer_cases(model, options, 1, Path(scratch), builds)
                rows += [peer_row(item, side, batch, repeats) for item in found]
    return rows


def warm_up(device: str, seconds: float) -> None:
    """Keep a device of torch's busy with matrix products for so long."""
    import torch

    a = torch.rand((2048, 2048), device=device)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        (a @ a).sum().item()  # waits for the result


def peer_row(item: Case | Row, side: int, batch: int, repeats: int) -> dict[str, Any]:
    """Percentiles of single calls by device events, once the answer was held against fp32.

    notes: what to know of it, such as that there was nothing to hold it against.
    """
    row = item if isinstance(item, Row) else item.row
    entry: dict[str, Any] = {
        "by": row.engine, "network": row.network, "window_px": side, "batch": batch,
        "precision": row.precision, "settings": row.settings,
    }  # fmt: skip
    if isinstance(item, Case) and check([item], side, 1)[0]:
        clock = cast("OwnClock", item.timed(windows(batch, side)))
        entry |= {"psnr_fp32_db": row.psnr_fp32_db, "notes": row.notes}
        return {**entry, **percentiles([ns / 1e6 for ns in clock.block_ns(repeats)])}
    return {**entry, "reason": row.reason}


def onnxruntime_rows(repeats: int) -> list[dict[str, Any]]:
    """The default model through the engine, copies included, where ONNX Runtime's CUDA provider starts."""
    from idrn_trt.engines import open_engine

    rows = []
    for precision in ("fp32", "fp16"):
        row: dict[str, Any] = {"by": "onnxruntime CUDA, copies included", "precision": precision}
        rows.append(row)
        try:
            import onnxruntime as ort

            if "CUDAExecutionProvider" not in ort.get_available_providers():
                row["reason"] = "this onnxruntime has no CUDA"
                continue
            engine = open_engine(engine="onnxruntime", precision=precision)
        except (ImportError, IdrnError) as error:
            row["reason"] = str(error)
            continue
        row["notes"] = list(engine.notes)
        for side, batch in CASES:
            pictures = windows(batch, side)
            found = percentiles(wall_ms(partial(engine.run, pictures), repeats))
            rows.append({**row, "window_px": side, "batch": batch, **found})
        rows.remove(row)
        engine.close()
    return rows


# ---- detector


def detector_rows(repeats: int) -> list[dict[str, Any]]:
    """The carried network for each file and size, copies included, its scores held against fp32's."""
    from idrn_trt.faces.grid import OUTPUT, VALUES
    from idrn_trt.faces.network import open_network
    from idrn_trt.zoo import DETECTOR_MODEL, find_model

    model = find_model(DETECTOR_MODEL)
    expected: dict[tuple[int, int], Any] = {}
    rows: list[dict[str, Any]] = []
    for engine, kind in DETECTOR_FILES:
        entry: dict[str, Any] = {"by": f"detector {engine}", "file": kind}
        try:
            network = open_network(model.read(kind), kind, [OUTPUT], engine=engine, unit=1 / 255)
        except IdrnError as error:
            rows.append({**entry, "reason": str(error)})
            continue
        for size in DETECTOR_SIZES:
            picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
            scores = 1 / (1 + np.exp(-network.run(picture)[0][:, ::VALUES]))
            apart = float(np.abs(scores - expected.setdefault(size, scores)).max())
            found = percentiles(wall_ms(partial(network.run, picture), repeats))
            rows.append(
                {**entry, "height_width_px": size, "scores_apart": round(apart, 4), **found}
            )
    return rows


# ---- all of it


def wall_ms(work: Callable[[], object], repeats: int) -> list[float]:
    """How long each of `repeats` calls took, after a warm-up."""
    times = []
    for _ in range(_WARM_UP + repeats):
        start = time.perf_counter_ns()
        work()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times[_WARM_UP:]


def percentiles(times_ms: list[float]) -> dict[str, float]:
    """p50, p90 and p99."""
    shares = (50, 90, 99)
    values = np.percentile(times_ms, shares)
    return {f"p{share}_ms": round(float(v), 4) for share, v in zip(shares, values, strict=True)}


def recorded(parts: dict[str, Any], command: str) -> dict[str, Any]:
    """The report: each check and row with the command that gave it, so that reports can be joined.

    The clocks are those right behind the last row.
    """
    rows = [row for part in ("reference", "detector") for row in parts.get(part, [])]
    for entry in (*parts.get("checks", {}).values(), *rows):
        entry["command"] = command
    return {
        "kind": KIND,
        "format": FORMAT,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": {**cpu(), "gpus": gpus()},
        "versions": versions(*_PACKAGES),
        **parts,
    }


def main() -> int:
    """Run what was asked for, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=("checks", "reference", "detector"))
    parser.add_argument("--networks", type=lambda text: text.split(","), default=NETWORKS,
        metavar="NAME,NAME,...", help=f"(default: {','.join(NETWORKS)})")  # fmt: skip
    parser.add_argument("--no-compile", action="store_true",
        help="without torch.compile, which tries kernels for minutes")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--replays", type=int, default=REPLAYS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts: dict[str, Any] = {}
    try:
        if args.only in {None, "checks"}:
            parts["checks"] = checks(args.replays)
        if args.only in {None, "reference"}:
            parts["reference"] = reference(
                args.networks, args.repeats, compiled=not args.no_compile
            )
        if args.only in {None, "detector"}:
            parts["detector"] = detector_rows(args.repeats)
    except IdrnError as error:
        print(f"benchmarks/gpu.py: {error}", file=sys.stderr)
        return 1
    report = recorded(parts, shlex.join(["python", "benchmarks/gpu.py", *sys.argv[1:]]))
    text = json.dumps(report, indent=1)
    print(text)
    if args.json is not None:
        from idrn_trt.files import write_text

        write_text(args.json, text + "\n")
    failed = [n for n, check in report.get("checks", {}).items() if check["passed"] is False]
    if failed:
        print(f"benchmarks/gpu.py: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
