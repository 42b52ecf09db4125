"""Right before fast: every case against the fp32 network on seeded pictures, before any timing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from idrn_trt.bench.cases import BICUBIC, Case
from idrn_trt.bench.pictures import windows
from idrn_trt.engines import open_engine
from idrn_trt.errors import IdrnError
from idrn_trt.quality.metrics import psnr
from idrn_trt.zoo import Model

UInt8 = npt.NDArray[np.uint8]

PICTURES = 8
# The least PSNR in dB against fp32 of a right answer, all RGB values of the pictures together. Two exact
# engines differ by rounding ties only (above 60 dB); a kernel that computes something else ends below 20.
LEAST_DB: Mapping[str, float] = {"fp32": 50.0, "fp16": 45.0, "bf16": 30.0, "int8": 25.0}
# Equal pictures have no finite PSNR; JSON has no infinity.
SAME_DB = 99.0


def check(cases: Sequence[Case], side: int, threads: int) -> tuple[list[Case], list[Case]]:
    """(those to time, those that are wrong or fail), with each row's PSNR or reason filled in.

    Raises nothing for a case that fails: its row says why.
    """
    pictures = windows(PICTURES, side)
    references = _references(cases, pictures, threads)
    right: list[Case] = []
    wrong: list[Case] = []
    for case in cases:
        _judge(case, pictures, references.get(case.row.model))
        (wrong if case.row.reason else right).append(case)
    return right, wrong


def agreement_db(answer: UInt8, reference: UInt8) -> float:
    """PSNR of two results in dB, at most SAME_DB."""
    return min(psnr(answer, reference), SAME_DB)


def _references(cases: Sequence[Case], pictures: UInt8, threads: int) -> dict[str, UInt8 | str]:
    """Model name -> what its fp32 network makes of the pictures, or why there is no such answer."""
    models = {c.row.model: c.source for c in cases if c.source and c.row.engine != BICUBIC}
    return {name: _reference(model, pictures, threads) for name, model in models.items()}


def _reference(model: Model, pictures: UInt8, threads: int) -> UInt8 | str:
    try:
        engine = open_engine(model, precision="fp32", threads=threads)
        try:
            return engine.run(pictures).copy()
        finally:
            engine.close()
    except IdrnError as error:
        return str(error)


def _judge(case: Case, pictures: UInt8, reference: UInt8 | str | None) -> None:
    """Fill in psnr_fp32_db, and reason or a note."""
    row = case.row
    try:
        answer = case.answer(pictures)
    except Exception as error:  # noqa: BLE001 (a peer may raise anything)
        row.reason = f"fails: {' '.join(str(error).split())[:300] or type(error).__name__}"
        return
    if reference is None:  # bicubic is no network
        return
    if isinstance(reference, str):
        row.notes.append(f"not checked, there is no fp32 answer: {reference}")
        return
    if answer.shape != reference.shape:
        row.reason = f"answers {answer.shape}, expected {reference.shape}"
        return
    row.psnr_fp32_db = round(agreement_db(answer, reference), 2)
    least = LEAST_DB.get(row.precision, min(LEAST_DB.values()))
    if row.psnr_fp32_db < least:
        found = f"{row.psnr_fp32_db:.1f} dB from fp32 on seeded pictures"
        row.reason = f"wrong: {found}, expected {least:g} or more"
