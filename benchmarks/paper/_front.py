"""The front as it is recorded: reading, table, Markdown and plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idrn_trt.bench.report import markdown_table
from idrn_trt.errors import SourceError
from idrn_trt.files import replacing
from idrn_trt.tables import table

KIND = "idrn_trt front"
HEADS = ("network", "int8 p50 ms", "GMAC", "steps", "gain dB", "")


def on_front(rows: Sequence[dict[str, Any]]) -> set[str]:
    """The networks than which none other is both faster and better over all pictures."""
    trained = [row for row in rows if row["gain_db"]]
    return {
        a["network"]
        for a in trained
        if not any(
            b["int8"]["p50_ms"] < a["int8"]["p50_ms"] and b["gain_db"]["all"] > a["gain_db"]["all"]
            for b in trained
        )
    }


def markdown(found: Mapping[str, Any]) -> str:
    """What was trained and timed, and the table."""
    timed, data = found["timed"], found["data"]
    return (
        f"Trained {found['trained']} on {data['train']}, tested on {data['test']}, "
        f"{len(found['seeds'])} seed(s), every network from scratch and equally long: gain in PSNR-Y over "
        f"bicubic. Timed {timed['date']} on {timed['machine']['model']}, {timed['threads']} threads, all in "
        f"turns in one process (control spread {timed['control_spread']:.1%}); latency is of seeded "
        f"weights, on which it does not depend.\n\n{markdown_table(HEADS, cells(found))}\n"
    )


def plain(found: dict[str, Any]) -> str:
    """The table for a terminal."""
    return table(HEADS, cells(found))


def cells(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row a network, the fastest first; the front's are marked, and a run that diverged."""
    front = on_front(found["rows"])
    return [
        (
            row["network"], f"{row['int8']['p50_ms']:.2f}", f"{row['gmac']:.2f}", f"{row['steps']:,}",
            _gains(row["gain_db"]), "front" if row["network"] in front else "",
        )
        for row in sorted(found["rows"], key=lambda row: float(row["int8"]["p50_ms"]))
    ]  # fmt: skip


def _gains(gain_db: dict[str, float]) -> str:
    return ", ".join(f"{group} {gain:+.2f}" for group, gain in gain_db.items()) or "diverged"


def plot(found: dict[str, Any], path: Path) -> None:
    """Gain against latency, a point a network, the front joined by a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    front = on_front(found["rows"])
    points = sorted(
        (row["int8"]["p50_ms"], row["gain_db"]["all"], row["network"])
        for row in found["rows"]
        if row["gain_db"]
    )
    for ms, gain, name in points:
        axes.plot(ms, gain, "o", color="#1f5fa8" if name in front else "#9a9a9a")
        axes.annotate(name, (ms, gain), xytext=(5, 4), textcoords="offset points", fontsize=8)
    best = [(ms, gain) for ms, gain, name in points if name in front]
    axes.plot(*zip(*best, strict=True), "-", color="#1f5fa8", linewidth=1)
    axes.set_xlabel(f"int8, ms a face on {found['timed']['threads']} threads (p50)")
    axes.set_ylabel(f"PSNR-Y over bicubic, dB, after {found['rows'][0]['steps']:,} steps")
    axes.grid(alpha=0.3)
    with replacing(path, "plot") as part:
        figure.savefig(part, format=path.suffix.lstrip(".") or "png", dpi=120)


def check(document: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless it is one that was timed and can be shown."""
    _check_kind(document)
    markdown(document)


def _check_kind(document: Mapping[str, Any]) -> None:
    if document["kind"] != KIND:
        raise ValueError(f"kind {document['kind']!r}")


def read(path: Path) -> dict[str, Any]:
    """What `train` wrote, timed or not. Raises SourceError for anything else."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        _check_kind(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name!r} is nothing that `train` wrote: {error}") from error
    return found
