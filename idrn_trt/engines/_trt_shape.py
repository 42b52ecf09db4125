"""One shape that a TensorRT plan runs: its context, its ends on both sides, its CUDA graph.

The GPU must be current wherever this is used (engines/_cuda.py:Device.current).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from idrn_trt.engines import _cuda
from idrn_trt.engines._trt_build import ERRORS, INPUT, OUTPUT, last_errors
from idrn_trt.engines._trt_profiles import Picture, Profile
from idrn_trt.errors import DeviceError


class Shape:
    """One (window, batch) of a plan, or one size of a detector's: its context, ends and graph.

    index: of the plan's profile that `profile` falls into. outputs: their names; item_bytes: of one of
    their values. no_graph: why there is none, "" where there is.
    """

    def __init__(
        self,
        context: Any,
        index: int,
        profile: Profile | Picture,
        stream: _cuda.Stream,
        *,
        outputs: Sequence[str] = (OUTPUT,),
        item_bytes: int = 1,
    ) -> None:
        self.profile = profile
        self.no_graph = ""
        self._context = context
        self._index = index
        self._stream = stream
        self._outputs = list(outputs)
        self._item_bytes = item_bytes
        self._graph: _cuda.Graph | None = None
        self._pairs: list[_cuda.Pair] = []

    @property
    def source(self) -> _cuda.Pair:
        """The windows, uint8 (batch, h, w, 3)."""
        return self._pairs[0]

    @property
    def result(self) -> _cuda.Pair:
        """The pictures, uint8 (batch, s*h, s*w, 3)."""
        return self._pairs[1]

    @property
    def results(self) -> list[_cuda.Pair]:
        """Every output; the last axis of each counts bytes."""
        return self._pairs[1:]

    def open(self) -> None:
        """Set the context up, run it once (what is lazy in CUDA cannot be captured), capture the graph."""
        shape = self.profile.shape
        chosen = self._context.set_optimization_profile_async(self._index, self._stream.handle)
        self._check(chosen, "its profile")
        self._stream.wait()
        self._check(self._context.set_input_shape(INPUT, shape), f"input {shape}")
        self._check(not self._context.infer_shapes(), "its shapes")
        self._add_end(INPUT, shape)
        for name in self._outputs:
            *outer, last = self._context.get_tensor_shape(name)
            self._add_end(name, (*outer, last * self._item_bytes))
        self._enqueue()
        self._stream.wait()
        try:
            self._graph = _cuda.Graph(self._stream, self._enqueue)
        except _cuda.NoGraphError as error:
            self.no_graph = f"{error} ({last_errors()})" if ERRORS else str(error)
            ERRORS.clear()

    def _add_end(self, name: str, shape: tuple[int, ...]) -> None:
        pair = _cuda.Pair(shape)
        self._pairs.append(pair)
        taken = self._context.set_tensor_address(name, pair.memory.address)
        self._check(taken, f"end {name!r}")

    def run(self) -> None:
        """Upload, compute, download, and wait for it. Raises DeviceError."""
        ERRORS.clear()
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()
        self._stream.wait()

    def times_ms(self, repeats: int, *, graph: bool, copies: bool, events: bool) -> list[float]:
        """See TensorRtEngine.times_ms."""
        timed = self._by_events if events else self._by_wall

        def queue() -> None:
            self._enqueue(copies=copies)

        if not graph:
            return timed(queue, repeats)
        try:
            captured = _cuda.Graph(self._stream, queue)
        except _cuda.NoGraphError as error:
            raise DeviceError(f"no CUDA graph of {self.profile}: {error}") from error
        try:
            return timed(captured.launch, repeats)
        finally:
            captured.free()

    def _by_events(self, call: Callable[[], None], repeats: int) -> list[float]:
        return _cuda.times_ms(self._stream, call, repeats)

    def _by_wall(self, call: Callable[[], None], repeats: int) -> list[float]:
        taken = []
        for _ in range(repeats):
            start = time.perf_counter_ns()
            call()
            self._stream.wait()
            taken.append((time.perf_counter_ns() - start) / 1e6)
        return taken

    def _enqueue(self, *, copies: bool = True) -> None:
        with _cuda.errors("running on the GPU"):
            if copies:
                self.source.upload(self._stream)
            self._check(self._context.execute_async_v3(self._stream.handle), "its work")
            if copies:
                for result in self.results:
                    result.download(self._stream)

    def _check(self, accepted: object, what: str) -> None:
        if not accepted:
            raise DeviceError(f"TensorRT refuses {what} for {self.profile}: {last_errors()}")

    def free(self) -> None:
        """Give everything back, the graph first and the memory it uses last."""
        if self._graph is not None:
            self._graph.free()
            self._graph = None
        self._context = None
        while self._pairs:
            self._pairs.pop().free()
