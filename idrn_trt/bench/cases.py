"""What is timed: every engine and precision of the models asked for, opened, or a reason why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from idrn_trt.bench.arithmetic import network_name
from idrn_trt.bench.measure import OwnClock
from idrn_trt.bench.options import BenchOptions
from idrn_trt.engines import EngineStatus, describe_engines, open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.errors import IdrnError, ModelError
from idrn_trt.zoo import BrokenModel, Model, find_model, list_models

if TYPE_CHECKING:
    from idrn_trt.engines.tensorrt import TensorRtEngine

UInt8 = npt.NDArray[np.uint8]

# The floor: no network, one row for each scale.
BICUBIC = "bicubic"
TENSORRT = "tensorrt"


@dataclass(slots=True, kw_only=True)
class Row:
    """One line of the report: what it is and what was found.

    reason: why it has no times; "" when it has. peer: the library used as its user would, not through
    this project's engines. clock: "wall" is what a caller waits for, "device" a GPU's time between two
    of its events. seeded: its weights are no trained ones. settings: what was set on it.
    psnr_y_on: what psnr_y_db was measured on. blocks_ms: the time of every call, by block.
    """

    model: str
    engine: str
    precision: str
    peer: bool = False
    clock: Literal["wall", "device"] = "wall"
    seeded: bool = False
    reason: str = ""
    settings: str = ""
    notes: list[str] = field(default_factory=list)
    network: str = ""
    scale: int | None = None
    gmac: float | None = None
    file_mb: float | None = None
    sha256: str = ""
    psnr_y_db: float | None = None
    psnr_y_on: str = ""
    psnr_fp32_db: float | None = None
    batch: int | None = None
    blocks_ms: list[list[float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What tells this row from the others."""
        return f"{self.model} {self.engine} {self.precision}".strip()


@dataclass(slots=True, kw_only=True)
class Case:
    """Something opened that can be checked and timed.

    answer: uint8 RGB windows (N, h, w, 3) -> the result (N, s*h, s*w, 3), the caller's to keep. timed:
    windows -> the call to time, everything that a user would prepare once already done. opened: the
    engine behind it, None for a peer. source: the model it came from.
    """

    row: Row
    answer: Callable[[UInt8], UInt8]
    timed: Callable[[UInt8], Callable[[], object]]
    close: Callable[[], None]
    most_windows: int
    opened: Engine | None = None
    source: Model | None = None


def models_of(options: BenchOptions) -> tuple[list[Model], list[Row]]:
    """The models to measure, and marked rows for those that are there but broken.

    Raises ModelError for a name that nothing has, and when there is no model at all.
    """
    found: list[Model | BrokenModel] = []
    if options.models:
        broken = {m.name: m for m in list_models() if isinstance(m, BrokenModel)}
        found = [broken.get(name) or find_model(name) for name in options.models]
    else:
        found = list_models()
    if not found:
        raise ModelError("no model found: IDRN_MODELS can name a folder of model folders")
    usable = [model for model in found if isinstance(model, Model)]
    marked = [
        Row(model=m.name, engine="-", precision="-", reason=m.reason)
        for m in found
        if isinstance(m, BrokenModel)
    ]
    return usable, marked


def engine_cases(
    models: Iterable[Model], options: BenchOptions, threads: int
) -> Iterator[Case | Row]:
    """Every combination asked for, opened one after the other; a Row with its reason where it cannot be."""
    statuses = [s for s in describe_engines() if not options.engines or s.name in options.engines]
    scales: dict[int, Model] = {}
    for model in models:
        if model.scale is not None:
            scales.setdefault(model.scale, model)
        for status in statuses:
            if status.name != BICUBIC:
                yield from _engine(model, status, options, threads)
    if any(s.name == BICUBIC for s in statuses):
        for model in scales.values():
            yield _opened(model, BICUBIC, "fp32", threads)


