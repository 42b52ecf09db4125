"""One benchmark run, from opening what is measured to the finished report."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

import idrn_trt
from idrn_trt.bench import peak
from idrn_trt.bench.arithmetic import macs
from idrn_trt.bench.cases import BICUBIC, Case, Row
from idrn_trt.bench.checks import check
from idrn_trt.bench.cold import cold_start
from idrn_trt.bench.document import FORMAT, KIND, Document
from idrn_trt.bench.end_to_end import Pipeline, end_to_end
from idrn_trt.bench.entry import MOST_OTHERS, MOST_SPREAD, entry
from idrn_trt.bench.machine import Others, affinity, cpu, git_revision, gpus, versions
from idrn_trt.bench.measure import (
    CONTROL,
    Interrupted,
    Samples,
    interleave,
    load_average,
    overhead_us,
)
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.paced import paced
from idrn_trt.bench.paper import parse_network
from idrn_trt.bench.pictures import windows
from idrn_trt.bench.profile import profile
from idrn_trt.errors import IdrnError
from idrn_trt.quality.evaluate import by_group, evaluate

PACKAGES = (
    "idrn-trt", "numpy", "openvino", "onnxruntime", "opencv-python", "opencv-python-headless",
    "onnxruntime-gpu", "torch", "ncnn", "onnx", "tensorrt", "pycuda",
)  # fmt: skip

# Beside --duration, as shares of it.
_PEAK_SHARE = 0.2
_END_TO_END_SHARE = 0.2
_MOST_ROUNDS = 100_000

Say = Callable[[str], object]


class Run:
    """A report in the making: whatever happens, `document` holds what was found so far."""

    def __init__(self, options: BenchOptions, mode: str, threads: int, say: Say) -> None:
        self.options, self.threads, self.say = options, threads, say
        self.rows: list[Row] = []
        self.cases: list[Case] = []
        self.document = _heading(options, mode, threads)

    def measure(self, found: Iterable[Case | Row]) -> None:
        """Every phase in order; Ctrl-C ends it early, and `document` then says so."""
        try:
            with _opencv_threads(self.threads):
                self._open(found)
                self._measure_right_ones()
        except KeyboardInterrupt:
            self.document["interrupted"] = True
        finally:
            self._finish()
            for case in self.cases:
                case.close()

    def _open(self, found: Iterable[Case | Row]) -> None:
        self.say("opening")
        side = self.options.window_px
        for item in found:
            row = item.row if isinstance(item, Case) else item
            if row.network:
                row.gmac = (macs(parse_network(row.network), side, side) or 0) / 1e9
            self.rows.append(row)
            if isinstance(item, Case):
                self.cases.append(item)

    def _measure_right_ones(self) -> None:
        self.say(f"checking {len(self.cases)} combinations against fp32")
        right, _ = check(self.cases, self.options.window_px, self.threads)
        right = [case for case in right if self._fits(case)]
        if self.options.data is not None:
            self._quality(right, self.options.data)
        if self.options.scenario == "paced":
            self._paced([case for case in right if case.opened])
        else:
            self._time(right)
            self._beside([case for case in right if case.row.blocks_ms])

    def _fits(self, case: Case) -> bool:
        """Whether the case takes the batch; "offline" without --batch takes the largest there is."""
        wanted = self.options.windows_a_call
        if self.options.scenario == "offline" and self.options.batch is None:
            wanted = min(wanted, case.most_windows)
        case.row.batch = wanted
        if wanted > case.most_windows:
            case.row.reason = f"takes at most {case.most_windows} windows a call, not {wanted}"
        return not case.row.reason

    def _quality(self, cases: list[Case], folder: Path) -> None:
        for case in cases:
            if case.opened is not None:
                self.say(f"measuring PSNR-Y of {case.row.name}")
                scores = by_group(evaluate(case.opened, folder, self.options.window_px))["all"]
                case.row.psnr_y_db = scores["psnr_y_db"]
                on = f"{scores['count']:.0f} crops, LR {self.options.window_px} px, measured now"
                case.row.psnr_y_on = on

    def _time(self, cases: list[Case]) -> None:
        options = self.options
        self.say("measuring this machine's arithmetic peak")
        precisions = {case.row.precision for case in cases}
        budget_s = _PEAK_SHARE * options.duration_s
        self.document["peak"] = peak.measure_peak(precisions, self.threads, budget_s)
        self.say(f"timing {len(cases)} combinations in turns, {options.duration_s:g} s or more")
        calls = {c.row.name: c.timed(windows(c.row.batch or 1, options.window_px)) for c in cases}
        others = Others()
        try:
            taken = interleave(
                calls, rounds=_MOST_ROUNDS, warm=options.warmup, threads=self.threads,
                budget_s=options.duration_s,
            )  # fmt: skip
        except Interrupted as stop:
            self._keep(cases, stop.samples, others.cores())
            raise
        self._keep(cases, taken, others.cores())

    def _keep(self, cases: list[Case], taken: dict[str, Samples], others: float | None) -> None:
        self.document["other_cores"] = None if others is None else round(others, 3)
        for case in cases:
            if case.row.name in taken:
                case.row.blocks_ms = taken[case.row.name].blocks_ms()
        if CONTROL in taken:
            control = taken[CONTROL]
            self.document["control"] = {**control.to_dict(), "blocks_ms": control.blocks_ms()}

    def _beside(self, cases: list[Case]) -> None:
        """What stands beside the table: the whole upscaler, cold start, times by layer."""
        options = self.options
        ours = [case for case in cases if case.opened is not None]
        fastest = min(
            (case for case in ours if case.row.engine != BICUBIC),
            key=lambda case: Samples.of(case.row.blocks_ms).percentile(options.leading),
            default=None,
        )
        chosen = ours if options.end_to_end else [fastest] if fastest else []
        if chosen:
            self.say("timing the whole upscaler")
            self.document["end_to_end"] = end_to_end(
                chosen, options, self.threads, _END_TO_END_SHARE * options.duration_s
            )
        if fastest:
            self.say("timing cold starts")
            self._attempt(
                "cold_start", lambda: cold_start(fastest, self.threads, options.window_px)
            )
        if options.profile:
            for case in ours:
                self._profile(case)

    def _profile(self, case: Case) -> None:
        side, batch = self.options.window_px, case.row.batch or 1
        profiles = self.document.setdefault("profile", {})
        try:
            profiles[case.row.name] = profile(case, side, batch, self.threads)
        except IdrnError as error:
            case.row.notes.append(str(error))

    def _paced(self, cases: list[Case]) -> None:
        options = self.options
        share_s = options.duration_s / max(1, len(cases))
        self.document["paced"] = []
        for case in cases:
            self.say(f"{options.fps:g} frames/s through {case.row.name} for {share_s:.1f} s")
            pipeline = Pipeline(case, options)
            for _ in range(options.warmup + 1):
                pipeline.run()
            figures = paced(lambda _, run=pipeline.run: run(), options.fps, share_s)  # type: ignore[misc]
            entry = {"row": case.row.name, "faces": case.row.batch, **dataclasses.asdict(figures)}
            self.document["paced"].append(entry)

    def _attempt(self, name: str, phase: Callable[[], Any]) -> None:
        try:
            self.document[name] = phase()
        except IdrnError as error:
            self.document[name] = {"reason": str(error)}

    def _finish(self) -> None:
        # Not named `entry`: some releases of Python 3.12 then lose the function of that name.
        done = {shown["row"] for shown in self.document.get("paced", [])}
        for row in self.rows:
            if not (row.reason or row.blocks_ms or row.name in done):
                row.reason = (
                    "a peer has no upscaler to pace"
                    if row.peer and not self.document["interrupted"]
                    else "interrupted before it was measured"
                )
        peaks = self.document.get("peak", {})
        self.document["rows"] = [entry(row, self.options, peaks) for row in self.rows]
        self.document["load_average"]["after"] = load_average()
        self.document["quiet"] = self._quiet()

    def _quiet(self) -> bool:
        """Whether the machine was this run's alone, as far as can be seen."""
        control = self.document.get("control")
        others = self.document.get("other_cores") or 0.0
        return control is not None and control["spread"] <= MOST_SPREAD and others <= MOST_OTHERS


def _heading(options: BenchOptions, mode: str, threads: int) -> Document:
    return {
        "format": FORMAT,
        "kind": KIND,
        "mode": mode,
        "label": options.label,
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "machine": {**cpu(), "affinity": affinity(), "gpus": gpus()},
        "versions": versions(*PACKAGES),
        "revision": git_revision(Path(idrn_trt.__file__).resolve().parent),
        "conditions": {
            "scenario": options.scenario,
            "window_px": options.window_px,
            "batch": options.windows_a_call,
            "threads": threads,
            "fps": options.fps,
            "warmup": options.warmup,
            "duration_s": options.duration_s,
            "percentiles": list(options.reported),
            "leading": options.leading,
        },
        "load_average": {"before": load_average()},
        "harness_overhead_us": round(overhead_us(), 3),
        "interrupted": False,
        "rows": [],
    }


@contextlib.contextmanager
def _opencv_threads(threads: int) -> Iterator[None]:
    """OpenCV (bicubic, detection, pasting) on as many threads as everything else."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
