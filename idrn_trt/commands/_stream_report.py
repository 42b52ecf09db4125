"""What `idrn-trt stream` says at its end: JSON for a program, tables for a person."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from idrn_trt.files import write_text
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.tables import table


def write_report(stats: StreamStats, json_file: str | None, *, stdout_taken: bool) -> None:
    """The JSON where it is wanted; the tables on standard output, or on standard error if that is taken."""
    document = stats.to_dict()
    text = json.dumps(document, indent=1)
    if json_file == "-":
        print(text)
        return
    if json_file is not None:
        write_text(Path(json_file), f"{text}\n")
    print(_text(document), file=sys.stderr if stdout_taken else sys.stdout)


def _text(document: dict[str, Any]) -> str:
    sources = [
        (
            source["name"], source["state"], "x".join(map(str, source["size"] or ())) or "-",
            source["frames"], source["results"], source["dropped"], source["passed_over"],
            source["faces"], source["reused"], source["carried"], source["reconnects"],
        )
        for source in document["sources"]
    ]  # fmt: skip
    sinks = [
        (sink["name"], sink["written"], sink["dropped"], *_cells(sink["age_ms"]))
        for sink in document["sinks"]
    ]
    stages = [(name, *_cells(times)) for name, times in document["stages_ms"].items()]
    heads = ("source", "state", "size", "frames", "upscaled", "dropped", "passed over", "faces")
    lines = [table((*heads, "reused", "carried", "reconnects"), sources)]
    if sinks:
        lines.append(
            table(("sink", "written", "dropped", "age p50 ms", "p95", "p99", "max"), sinks)
        )
    if stages:
        lines.append(table(("stage", "p50 ms", "p95", "p99", "max"), stages))
    lines.append(
        f"{document['frames']} frames in {document['seconds']:.1f} s, "
        f"{document['frames_per_s']:.1f} a second, by {document['model']} on {document['engine']} "
        f"{document['precision']}, faces found by {document['detector']}"
    )
    return "\n".join(lines)


def _cells(times: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{times[name]:.1f}" for name in ("p50", "p95", "p99", "max"))
