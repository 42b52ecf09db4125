"""How far a build is and how it stops, driven by phases as TensorRT reports them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from idrn_trt.engines._trt_watch import Watch, interruptible


def test_a_phase_goes_from_none_to_all() -> None:
    """A phase's fraction is its steps done, and ends at 1."""
    seen: list[tuple[str, float]] = []
    watch = Watch(lambda name, fraction: seen.append((name, fraction)))
    watch.start("tactics", None, 4)
    assert [watch.step("tactics", step) for step in range(3)] == [True, True, True]
    watch.finish("tactics")
    assert seen == [("tactics", f) for f in (0, 0.25, 0.5, 0.75, 1)]


def test_an_inner_phase_moves_the_outer_one() -> None:
    """What an inner phase has done counts as part of the outer phase's step under way."""
    seen: list[float] = []
    watch = Watch(lambda name, fraction: seen.append(fraction) if name == "build" else None)
    watch.start("build", None, 2)
    watch.start("graph", "build", 2)
    watch.step("graph", 0)
    watch.finish("graph")
    watch.step("build", 0)
    watch.start("tactics", "build", 4)
    watch.start("one layer", "tactics", 2)
    watch.step("one layer", 0)
    watch.finish("build")
    assert seen == [0, 0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5625, 1]


@pytest.mark.parametrize(
    "report",
    [
        lambda watch: watch.step("never begun", 3),
        lambda watch: watch.finish("never begun"),
        lambda watch: watch.start("inner", "outer that ended", 0),
    ],
)
def test_reports_out_of_order_do_no_harm(report: Callable[[Watch], object]) -> None:
    """TensorRT's phases may change between releases: an odd one is no reason to fail a build."""
    watch = Watch(lambda *_: None)
    report(watch)
    assert watch.step("another", 0)
    assert watch.error is None


def test_after_cancelling_no_step_goes_on() -> None:
    """Every step is answered with False from then on, which is how TensorRT is told to stop."""
    watch = Watch()
    watch.start("tactics", None, 9)
    assert watch.step("tactics", 0)
    watch.cancelled.set()
    assert not watch.step("tactics", 1)


def test_an_error_of_the_display_stops_the_build_and_is_raised() -> None:
    """An exception does not go through TensorRT: the build stops and its caller gets it."""

    def broken(name: str, fraction: float) -> None:
        raise OSError(f"no terminal for {name} at {fraction}")

    watch = Watch(broken)

    def work() -> None:
        watch.start("tactics", None, 2)
        if not watch.step("tactics", 0):
            raise RuntimeError("stopped")

    with pytest.raises(OSError, match="no terminal for tactics"):
        interruptible(work, watch)


def test_the_work_is_done_elsewhere_and_its_answer_returned() -> None:
    """The work has a thread of its own; what it returns or raises arrives here."""
    name = interruptible(lambda: threading.current_thread().name, Watch())
    assert name == "idrn_trt build"

    def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        interruptible(failing, Watch())


def test_ctrl_c_stops_the_work_and_waits_for_it() -> None:
    """An interrupt cancels the watch; the work has ended when KeyboardInterrupt is raised."""
    watch = Watch()
    ended = threading.Event()

    def work() -> None:
        watch.start("tactics", None, 10)
        os.kill(os.getpid(), signal.SIGINT)
        step = 0
        while watch.step("tactics", step):
            step += 1
            watch.cancelled.wait(0.01)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible(work, watch)
    assert ended.is_set()
