"""The report as a picture: latency distributions with the paper's line, and speed against quality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from idrn_trt.bench.cases import BICUBIC
from idrn_trt.bench.document import measured
from idrn_trt.errors import BackendUnavailable
from idrn_trt.files import replacing

HINT = "no plot: matplotlib is not installed (pip install 'idrn-trt[bench]')"

_OURS, _PEER, _PAPER = "#1f5fa8", "#9a9a9a", "#c0392b"

Row = Mapping[str, Any]


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Write the picture (PNG, or what the suffix says), all at once.

    Raises BackendUnavailable (HINT) without matplotlib, SinkError where it cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailable(HINT) from error
    everything = sorted(measured(document), key=lambda row: row["figures"]["p50_ms"])
    rows = [row for row in everything if row["engine"] != BICUBIC]
    figure = Figure(figsize=(13, max(4.0, 2.0 + 0.34 * len(rows))), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if rows:
        _distributions(left, rows)
        _speed_and_quality(right, rows, [row for row in everything if row["engine"] == BICUBIC])
    machine, conditions = document["machine"], document["conditions"]
    figure.suptitle(
        f"{machine['model']}, {conditions['threads']} thread(s), {conditions['batch']} x "
        f"{conditions['window_px']} px a call"
        + ("" if document.get("quiet") else " (noisy machine)"),
        fontsize=11,
    )
    with replacing(path, "plot") as part:
        figure.savefig(part, format=path.suffix.lstrip(".") or "png", dpi=120)


def _distributions(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Every row's calls: quartiles, the first and last hundredth, and what lies beyond as dots."""
    boxes = axes.boxplot(
        [np.concatenate(row["blocks_ms"]) for row in rows],
        orientation="horizontal", whis=(1, 99), widths=0.6, patch_artist=True,
        tick_labels=[_label(number, row) for number, row in enumerate(rows, 1)],
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "#555555"},
        medianprops={"color": "black"},
    )  # fmt: skip
    for box, row in zip(boxes["boxes"], rows, strict=True):
        box.set_facecolor(_colour(row))
        box.set_alpha(0.75)
    axes.invert_yaxis()
    times = {row["paper_ms"]: row["network"] for row in rows if "paper_ms" in row}
    for ms in times:
        axes.axvline(ms, color=_PAPER, linestyle="--", linewidth=1)
    if times:
        names = ", ".join(f"{network} {ms:g} ms" for ms, network in sorted(times.items()))
        axes.plot([], [], "--", color=_PAPER, label=f"the paper on its GTX 1060: {names}")
        axes.legend(loc="upper right", fontsize=7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelbottom=False)
    _whole_decades(axes)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ms a call, log scale (box: quartiles, whiskers: p1 and p99)")
    axes.set_title("latency, network alone", fontsize=10)
    axes.grid(axis="x", alpha=0.3)


def _whole_decades(axes: Any) -> None:
    """Label 1, 2 and 5 of every decade: a plot within one decade would have a single number."""
    from matplotlib.ticker import LogLocator

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def _speed_and_quality(axes: Any, rows: list[dict[str, Any]], floors: list[dict[str, Any]]) -> None:
    """images/s against PSNR-Y where it is known, otherwise against the PSNR to fp32; numbers as left."""
    key, name = "psnr_y_db", "PSNR-Y, dB (see the report for the pictures)"
    if not any(row.get(key) is not None for row in rows):
        key, name = "psnr_fp32_db", "PSNR to fp32 on seeded pictures, dB (99: equal)"
    for number, row in enumerate(rows, 1):
        if row.get(key) is not None:
            place = (row["images_per_s"], row[key])
            axes.scatter(*place, color=_colour(row), s=120, alpha=0.75, zorder=3)
            axes.annotate(
                str(number), place, ha="center", va="center", fontsize=7, color="white", zorder=4
            )
    for row in floors:
        if row.get(key) is not None:
            axes.axhline(row[key], color=_PEER, linestyle=":", linewidth=1)
            axes.annotate(
                f"bicubic {row['model']}, {row['images_per_s']:.0f} images/s", (0.02, row[key]),
                xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
                fontsize=7, color="#555555",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.margins(0.2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelbottom=False)
    _whole_decades(axes)
    axes.set_xlabel("images/s, log scale")
    axes.set_ylabel(name)
    axes.set_title("speed against quality (numbers as on the left)", fontsize=10)
    axes.grid(alpha=0.3)


def _label(number: int, row: Row) -> str:
    wide = " ~" if row.get("wide") else ""
    return f"{row['model']}  {row['engine']} {row['precision']}{wide}  [{number}]"


def _colour(row: Row) -> str:
    return _PEER if row.get("peer") else _OURS
