"""What tests ask of, and do to, the stand-ins for TensorRT and the driver. Not part of either."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass
class State:
    """The calls of TensorRT in their order, what is alive of it, and what is to go wrong next.

    faults: name -> how often, or a predicate of the call's arguments; see trt_standin.py for the names.
    violations: rules of TensorRT or CUDA that were broken without anything failing.
    """

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    alive: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    sessions: dict[bytes, Any] = field(default_factory=dict)
    outputs: dict[tuple[bytes, tuple[int, ...]], Any] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget calls, faults and violations."""
        self.calls.clear()
        self.faults.clear()
        self.violations.clear()

    def names(self) -> list[str]:
        """The calls' names alone."""
        return [call[0] for call in self.calls]

    def fails(self, name: str, *arguments: Any) -> bool:
        """Whether this call is to go wrong; a number counts down."""
        fault = self.faults.get(name, 0)
        if callable(fault):
            return bool(fault(*arguments))
        if fault:
            self.faults[name] = fault - 1
        return bool(fault)


STATE = State()


class Driver:
    """The stand-in libcuda.so.1, loaded before pycuda asks for one of that name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Global, so that pycuda's own library is linked to it.
        self.library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        self.library.standin_memory.restype = ctypes.c_void_p
        self.library.standin_memory.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
        self.library.standin_count.restype = ctypes.c_long
        self.library.standin_calls.restype = ctypes.c_size_t
        self.library.standin_calls.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.library.standin_limit.argtypes = [ctypes.c_size_t]
        self.library.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

    def count(self, what: str) -> int:
        """A counter, by the names in libcuda.c:standin_count."""
        return int(self.library.standin_count(what.encode()))

    def counts(self, *names: str) -> dict[str, int]:
        """Several counters."""
        return {name: self.count(name) for name in names}

    def calls(self) -> list[str]:
        """What was called of the driver, and of TensorRT, since the reset, in order."""
        size = self.library.standin_calls(None, 0)
        text = ctypes.create_string_buffer(size + 1)
        self.library.standin_calls(text, size)
        return text.raw[:size].decode().splitlines()

    def fail(self, function: str, code: int, after: int = 0) -> None:
        """One call of that function, after so many good ones, returns the code."""
        self.library.standin_fail(function.encode(), code, after)

    def reset(self) -> None:
        """No failures, no calls, the usual GPU."""
        self.library.standin_reset()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """standin_limit, standin_devices, standin_capability, standin_driver, standin_break."""
        found: Callable[..., Any] = getattr(self.library, f"standin_{name}")
        return found


def pycuda_library() -> Path | None:
    """The compiled part of pycuda, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("pycuda")
    if spec is None or not spec.submodule_search_locations:
        return None
    (folder,) = spec.submodule_search_locations
    return next(Path(folder).glob("_driver*.so"), None)


def missing_tool() -> str:
    """Why the driver's stand-in cannot be built here, "" where it can."""
    if pycuda_library() is None:
        return "pycuda is not installed (tests/standin/install_pycuda.py builds it without a GPU)"
    lacking = [tool for tool in ("gcc", "nm") if shutil.which(tool) is None]
    return f"the stand-in for the driver is built with {' and '.join(lacking)}" if lacking else ""


def build_driver(folder: Path) -> Path:
    """Compile libcuda.c, with a function that fails for whatever else pycuda links to."""
    path = folder / "libcuda.so.1"
    own = folder / "own.o"
    options = ["-std=gnu11", "-O1", "-g", "-fPIC", "-w"]
    run("gcc", *options, "-c", str(HERE / "libcuda.c"), "-o", str(own))
    have = {line.split()[-1] for line in run("nm", "--defined-only", str(own)).splitlines()}
    library = str(pycuda_library())
    wanted = [line.split()[-1] for line in run("nm", "-D", "-u", library).splitlines()]
    rest = sorted({name for name in wanted if name.startswith("cu")} - have)
    unsupported = folder / "rest.c"
    unsupported.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in rest))
    soname = "-Wl,-soname,libcuda.so.1"
    run(
        "gcc", *options, "-shared", soname, str(own), str(unsupported), "-o", str(path), "-lpthread"
    )
    return path


def run(*command: str) -> str:
    """A tool's standard output; its errors are in the exception when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout
