"""Threads that step back, and which those are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from idrn_trt.engines import open_engine
from idrn_trt.processor import usable_cores
from idrn_trt.streaming.priority import computing

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux gives each thread a priority"
)

# Of three threads that wait, the first steps back, as one does that is not there; then the third, by itself.
STEPPING_BACK = """
import os, threading
from idrn_trt.streaming.priority import step_back

def niceness():
    return [os.getpriority(os.PRIO_PROCESS, thread) for thread in ids]

def steps_back():
    asked.wait()
    step_back()
    stepped.set()
    over.wait()

asked, stepped, over = threading.Event(), threading.Event(), threading.Event()
threads = [threading.Thread(target=target) for target in (over.wait, over.wait, steps_back)]
for thread in threads:
    thread.start()
ids = [*(thread.native_id for thread in threads), threading.get_native_id()]
before = niceness()
gone = int(open("/proc/sys/kernel/pid_max").read()) - 1
try:
    for _ in range(3):
        step_back([ids[0], gone])
        print([now - was for now, was in zip(niceness(), before)])
    asked.set()
    stepped.wait()
    print([now - was for now, was in zip(niceness(), before)])
finally:
    asked.set()
    over.set()
"""


def test_only_the_given_threads_step_back() -> None:
    """Once, however often it is said; without a name it is the caller; one that has ended is no error."""
    # A process of its own, since there is no way back.
    done = subprocess.run(
        [sys.executable, "-c", STEPPING_BACK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = min(10, 19 - os.getpriority(os.PRIO_PROCESS, 0))
    assert done.stdout.splitlines() == 3 * [f"[{steps}, 0, 0, 0]"] + [f"[{steps}, 0, {steps}, 0]"]


def test_the_threads_that_compute_are_told(tiny_model: Path) -> None:
    """An engine's own, by native ids; none of Python's, though one of them is busy all the while."""
    if usable_cores() < 2:
        pytest.skip("an engine takes a second thread only where there are two cores")
    engine = open_engine(tiny_model, engine="openvino", precision="fp32", threads=2)
    batch = np.zeros((8, 128, 96, 3), np.uint8)
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            sum(range(1000))

    def work() -> None:
        until_s = time.process_time() + 2
        while time.process_time() < until_s:
            engine.run(batch)

    spinning = threading.Thread(target=spin)
    spinning.start()
    try:
        told = computing(work)
    finally:
        over.set()
        spinning.join()
    engine.close()
    assert told
    assert {thread.native_id for thread in threading.enumerate()}.isdisjoint(told)
    assert spinning.native_id not in told
    assert all(Path(f"/proc/self/task/{thread}").is_dir() for thread in told)
