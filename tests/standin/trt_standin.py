"""A stand-in for the module `tensorrt`: names and rules of the real one, the network by ONNX Runtime.

Public names here exist in the real bindings (test_stand_in_names.py). A network is computed where a
kernel would be: in the order of the stream, when somebody waits, on the stand-in driver's memory. So a
missing wait, an address mixed up or memory freed too early gives a wrong picture or an error, as on a GPU.

What goes wrong is chosen in trt_state.STATE.faults: "runtime", "builder", "parse", "build" (out of
memory), "deserialise", "context", "context profile", "enqueue", "capture", "kernel";
"wrong picture", a function of the model's bytes, says "black", "inverted" or "".
"""
# ruff: noqa: D101, D106 (the real classes are documented by NVIDIA)

from __future__ import annotations

import base64
import ctypes
import enum
import json
from typing import Any

import numpy as np
import onnxruntime as ort
from trt_state import STATE as _STATE

__version__ = "11.4.0.106"

# Filled in by the fixture that loads the driver's stand-in.
_driver: Any = None
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_MAGIC = b"stand-in plan\n"
_LAUNCH_FAILED = 719


def _call(name: str, *arguments: Any) -> None:
    _STATE.calls.append((name, *arguments))
    _driver.library.standin_note(name.encode())


def _current() -> bool:
    context = ctypes.c_void_p()
    _driver.library.cuCtxGetCurrent(ctypes.byref(context))
    return bool(context.value)


class _Counted:
    """Something of TensorRT's, whose making and end are told."""

    _counted = False

    def __init__(self) -> None:
        _STATE.alive[type(self).__name__] += 1
        self._counted = True

    def __del__(self) -> None:
        if not self._counted:  # its constructor failed
            return
        name = type(self).__name__
        _STATE.alive[name] -= 1
        _call(f"del {name}")
        if name in {"Runtime", "ICudaEngine", "IExecutionContext"} and not _current():
            _STATE.violations.append(f"{name} destroyed while no CUDA context was current")


class DataType(enum.IntEnum):
    FLOAT = 0
    UINT8 = 5


class BuilderFlag(enum.IntEnum):
    TF32 = 5
    VERSION_COMPATIBLE = 12


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 0


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class ProfilingVerbosity(enum.IntEnum):
    DETAILED = 2


class LayerInformationFormat(enum.IntEnum):
    JSON = 1


class HardwareCompatibilityLevel(enum.IntEnum):
    NONE = 0
    AMPERE_PLUS = 1


class ExecutionContextAllocationStrategy(enum.IntEnum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self) -> None:
        self._made = True

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


def _error(logger: ILogger, text: str) -> None:
    logger.log(ILogger.Severity.ERROR, text)


class IProgressMonitor:
    def __init__(self) -> None:
        self._made = True


class ParserError:
    def __init__(self, desc: str, name: str, operator: str) -> None:
        self._facts = (desc, name, operator)

    def desc(self) -> str:
        return self._facts[0]

    def node_name(self) -> str:
        return self._facts[1]

    def node_operator(self) -> str:
        return self._facts[2]


class INetworkDefinition(_Counted):
    def __init__(self, flags: int) -> None:
        super().__init__()
        self._flags = flags
        self._model = b""


class OnnxParser(_Counted):
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        super().__init__()
        self._network = network
        self._logger = logger
        self._errors: list[ParserError] = []

    def parse(self, model: bytes) -> bool:
        _call("parse", len(model))
        if _STATE.fails("parse"):
            self._errors.append(
                ParserError("Unsupported operator 'Warp'\n in node 7", "body/warp", "Warp")
            )
            return False
        self._network._model = bytes(model)
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]


class IOptimizationProfile:
    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        _call("set_shape", input, tuple(min), tuple(opt), tuple(max))
        self._shapes[input] = [tuple(min), tuple(opt), tuple(max)]


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def serialize(self) -> bytes:
        return self._data or b"timings"


