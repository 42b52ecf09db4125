"""From an ONNX file to a TensorRT plan: one code path for TensorRT 10.3 to 11.

The precision is in the file: networks are strongly typed, so that TensorRT computes what is written.
Checked against the real bindings' names (tests/tensorrt/test_real_api.py); not run: this project has
had no TensorRT library at hand.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from idrn_trt.engines._plans import Gpu, PlanKey
from idrn_trt.engines._trt_profiles import BuildOptions, Profile
from idrn_trt.engines._trt_watch import Progress, Watch, interruptible
from idrn_trt.engines._uint8_ends import INPUT, OUTPUT, with_uint8_ends
from idrn_trt.errors import BackendUnavailable, DeviceError, IdrnError, ModelError
from idrn_trt.files import replacing

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = [
    "ERRORS", "INPUT", "OUTPUT", "Range", "build_plan", "build_ranges", "check_version", "inspect_plan",
    "last_errors", "logger", "no_device", "plan_key",
]  # fmt: skip

OLDEST = (10, 3)

Say = Callable[[str], None]
# What one optimisation profile takes of the input INPUT: minimum, optimum and maximum.
Range = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

# The last errors TensorRT reported in this process; its calls themselves only return None or False.
ERRORS: deque[str] = deque(maxlen=20)


def check_version() -> str:
    """TensorRT's full version. Raises BackendUnavailable: not installed, or older than 10.3."""
    try:
        import tensorrt as trt

        version = str(trt.__version__)
    except (ImportError, OSError, AttributeError) as error:
        raise BackendUnavailable(
            f"TensorRT is not usable: {error}. Install it with `pip install 'idrn-trt[tensorrt]'`; "
            "on a Jetson it is part of JetPack"
        ) from error
    numbers = [int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]]
    if tuple(numbers) < OLDEST:
        oldest = ".".join(str(number) for number in OLDEST)
        raise BackendUnavailable(
            f"TensorRT {version} is not usable: expected {oldest} or newer. "
            "Install it with `pip install -U 'idrn-trt[tensorrt]'`, or a newer JetPack"
        )
    return version


def logger() -> trt.ILogger:
    """The one logger of this process; it prints nothing, and ERRORS has what it was told.

    One, because TensorRT keeps the first that it is given for the rest of the process.
    """
    import tensorrt as trt

    return _logger_of(trt)


@functools.cache
def _logger_of(_module: ModuleType) -> trt.ILogger:
    import tensorrt as trt

    class Log(trt.ILogger):  # type: ignore[misc]  # tensorrt ships no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
                ERRORS.append(msg)

    return Log()


def plan_key(onnx_sha256: str, precision: str, gpu: Gpu, options: BuildOptions) -> PlanKey:
    """The key of the plan that `build_plan` makes here. Raises BackendUnavailable."""
    return PlanKey(
        onnx_sha256=onnx_sha256,
        precision=precision,
        profiles=tuple((*profile.window, profile.batch) for profile in options.profiles),
        tensorrt=check_version(),
        gpu=gpu,
        level=options.level,
        workspace_mib=options.workspace_mib,
        flags=_flags(options),
    )


def _flags(options: BuildOptions) -> tuple[str, ...]:
    """What a plan is built with besides numbers, by TensorRT's names."""
    chosen = {
        "STRONGLY_TYPED": True,
        "TF32": False,
        "VERSION_COMPATIBLE": options.version_compatible,
        "AMPERE_PLUS": options.hardware_compatible,
    }
    return tuple(sorted(name for name, wanted in chosen.items() if wanted))