def _engine(
    model: Model, status: EngineStatus, options: BenchOptions, threads: int
) -> Iterator[Case | Row]:
    if not status.usable:
        yield Row(model=model.name, engine=status.name, precision="-", reason=status.reason)
        return
    for precision in options.precisions or status.precisions:
        yield _opened(model, status.name, precision, threads)


def _opened(model: Model, engine: str, precision: str, threads: int) -> Case | Row:
    """One engine as a case; a Row when it refuses."""
    row = Row(model=model.name, engine=engine, precision=precision)
    try:
        opened = open_engine(model, engine=engine, precision=precision, threads=threads)
    except IdrnError as error:
        row.reason = str(error)
        return row
    _describe(row, model, opened)
    return Case(
        row=row,
        answer=lambda windows: opened.run(windows).copy(),
        timed=lambda windows: lambda: opened.run(windows),
        close=opened.close,
        most_windows=opened.spec.max_batch,
        opened=opened,
        source=model,
    )


def _describe(row: Row, model: Model, opened: Engine) -> None:
    spec = opened.spec
    row.scale = spec.scale
    row.notes = list(opened.notes)
    floor = row.engine == BICUBIC
    if floor:
        row.model = f"x{spec.scale}"
    else:
        row.sha256 = spec.model_sha256
        file = next((f for f in model.files.values() if f.sha256 == spec.model_sha256), None)
        row.file_mb = None if file is None else round(file.size_bytes / 1e6, 3)
        row.network = network_of(model)
        row.seeded = is_seeded(model)
    row.psnr_y_db, row.psnr_y_on = recorded_psnr_y(model, row.precision, floor=floor)


def by_device_events(case: Case) -> Case:
    """The plan of an opened TensorRT case once more, by the GPU's clock and without the copies."""
    engine = cast("TensorRtEngine", case.opened)
    row = dataclasses.replace(
        case.row, engine=f"{TENSORRT} device", clock="device", notes=[],
        settings="the engine's plan as one CUDA graph where it has one; device events, no copies",
    )  # fmt: skip

    def timed(windows: UInt8) -> OwnClock:
        count, height, width = windows.shape[:3]
        window = (height, width)
        graph = not engine.shape(window, count).no_graph
        return OwnClock(
            call=lambda: engine.run(windows),
            times_ms=lambda repeats: engine.times_ms(
                window, count, repeats, graph=graph, copies=False, events=True
            ),
        )

    return dataclasses.replace(case, row=row, timed=timed, close=lambda: None, opened=None)


def is_seeded(model: Model) -> bool:
    """Whether nobody trained its weights."""
    return model.manifest is not None and bool(model.manifest.recipe.get("seeded"))


def network_of(model: Model) -> str:
    """The network's short name, such as d8-w64-x4; "" where it is not the paper's kind."""
    return "" if model.manifest is None else network_name(model.manifest.network)


def recorded_psnr_y(model: Model, precision: str, *, floor: bool) -> tuple[float | None, str]:
    """PSNR-Y in dB as the model's manifest has it, and on what; (None, "") where it has none.

    Of a file made by `idrn-trt quantise` the manifest has what it loses; it counts if it was measured on
    as many crops as the fp32 file, whose value it is taken from.
    """
    quality = {} if model.manifest is None else model.manifest.quality
    exact = _mapping(quality.get("fp32"))
    means = _mapping(_mapping(exact.get("psnr_y")).get("all"))
    value = _number(means.get("bicubic_psnr_y_db" if floor else "psnr_y_db"))
    on = f"{means.get('count')} crops, LR {exact.get('lr_px')} px, recorded with {model.name}"
    if value is None or precision == "fp32":
        return (None, "") if value is None else (value, on)
    made = _mapping(quality.get({"int8": "int8-cpu"}.get(precision, precision)))
    lost = _number(made.get("psnr_y_drop_db"))
    if lost is None or made.get("crops") != means.get("count"):
        return None, ""
    return round(value - lost, 4), on


def _number(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