class IBuilderConfig(_Counted):
    def __init__(self) -> None:
        super().__init__()
        self.builder_optimization_level = 3
        self.profiling_verbosity: Any = None
        self.hardware_compatibility_level: Any = HardwareCompatibilityLevel.NONE
        self.progress_monitor: Any = None
        self._profiles: list[IOptimizationProfile] = []
        self._flags: set[BuilderFlag] = {BuilderFlag.TF32}

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def set_flag(self, flag: BuilderFlag) -> None:
        self._flags.add(flag)

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        _call("set_memory_pool_limit", pool.name, pool_size)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:  # noqa: FBT001
        _call("set_timing_cache", len(cache._data), ignore_mismatch)
        return True


class Builder(_Counted):
    def __init__(self, logger: ILogger) -> None:
        _call("Builder")
        self._logger = logger
        if _STATE.fails("builder"):
            _error(logger, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        super().__init__()

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        _call("create_network", flags)
        return INetworkDefinition(flags)

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> bytes | None:
        _call("build_serialized_network", len(config._profiles))
        if _STATE.fails("build"):
            _error(
                self._logger,
                "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory",
            )
            return None
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building Engine", None, 2)
            if not all(monitor.step_complete("Building Engine", step) for step in range(2)):
                return None
            monitor.phase_finish("Building Engine")
        plan = {
            "version": __version__,
            "flags": sorted(flag.name for flag in config._flags),
            "typed": bool(network._flags & 1),
            "profiles": [profile._shapes for profile in config._profiles],
            "wrong": _STATE.faults.get("wrong picture", lambda _: "")(network._model),
            "onnx": base64.b64encode(network._model).decode(),
        }
        return _MAGIC + json.dumps(plan).encode()


class Runtime(_Counted):
    def __init__(self, logger: ILogger) -> None:
        _call("Runtime")
        self._logger = logger
        self.engine_host_code_allowed = False
        if _STATE.fails("runtime"):
            _error(logger, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        super().__init__()

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        _call("deserialize_cuda_engine", len(serialized_engine))
        good = serialized_engine.startswith(_MAGIC) and not _STATE.fails("deserialise")
        if not good:
            _error(
                self._logger,
                "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (magic tag)",
            )
            return None
        return ICudaEngine(self, json.loads(serialized_engine[len(_MAGIC) :]))


class EngineInspector:
    def __init__(self, profiles: int) -> None:
        self._profiles = profiles

    def get_engine_information(self, format: LayerInformationFormat) -> str:  # noqa: A002, ARG002
        names = ["conv", *(f"conv [profile {n}]" for n in range(1, self._profiles))]
        return json.dumps({"Layers": [{"Name": n, "LayerType": "CaskConvolution"} for n in names]})


class ICudaEngine(_Counted):
    def __init__(self, runtime: Runtime, plan: dict[str, Any]) -> None:
        super().__init__()
        self._runtime = runtime
        self._plan = plan
        self._onnx = base64.b64decode(plan["onnx"])
        self._contexts = 0

    @property
    def device_memory_size_v2(self) -> int:
        return 1 << 20

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(len(self._plan["profiles"]))

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> IExecutionContext | None:
        _call("create_execution_context", strategy.name)
        if _STATE.fails("context"):
            _error(self._runtime._logger, "Error Code 2: OutOfMemory (requested 33554432 bytes)")
            return None
        self._contexts += 1
        return IExecutionContext(self, 0 if self._contexts == 1 else None, strategy)


class IExecutionContext(_Counted):
    def __init__(
        self, engine: ICudaEngine, profile: int | None, strategy: ExecutionContextAllocationStrategy
    ) -> None:
        super().__init__()
        self._engine = engine
        self._logger = engine._runtime._logger
        self._profile = profile
        self._memory = strategy != ExecutionContextAllocationStrategy.USER_MANAGED
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._kernels: list[Any] = []  # a graph calls them again, so they live as long as this

    def __del__(self) -> None:
        for kernel in self._kernels:
            kernel.dead = True
        super().__del__()

    def set_device_memory(self, memory: int, size: int) -> None:
        _call("set_device_memory", size)
        self._memory = memory % 256 == 0 and size >= self._engine.device_memory_size_v2
        self._scratch = (memory, size)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        _call("set_optimization_profile_async", profile_index)
        if _STATE.fails("context profile") or not stream_handle:
            return False
        self._profile = profile_index
        self._shapes.clear()
        return profile_index < len(self._engine._plan["profiles"])

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        _call("set_input_shape", name, tuple(shape))
        if self._profile is None:
            return False
        low, _, high = self._engine._plan["profiles"][self._profile].get(name, (None,) * 3)
        if low is None or not all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True)):
            _error(
                self._logger,
                f"Error Code 3: API Usage Error ({tuple(shape)} is outside the profile)",
            )
            return False
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        return [] if self._shapes else list(self._engine._plan["profiles"][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        return _outputs(self._engine._onnx, next(iter(self._shapes.values())))[name][0]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        _call("set_tensor_address", name)
        self._addresses[name] = memory
        return bool(memory)

    def execute_async_v3(self, stream_handle: int) -> bool:
        _call("execute_async_v3", self._profile)
        capturing = _driver.library.standin_capturing(ctypes.c_void_p(stream_handle))
        if _STATE.fails("enqueue", self._profile) or (capturing and _STATE.fails("capture")):
            _error(self._logger, "Error Code 1: Cuda Runtime (operation not permitted)")
            return False
        ends = 1 + len(self._session().get_outputs())
        if not self._memory or len(self._addresses) != ends or not stream_handle:
            _error(
                self._logger,
                "Error Code 3: API Usage Error (no device memory, or an address is not set)",
            )
            return False
        kernel = _Kernel(self)
        self._kernels.append(kernel)
        if not capturing:
            # Run once and gone; those of a graph stay.
            self._kernels = [k for k in self._kernels if k is kernel or not k.done]
        code = _driver.library.cuLaunchHostFunc(stream_handle, kernel.function, None)
        return bool(code == 0)

    def _session(self) -> Any:
        return _session(self._engine._onnx)

    def _input(self) -> str:
        return str(self._session().get_inputs()[0].name)


class _Kernel:
    """The network on the memory whose addresses were set, as it will be when it runs."""

    def __init__(self, context: IExecutionContext) -> None:
        self.dead = self.done = False
        self._session = context._session()
        self._source = context._input()
        self._wrong = context._engine._plan["wrong"]
        self._scratch = context._scratch
        shape = context._shapes[self._source]
        outputs = _outputs(context._engine._onnx, shape)
        ends = {self._source: (shape, np.dtype(np.uint8)), **outputs}
        self._ends = [(context._addresses[name], *end) for name, end in ends.items()]
        self.function = _HOST_FUNCTION(self._run)

    def _run(self, _: Any) -> None:
        arrays = [self._array(*end) for end in self._ends]
        scratch = _driver.library.standin_memory(*self._scratch)
        if self.dead or any(a is None for a in arrays) or not scratch or _STATE.fails("kernel"):
            _driver.library.standin_break(_LAUNCH_FAILED)
            return
        source, *results = arrays
        answers = self._session.run(None, {self._source: source.copy()})
        for result, answer in zip(results, answers, strict=True):
            result[:] = {"": answer, "black": 0, "inverted": 255 - answer}[self._wrong]
        self.done = True

    @staticmethod
    def _array(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        size = int(np.prod(shape)) * dtype.itemsize
        memory = _driver.library.standin_memory(address, size)
        if not memory:
            return None
        values = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(memory))
        return values.view(dtype).reshape(shape)


def _session(onnx: bytes) -> Any:
    if onnx not in _STATE.sessions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        _STATE.sessions[onnx] = ort.InferenceSession(
            onnx, options, providers=["CPUExecutionProvider"]
        )
    return _STATE.sessions[onnx]


def _outputs(
    onnx: bytes, shape: tuple[int, ...]
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each output for an input of that shape, found by running it once."""
    if (onnx, shape) not in _STATE.outputs:
        session = _session(onnx)
        answers = session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.uint8)})
        names = [output.name for output in session.get_outputs()]
        _STATE.outputs[onnx, shape] = {
            name: (answer.shape, answer.dtype) for name, answer in zip(names, answers, strict=True)
        }
    return _STATE.outputs[onnx, shape]