def build_plan(
    onnx: bytes,
    *,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> bytes:
    """The plan for a model file of ours (fp16, int8-trt or fp32: the file carries its types).

    Profile i of the plan is options.profiles[i]; its ends are INPUT (N, h, w, 3) and OUTPUT
    (N, s*h, s*w, 3), uint8. progress: told the outermost phase and how far it is, from TensorRT's
    threads. say: told of a timing cache that could not be used. Raises what `build_ranges` raises.
    """
    options = options or BuildOptions()
    data = with_uint8_ends(onnx, _fixed(options.profiles))
    ranges = [(profile.shape,) * 3 for profile in options.profiles]
    return build_ranges(data, ranges, options, progress=progress, say=say)


def build_ranges(
    data: bytes,
    ranges: Sequence[Range],
    options: BuildOptions,
    *,
    progress: Progress | None = None,
    say: Say | None = None,
) -> bytes:
    """The plan for a network whose ends are put on, with a profile for each range.

    options: its profiles play no part. The work is done in a thread of its own, on CUDA device 0, so
    that Ctrl-C is seen at once: the build then stops at its next step and KeyboardInterrupt is raised.
    Raises BackendUnavailable (no usable TensorRT), ModelError (a file that TensorRT does not take, the
    node named) or DeviceError (no GPU, driver too old, out of memory).
    """
    check_version()
    watch = Watch(progress)
    return interruptible(lambda: _build(data, ranges, options, watch, say or _silent), watch)


def _silent(_: str) -> None:
    """Nothing is said."""


def _fixed(profiles: Sequence[Profile]) -> tuple[int | None, int | None, int | None]:
    """N, h and w where every profile has the same: what is fixed, TensorRT can plan better for."""
    return (
        _common(profile.batch for profile in profiles),
        _common(profile.height_px for profile in profiles),
        _common(profile.width_px for profile in profiles),
    )


def _common(values: Iterable[int]) -> int | None:
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _build(
    data: bytes, ranges: Sequence[Range], options: BuildOptions, watch: Watch, say: Say
) -> bytes:
    import tensorrt as trt

    log = logger()
    ERRORS.clear()
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # what the bindings make of TensorRT's null pointer
        raise DeviceError(no_device()) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(data):
        raise ModelError(_refusal(parser))
    config = _config(builder, ranges, options)
    config.progress_monitor = monitor = _monitor(watch)
    timings = _timing_cache(config, options.timing_cache, say)
    plan = builder.build_serialized_network(network, config)
    del monitor  # held until here: the builder calls it
    if plan is None:
        raise DeviceError(_build_failure(cancelled=watch.cancelled.is_set()))
    if timings is not None and options.timing_cache is not None:
        _keep_timings(timings, options.timing_cache, say)
    return bytes(plan)


def _config(
    builder: trt.Builder, ranges: Sequence[Range], options: BuildOptions
) -> trt.IBuilderConfig:
    import tensorrt as trt

    config = builder.create_builder_config()
    config.builder_optimization_level = options.level
    # For the layer report; a plan's speed does not depend on it.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # Float32 means float32; only the ends of our networks compute in it.
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    for least, best, most in ranges:
        profile = builder.create_optimization_profile()
        profile.set_shape(INPUT, least, best, most)
        config.add_optimization_profile(profile)
    return config


def _monitor(watch: Watch) -> trt.IProgressMonitor:
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # tensorrt ships no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()


def _timing_cache(
    config: trt.IBuilderConfig, path: Path | None, say: Say
) -> trt.ITimingCache | None:
    """The timings in the file, attached to the build; new ones where there are none that fit."""
    if path is None:
        return None
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        kept = b""
    except OSError as error:
        raise DeviceError(f"cannot read timing cache {str(path)!r}: {error.strerror}") from error
    for content in (kept, b""):
        timings = config.create_timing_cache(content)
        if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
            return timings
        say(f"timing cache {str(path)!r} is not used: it is of another TensorRT or GPU, or damaged")
    return None


def _keep_timings(timings: trt.ITimingCache, path: Path, say: Say) -> None:
    try:
        with replacing(path, "timing cache") as part:
            part.write_bytes(bytes(timings.serialize()))
    except IdrnError as error:
        say(str(error))


def inspect_plan(plan: bytes) -> str | None:
    """What TensorRT's inspector says of each layer, as JSON; None when it refuses the plan.

    Only for plans of our own cache: a plan is executable input. Raises DeviceError without a GPU.
    """
    import tensorrt as trt

    ERRORS.clear()
    try:
        runtime = trt.Runtime(logger())
    except TypeError as error:  # what the bindings make of TensorRT's null pointer
        raise DeviceError(no_device()) from error
    runtime.engine_host_code_allowed = True  # a version-compatible plan carries its own runtime
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        return None
    inspector = engine.create_engine_inspector()
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def last_errors() -> str:
    """The first and the last of ERRORS: the cause, and what came of it."""
    texts = list(dict.fromkeys(" ".join(text.split()) for text in ERRORS))
    return "; ".join(texts if len(texts) < 3 else [texts[0], texts[-1]]) or "it gave no reason"


def no_device() -> str:
    """The sentence for a builder or runtime that could not be made."""
    said = last_errors()
    if "error: 35" in said:  # cudaErrorInsufficientDriver
        return (
            f"TensorRT cannot start: {said}. The GPU's driver is older than the CUDA that this "
            "TensorRT needs: update the driver, or install tensorrt-cu12 instead of tensorrt"
        )
    return (
        f"TensorRT cannot start: {said}. Expected an NVIDIA GPU and its driver: see that "
        "`nvidia-smi` lists the GPU, and in a container that it is given one"
    )


def _refusal(parser: trt.OnnxParser) -> str:
    """The parser's complaints, each with the node's name."""
    found = [parser.get_error(index) for index in range(parser.num_errors)]
    texts = [
        f"node {error.node_name()!r} ({error.node_operator()}): {' '.join(error.desc().split())}"
        for error in found[:3]
    ]
    return f"TensorRT does not take the model: {'; '.join(texts) or last_errors()}"


def _build_failure(*, cancelled: bool) -> str:
    if cancelled:
        return "the TensorRT build was stopped"
    said = last_errors()
    if any(words in said.lower().replace(" ", "") for words in ("outofmemory", "notenoughmemory")):
        return (
            f"TensorRT cannot build the plan, the GPU is out of memory: {said}. Close what else "
            "uses the GPU, or build for less with `idrn-trt build --workspace-mib 512 --batches 1,4`"
        )
    return f"TensorRT cannot build the plan: {said}"
