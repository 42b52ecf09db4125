"""From one fp32 model file to the deployable ones: int8 for CPUs, int8 for TensorRT, float16.

With a folder of face crops the model is calibrated and the table written; with a table alone the same
files are made again, bit for bit. A file is written after it was measured and passed the guard.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from tqdm import tqdm

from idrn_trt.errors import ModelError
from idrn_trt.options import QuantiseOptions
from idrn_trt.toolchain.bias import bias_corrections
from idrn_trt.toolchain.calibrate import Crop, UInt8, calibrate, crop_files, read_crops
from idrn_trt.toolchain.equalise import equalised
from idrn_trt.toolchain.factors import least_noise
from idrn_trt.toolchain.fidelity import (
    Fidelity,
    Pair,
    Run,
    agreement_db,
    fidelity,
    layer_sqnr_db,
    read_pairs,
    run_onnxruntime,
    run_openvino,
)
from idrn_trt.toolchain.graph import Graph, attribute, layer_name, read_model, write_model
from idrn_trt.toolchain.half import half
from idrn_trt.toolchain.qdq import int8_cpu, int8_trt
from idrn_trt.toolchain.rewrite import shuffles_by_block
from idrn_trt.toolchain.table import KINDS, Plan, Table, read_table, write_table

# Least PSNR in dB between OpenVINO's and ONNX Runtime's answers to one int8-cpu file. They differ by
# rounding ties only; a wrong kernel is tens of dB below.
GUARD_DB = 52.0
# Every how many'th crop is kept for measuring when no other folder is given for it.
_HELD_OUT = 6
# Pictures on which --auto ranks the layers.
_RANKING_PICTURES = 12

Emit = Callable[[onnx.ModelProto, Table, Plan], onnx.ModelProto]
_EMIT: dict[str, Emit] = {"int8-cpu": int8_cpu, "int8-trt": int8_trt}
_RUN: dict[str, tuple[str, Callable[[onnx.ModelProto], Run]]] = {
    "int8-cpu": ("openvino", run_openvino),
    "int8-trt": ("onnxruntime", run_onnxruntime),
    "fp16": ("onnxruntime", run_onnxruntime),
}


@dataclass(frozen=True, slots=True)
class Quantised:
    """One file made: its kind, path, size and sha256, and what was measured on it.

    fidelity is None and sqnr_db empty when there was no picture to measure on. guard_db: the least PSNR
    between two engines on the int8-cpu file.
    """

    kind: str
    path: Path
    bytes: int
    sha256: str
    keep_float: tuple[str, ...] = ()
    fidelity: Fidelity | None = None
    sqnr_db: dict[str, float] = field(default_factory=dict)
    guard_db: float | None = None


def quantise(options: QuantiseOptions) -> list[Quantised]:
    """Make model.int8-cpu.onnx, model.int8-trt.onnx and model.fp16.onnx, and measure them.

    Raises SourceError for unusable crops, ModelError for an unusable model or table, for a budget that
    cannot be met, or when two engines disagree on the int8-cpu file; SinkError when writing fails.
    """
    source = options.model / "model.onnx" if options.model.is_dir() else options.model
    out = options.out or source.parent
    model = read_model(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    files = [] if options.calib.suffix == ".json" else crop_files(options.calib)
    pairs = _pairs(options, files, scale_of(model))
    if files:
        kept = files if options.evaluate_on else _calibrating(files)
        table = measured_table(model, digest, read_crops(kept), options, pairs)
    else:
        table = fitting_table(options.calib, digest)
    models = emitted(model, table)
    made = [_made(kind, m, out, model, table, pairs) for kind, m in models.items()]
    for entry in made:
        write_model(models[entry.kind], entry.path)
    if files:
        write_table(table, options.table or out / "calib.json")
    return made


def emitted(model: onnx.ModelProto, table: Table) -> dict[str, onnx.ModelProto]:
    """Kind -> the file that follows from the fp32 model and its table."""
    even = equalised(model, table.factors)
    models = {kind: _EMIT[kind](even, table, table.plans[kind]) for kind in KINDS}
    return {**models, "fp16": half(model)}


def scale_of(model: onnx.ModelProto) -> int:
    """The factor s between the model's input and output: the product of its shuffles' factors."""
    scale = 1
    for node in Graph.of(model).nodes:
        if node.op_type == "DepthToSpace":
            scale *= int(attribute(node, "blocksize"))
    return scale


def fitting_table(path: Path, digest: str) -> Table:
    """The table in a file, whose model has the sha256 `digest`. Raises ModelError."""
    table = read_table(path)
    if table.model_sha256 != digest:
        raise ModelError(
            f"calibration table {str(path)!r} was made for another model: it names sha256 "
            f"{table.model_sha256}, the model has {digest}"
        )
    if missing := sorted(set(KINDS) - set(table.plans)):
        raise ModelError(f"calibration table {str(path)!r} has no plan for {missing[0]!r}")
    return table


def _pairs(options: QuantiseOptions, files: Sequence[Path], scale: int) -> list[Pair]:
    if options.evaluate_on is not None:
        return read_pairs(crop_files(options.evaluate_on), scale, options.lr_px)
    return read_pairs(files[::_HELD_OUT], scale, options.lr_px)


def _calibrating(files: Sequence[Path]) -> list[Path]:
    return [f for k, f in enumerate(files) if k % _HELD_OUT]


def measured_table(
    model: onnx.ModelProto,
    digest: str,
    crops: Sequence[Crop],
    options: QuantiseOptions,
    pairs: Sequence[Pair],
) -> Table:
    """The table of `model`, equalised, over the crops, with a plan for each int8 file.

    digest: the sha256 of the model's file. pairs: what options.auto_db is measured on.
    """
    pictures = [c.pixels for c in crops]
    factors = least_noise(model, pictures)
    model = equalised(model, factors)
    table = dataclasses.replace(calibrate(model, crops), model_sha256=digest, factors=factors)
    for kind in KINDS:
        plan = Plan(
            clip=options.clip,
            keep_float=options.keep_float,
            shared_concat=options.shared_concat and kind == "int8-trt",
        )
        plan = _corrected(kind, model, table, plan, pictures)
        if options.auto_db is not None:
            plan = _within(options.auto_db, kind, model, table, plan, pictures, pairs)
        table.plans[kind] = plan
    return table


def _corrected(
    kind: str, model: onnx.ModelProto, table: Table, plan: Plan, pictures: Sequence[UInt8]
) -> Plan:
    """`plan` with the biases corrected over the pictures."""
    plan = dataclasses.replace(plan, bias={})
    made = _EMIT[kind](model, table, plan)
    corrections = bias_corrections(_float_form(kind, model), made, pictures)
    return dataclasses.replace(plan, bias=corrections)


def _within(
    budget_db: float,
    kind: str,
    model: onnx.ModelProto,
    table: Table,
    plan: Plan,
    pictures: Sequence[UInt8],
    pairs: Sequence[Pair],
) -> Plan:
    """`plan` with as many layers in float as bring the mean PSNR-Y loss within the budget."""
    ranked = _ranked(kind, model, table, plan, [p.lr for p in pairs])
    while (
        drop := _fidelity(kind, model, _EMIT[kind](model, table, plan), pairs).drop_db
    ) > budget_db:
        if not ranked:
            raise ModelError(
                f"{kind} loses {drop:.3f} dB PSNR-Y with every layer in float, more than the budget "
                f"of {budget_db:g} dB"
            )
        keep = (*plan.keep_float, ranked.pop(0))
        plan = _corrected(kind, model, table, dataclasses.replace(plan, keep_float=keep), pictures)
    return plan


def _ranked(
    kind: str, model: onnx.ModelProto, table: Table, plan: Plan, pictures: Sequence[UInt8]
) -> list[str]:
    """The quantised layers, first the one whose return to float helps the picture most."""
    few = pictures[:: max(1, len(pictures) // _RANKING_PICTURES)][:_RANKING_PICTURES]
    wanted = run_onnxruntime(model)
    gains = {}
    layers = [layer_name(c) for c in Graph.of(model).convolutions()]
    layers = [name for name in layers if name not in plan.keep_float]
    for name in tqdm(layers, desc="ranking layers", leave=False, disable=None):
        trial = dataclasses.replace(plan, keep_float=(*plan.keep_float, name))
        got = run_onnxruntime(_EMIT[kind](model, table, trial))
        gains[name] = agreement_db(wanted, got, few)
    return sorted(gains, key=lambda name: -gains[name])


def _float_form(kind: str, model: onnx.ModelProto) -> onnx.ModelProto:
    """The float network with its channels in the order that the emitted file has."""
    return shuffles_by_block(model) if kind == "int8-cpu" else model


def _fidelity(
    kind: str, model: onnx.ModelProto, made: onnx.ModelProto, pairs: Sequence[Pair]
) -> Fidelity:
    engine, run = _RUN[kind]
    return fidelity(engine, run_onnxruntime(model), run(made), pairs)


def _made(
    kind: str,
    made: onnx.ModelProto,
    out: Path,
    model: onnx.ModelProto,
    table: Table,
    pairs: Sequence[Pair],
) -> Quantised:
    data = made.SerializeToString(deterministic=True)
    plan = table.plans.get(kind, Plan())
    entry = Quantised(
        kind,
        out / f"model.{kind}.onnx",
        len(data),
        hashlib.sha256(data).hexdigest(),
        keep_float=plan.keep_float,
    )
    if not pairs:
        return entry
    pictures = [p.lr for p in pairs]
    even = model if kind == "fp16" else equalised(model, table.factors)
    return dataclasses.replace(
        entry,
        fidelity=_fidelity(kind, model, made, pairs),
        sqnr_db=layer_sqnr_db(_float_form(kind, even), made, pictures),
        guard_db=guard(made, pictures) if kind == "int8-cpu" else None,
    )


def guard(made: onnx.ModelProto, pictures: Sequence[UInt8]) -> float:
    """The least PSNR between OpenVINO's and ONNX Runtime's answers; ModelError below GUARD_DB."""
    watched = tqdm(pictures, desc="comparing engines", leave=False, disable=None)
    least = agreement_db(run_openvino(made), run_onnxruntime(made), watched)
    if not least >= GUARD_DB:
        raise ModelError(
            f"OpenVINO and ONNX Runtime answer {least:.1f} dB apart on the same file, expected at "
            f"least {GUARD_DB:g} dB: one of them computes it wrongly. int8 with zero point 0 around "
            "concatenations is known to be wrong in OpenVINO 2026.4"
        )
    return least
