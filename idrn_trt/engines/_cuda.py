"""The GPU: everything of CUDA that the TensorRT runtime needs, and the only file that imports pycuda.

Device 0's primary context is retained once and kept for the whole process (docs/decisions/020), pushed
for a call and popped after it, so that torch or a video decoder in the same process keep theirs. What
pycuda lacks (CUDA graphs) or has broken (registering memory) is called in libcuda itself: pycuda's
handles are plain driver handles. Functions and codes: https://docs.nvidia.com/cuda/cuda-driver-api/.

Never run on a GPU by this project's tests: they run it under the real pycuda on a stand-in for libcuda
(tests/standin/); benchmarks/gpu.py is the check on real hardware.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import mmap
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from idrn_trt.engines._plans import Gpu
from idrn_trt.errors import BackendUnavailable, DeviceError

try:
    import pycuda.driver as cuda
except ModuleNotFoundError as error:
    raise BackendUnavailable(
        f"engine 'tensorrt' is not usable: no module {error.name!r}. Install it with "
        "`pip install 'idrn-trt[tensorrt]'`"
    ) from error
except ImportError as error:
    hint = (
        "no NVIDIA driver is installed here, or this container does not see it "
        "(`docker run --gpus all`)"
        if "libcuda.so" in str(error)
        else "pycuda does not fit the driver or Python here: build it anew with "
        "`pip install --force-reinstall --no-cache-dir --no-binary pycuda pycuda`"
    )
    raise BackendUnavailable(f"engine 'tensorrt' is not usable: {error}: {hint}") from error

UInt8 = npt.NDArray[np.uint8]

_DEVICE = 0
# CUstream_flags: work on the legacy default stream, of another library, does not wait for ours.
_NON_BLOCKING = 1
# CUstreamCaptureMode: calls of other threads cannot spoil a capture.
_THREAD_LOCAL = 1
# What to do, by a part of the driver's own words.
_REMEDIES = {
    "out of memory": "free memory on the GPU, or build fewer and smaller profiles with "
    "`idrn-trt build --windows 32x32,40x48 --batches 1,4`",
    "no CUDA-capable device": "no NVIDIA GPU is visible: see `nvidia-smi` and CUDA_VISIBLE_DEVICES, "
    "and start containers with `--gpus all`",
    "invalid device": "no NVIDIA GPU is visible: see `nvidia-smi` and CUDA_VISIBLE_DEVICES",
    "driver version is insufficient": "the NVIDIA driver is too old for this CUDA: update it",
    "unsupported display driver": "the NVIDIA driver is too old for this CUDA: update it",
    "driver mismatch": "the driver was updated under a running system: restart it",
    "illegal memory access": "this process has lost the GPU: start it again",
    "unspecified launch failure": "this process has lost the GPU: start it again",
    "context is destroyed": "another library reset the GPU in this process: start it again",
}


@contextlib.contextmanager
def errors(doing: str) -> Iterator[None]:
    """Raises pycuda's errors in the block as DeviceError: what was done, the driver's words, a remedy."""
    try:
        yield
    except cuda.Error as error:
        raise DeviceError(explain(doing, str(error))) from error


def explain(doing: str, message: str) -> str:
    """A sentence for a driver's message; `doing` is what failed, such as "opening the GPU"."""
    remedy = next((text for part, text in _REMEDIES.items() if part in message), "")
    return f"{doing} failed: {message}" + (f". {remedy[0].upper()}{remedy[1:]}" if remedy else "")


def version() -> str:
    """The version of pycuda, and that of the CUDA it was built with."""
    return (
        f"pycuda {'.'.join(map(str, _pycuda_version()))}, CUDA {'.'.join(map(str, _built_with()))}"
    )


def _pycuda_version() -> tuple[int, ...]:
    import pycuda

    return tuple(pycuda.VERSION)


def _built_with() -> tuple[int, ...]:
    return tuple(cuda.get_version()[:2])


