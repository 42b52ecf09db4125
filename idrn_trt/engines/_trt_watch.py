"""How far a TensorRT build is, and stopping it: without TensorRT, so that both can be tested.

TensorRT reports nested phases, each with a number of steps, from threads of its own, and ends a build
early when a report of a step is answered with False
(https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/infer/Core/ProgressMonitor.html).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

# The outermost phase's name and how far it is, 0 to 1. TensorRT may go through several in turn.
Progress = Callable[[str, float], None]

_LOOK_EVERY_S = 0.1


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Watch:
    """The phases under way. `cancel` may be called from any thread; an error of `progress` cancels too."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.cancelled = threading.Event()
        self.error: BaseException | None = None
        self._progress = progress
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.RLock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, within `parent` where there is one."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(1, steps))
            self._tell(name)

    def step(self, name: str, step: int) -> bool:
        """A phase's step, counted from 0, is done. Whether the build goes on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
                self._tell(name)
        return not self.cancelled.is_set()

    def finish(self, name: str) -> None:
        """A phase ends, however many of its steps were done."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = phase.steps
                self._tell(name)
                del self._phases[name]

    def _tell(self, name: str) -> None:
        if self._progress is None or self.cancelled.is_set():
            return
        while (parent := self._phases[name].parent) is not None and parent in self._phases:
            name = parent
        try:
            self._progress(name, self._fraction(name))
        except BaseException as error:  # noqa: BLE001 (must not be thrown through TensorRT)
            self.error = error
            self.cancelled.set()

    def _fraction(self, name: str) -> float:
        """How far a phase is: its steps done, and of the one under way what its inner phases have done."""
        phase = self._phases[name]
        inner = [self._fraction(n) for n, other in self._phases.items() if other.parent == name]
        under_way = sum(inner) / len(inner) if inner and phase.done < phase.steps else 0.0
        return min(1.0, (phase.done + min(under_way, 1.0)) / phase.steps)


def interruptible(work: Callable[[], T], watch: Watch) -> T:
    """What `work` returns, done in a thread of its own so that Ctrl-C is seen while it runs.

    On KeyboardInterrupt, or any other exception in this thread, the watch is cancelled and the work
    waited for: what it holds must not be torn away. Raises what `work` or the progress raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            if not watch.cancelled.is_set():
                results.append(work())
        except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
            _let_go(error)
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="idrn_trt build", daemon=True)
    try:
        thread.start()
        while not ended.wait(_LOOK_EVERY_S):
            pass
        thread.join()
    except BaseException:
        watch.cancelled.set()
        if thread.ident is not None:
            ended.wait()
        raise
    if watch.error is not None:
        raise watch.error
    if errors:
        raise errors[0]
    return results[0]


def _let_go(error: BaseException | None) -> None:
    """Empty the frames an error came through: what TensorRT they hold ends in the thread that made it."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
