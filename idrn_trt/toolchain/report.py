"""What quantisation cost, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from idrn_trt.tables import table
from idrn_trt.toolchain.quantise import Quantised


def report_json(made: Sequence[Quantised]) -> dict[str, Any]:
    """Everything measured, as JSON values: by kind of file, with per-image and per-layer lists."""
    return {entry.kind: _entry(entry) for entry in made}


def report_text(made: Sequence[Quantised]) -> str:
    """Two tables: the files with what they lose, and the layers' signal to noise ratios in dB."""
    head = (
        "file",
        "bytes",
        "engine",
        "images",
        "PSNR to fp32",
        "PSNR-Y loss",
        "worst decile",
        "shift",
    )
    blocks = [table(head, [_row(e) for e in made])]
    blocks += [f"{e.kind}: kept in float: {', '.join(e.keep_float)}" for e in made if e.keep_float]
    blocks += [
        f"{e.kind}: OpenVINO and ONNX Runtime agree to {e.guard_db:.1f} dB or better"
        for e in made
        if e.guard_db is not None
    ]
    if all(e.sqnr_db for e in made):
        layers = [(name, *(f"{e.sqnr_db[name]:.1f}" for e in made)) for name in made[0].sqnr_db]
        blocks.append(table(("layer, SQNR in dB", *(e.kind for e in made)), layers))
    return "\n\n".join(blocks)


def _row(entry: Quantised) -> tuple[str, ...]:
    name, size = entry.path.name, f"{entry.bytes:,}"
    seen = entry.fidelity
    if seen is None:
        return (name, size, "-", "-", "-", "-", "-", "-")
    return (
        name,
        size,
        seen.engine,
        str(len(seen.images)),
        f"{seen.psnr_db:.2f} dB",
        f"{seen.drop_db:+.4f} dB",
        f"{seen.worst_decile_db:+.4f} dB",
        f"{seen.shift_levels:+.3f}",
    )


def _entry(entry: Quantised) -> dict[str, Any]:
    seen = entry.fidelity
    measured = seen and {
        "engine": seen.engine,
        "psnr_db": seen.psnr_db,
        "psnr_y_drop_db": seen.drop_db,
        "psnr_y_drop_worst_decile_db": seen.worst_decile_db,
        "shift_levels": seen.shift_levels,
        "images": [dataclasses.asdict(i) for i in seen.images],
    }
    return {
        "path": entry.path.name,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "keep_float": list(entry.keep_float),
        "guard_db": entry.guard_db,
        "sqnr_db": entry.sqnr_db,
        "fidelity": measured,
    }