class Device:
    """Device 0 and its primary context. Make none: `device()` gives the one of the process."""

    def __init__(self) -> None:
        with errors("opening the GPU"):
            cuda.init()
            self._device = cuda.Device(_DEVICE)
            self._context = self._device.retain_primary_context()
        # Never destroyed: pycuda 2026.1 releases a primary context by the wrong function when its
        # object goes, and at exit others of its objects may go later.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._context))

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """The context is current to this thread inside the block; what was before is so after it."""
        with errors("making the GPU current"):
            self._context.push()
        try:
            yield
        finally:
            cuda.Context.pop()

    def gpu(self) -> Gpu:
        """Name, compute capability, and the versions that a plan depends on."""
        with errors("asking for the GPU"):
            return Gpu(
                name=self._device.name(),
                compute_capability=tuple(self._device.compute_capability()),
                driver=cuda.get_driver_version(),
                cuda_major=_built_with()[0],
            )

    def free_bytes(self) -> int:
        """Free memory on the GPU, other processes' use taken off."""
        with self.current(), errors("asking for the GPU's memory"):
            return int(cuda.mem_get_info()[0])


_opening = threading.Lock()
_opened: list[Device] = []


def device() -> Device:
    """The process's device. Raises DeviceError: no GPU, a driver too old or broken."""
    with _opening:
        if not _opened:
            _opened.append(Device())
        return _opened[0]


def gpu() -> Gpu:
    """What is here. Raises DeviceError."""
    return device().gpu()


class Memory:
    """A block on the GPU, aligned to 256 bytes. The context must be current, here as everywhere below."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = max(size_bytes, 1)
        with errors(f"allocating {self.size_bytes / 2**20:.1f} MiB on the GPU"):
            self._block = cuda.mem_alloc(self.size_bytes)
        self.address = int(self._block)

    def free(self) -> None:
        """Give it back; nothing on the GPU may use it any more."""
        # A GPU that this process has lost took the memory with it.
        with contextlib.suppress(cuda.Error):
            self._block.free()


class Pair:
    """An array on the host, page-locked, and as much memory on the GPU.

    host: uint8, ordinary memory that is registered with the driver: what was handed out of it can be
    read after `free` too, it is only no longer page-locked.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.host = _pages(shape)
        self.memory = Memory(self.host.nbytes)
        code = libcuda().cuMemHostRegister_v2(self.host.ctypes.data, self.host.nbytes, 0)
        if code:
            self.memory.free()
            doing = f"page-locking {self.host.nbytes / 2**20:.1f} MiB"
            raise DeviceError(explain(doing, _message("cuMemHostRegister", code)))

    def upload(self, stream: Stream) -> None:
        """Queue host to GPU."""
        cuda.memcpy_htod_async(self.memory.address, self.host, stream.raw)

    def download(self, stream: Stream) -> None:
        """Queue GPU to host."""
        cuda.memcpy_dtoh_async(self.host, self.memory.address, stream.raw)

    def free(self) -> None:
        """Unlock the host's pages and give the GPU's memory back."""
        libcuda().cuMemHostUnregister(self.host.ctypes.data)
        self.memory.free()


def _pages(shape: tuple[int, ...]) -> UInt8:
    """Zeros that start a page, so that no two such arrays share one: a page is registered once only."""
    size = math.prod(shape)
    room = np.zeros(size + mmap.PAGESIZE, np.uint8)
    start = -room.ctypes.data % mmap.PAGESIZE
    return room[start : start + size].reshape(shape)


class Stream:
    """A queue of work for the GPU, and the event on which a caller waits for it."""

    def __init__(self) -> None:
        with errors("making a CUDA stream"):
            self.raw = cuda.Stream(_NON_BLOCKING)
            self._done = cuda.Event(cuda.event_flags.DISABLE_TIMING)
        self.handle = int(self.raw.handle)

    def wait(self) -> None:
        """Until everything queued so far is done; other Python threads run meanwhile."""
        with errors("running on the GPU"):
            self._done.record(self.raw)
            self._done.synchronize()

    def free(self) -> None:
        """Destroy both; nothing may be queued any more."""
        del self._done
        del self.raw


