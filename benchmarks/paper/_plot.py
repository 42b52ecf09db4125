"""An experiment's document as a picture: the course of training, or each row's gain beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idrn_trt.bench.plot import HINT
from idrn_trt.errors import BackendUnavailable
from idrn_trt.files import replacing

_OURS, _PAPER = "#1f5fa8", "#c0392b"

Row = Mapping[str, Any]


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Write the picture (PNG, or what the suffix says), all at once.

    Raises BackendUnavailable (idrn_trt.bench.plot.HINT) without matplotlib, SinkError where it cannot be
    written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailable(HINT) from error
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    if document["curves"]:
        _courses(figure.subplots(1, 2), document["rows"])
    else:
        scales = sorted({row["scale"] for row in document["rows"]})
        for axes, scale in zip(
            figure.subplots(1, len(scales), squeeze=False)[0], scales, strict=True
        ):
            _gains(axes, [row for row in document["rows"] if row["scale"] == scale], scale)
    seeds = len(document["seeds"])
    figure.suptitle(
        f"{document['title']} {seeds} seed(s), {document['data']['train']}", fontsize=10
    )
    with replacing(path, "plot") as part:
        figure.savefig(part, format=path.suffix.lstrip(".") or "png", dpi=120)


def _courses(axes: Any, rows: Sequence[Row]) -> None:
    """Loss and PSNR-Y by epoch: the mean over the seeds, and from the lowest to the highest."""
    shown = (("loss", "loss of one batch"), ("psnr_y_db", "PSNR-Y, dB, on some test pictures"))
    for place, (key, name) in zip(axes, shown, strict=True):
        for row in rows:
            _course(place, row, key)
        place.set_xlabel("epoch")
        place.set_ylabel(name)
        place.grid(alpha=0.3)
        if place.lines:
            place.legend(fontsize=8)
    axes[0].set_yscale("log")


def _course(axes: Any, row: Row, key: str) -> None:
    """As far as all seeds came."""
    curves = [run["curve"] for run in row["runs"] if run.get("curve")]
    length = min(map(len, curves), default=0)
    if not length:
        return
    epochs = [point["epoch"] for point in curves[0][:length]]
    values = np.array([[point[key] for point in curve[:length]] for curve in curves])
    (line,) = axes.plot(epochs, values.mean(0), marker=".", label=row["label"])
    axes.fill_between(epochs, values.min(0), values.max(0), alpha=0.2, color=line.get_color())


def _gains(axes: Any, rows: Sequence[Row], scale: int) -> None:
    """PSNR-Y above bicubic: every seed, and the paper's."""
    rows = [row for row in rows if "network" in row]
    for place, row in enumerate(rows):
        gains = [run["groups"]["all"]["gain_db"] for run in row["runs"] if run["groups"]]
        axes.plot([place] * len(gains), gains, "o", color=_OURS, alpha=0.7)
        if "paper" in row:
            paper = row["paper"]["psnr_y_db"] - row["paper"]["bicubic_psnr_y_db"]
            axes.plot([place], [paper], "D", color=_PAPER, alpha=0.7)
    axes.plot([], [], "o", color=_OURS, label="ours, a seed each")
    axes.plot([], [], "D", color=_PAPER, label="the paper, its own data")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(rows)), [row["label"] for row in rows], fontsize=8)
    axes.margins(x=0.15)
    axes.set_title(f"x{scale}", fontsize=10)
    axes.set_ylabel("PSNR above bicubic, dB")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