def times_ms(stream: Stream, work: Callable[[], object], repeats: int) -> list[float]:
    """How long the GPU took for each of `repeats` times what `work` queues, between two events."""
    taken = []
    with errors("timing on the GPU"):
        start, end = cuda.Event(), cuda.Event()
        for _ in range(repeats):
            start.record(stream.raw)
            work()
            end.record(stream.raw)
            end.synchronize()
            taken.append(float(start.time_till(end)))
    return taken


class NoGraphError(Exception):
    """Work could not be captured into a graph, and why; the stream is usable as before."""


class Graph:
    """Work captured once, launched by one call. `work` queues it on the stream, or raises DeviceError.

    Raises NoGraphError. Whatever `work` reads and writes must stay where it is while the graph lives.
    """

    def __init__(self, stream: Stream, work: Callable[[], None]) -> None:
        self._driver = _with_graphs()
        self._run = ctypes.c_void_p()
        self._handle = ctypes.c_void_p(stream.handle)
        graph = _capture(self._driver, self._handle, work)
        code = self._driver.cuGraphInstantiateWithFlags(ctypes.byref(self._run), graph, 0)
        self._driver.cuGraphDestroy(graph)
        if code:
            raise NoGraphError(_message("cuGraphInstantiateWithFlags", code))

    def launch(self) -> None:
        """Queue the work once more. Raises DeviceError."""
        code = self._driver.cuGraphLaunch(self._run, self._handle)
        if code:
            raise DeviceError(explain("running on the GPU", _message("cuGraphLaunch", code)))

    def free(self) -> None:
        """Destroy the graph; it may not be running any more."""
        self._driver.cuGraphExecDestroy(self._run)


def _capture(driver: Any, stream: ctypes.c_void_p, work: Callable[[], None]) -> ctypes.c_void_p:
    code = driver.cuStreamBeginCapture_v2(stream, _THREAD_LOCAL)
    if code:
        raise NoGraphError(_message("cuStreamBeginCapture_v2", code))
    graph = ctypes.c_void_p()
    reason = ""
    # A forgotten object of CUDA's, finalised in the middle, would end the capture.
    collecting = gc.isenabled()
    gc.disable()
    try:
        try:
            work()
        except (cuda.Error, DeviceError) as error:
            reason = str(error)
        finally:
            code = driver.cuStreamEndCapture(stream, ctypes.byref(graph))
    finally:
        if collecting:
            gc.enable()
    if not reason and not code:
        return graph
    if graph.value:
        driver.cuGraphDestroy(graph)
    raise NoGraphError(reason or _message("cuStreamEndCapture", code))


_POINTER, _REFERENCE = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
_ALWAYS: dict[str, list[Any]] = {
    "cuGetErrorString": [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)],
    "cuMemHostRegister_v2": [_POINTER, ctypes.c_size_t, ctypes.c_uint],
    "cuMemHostUnregister": [_POINTER],
}
# All there from CUDA 11.4 on.
_GRAPHS: dict[str, list[Any]] = {
    "cuStreamBeginCapture_v2": [_POINTER, ctypes.c_int],
    "cuStreamEndCapture": [_POINTER, _REFERENCE],
    "cuGraphInstantiateWithFlags": [_REFERENCE, _POINTER, ctypes.c_ulonglong],
    "cuGraphLaunch": [_POINTER, _POINTER],
    "cuGraphExecDestroy": [_POINTER],
    "cuGraphDestroy": [_POINTER],
}


@lru_cache(maxsize=1)
def libcuda() -> Any:
    """The driver's own library, the one that pycuda has loaded."""
    return _typed(ctypes.CDLL("libcuda.so.1"), _ALWAYS)


def _with_graphs() -> Any:
    try:
        return _typed(libcuda(), _GRAPHS)
    except AttributeError as error:
        raise NoGraphError(f"this driver has no CUDA graphs: {error}") from error


def _typed(library: Any, signatures: dict[str, list[Any]]) -> Any:
    for name, types in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, ctypes.c_int
    return library


def _message(function: str, code: int) -> str:
    text = ctypes.c_char_p()
    libcuda().cuGetErrorString(code, ctypes.byref(text))
    words = text.value.decode(errors="replace") if text.value else f"CUresult {code}"
    return f"{function} failed: {words}"
