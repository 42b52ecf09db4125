"""What benchmarks/detection_targets.py recorded, as Markdown. This package's own report only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idrn_trt.bench.report import markdown_table

KIND = "idrn_trt detection report"
FORMAT = 1
# The README's columns. The clips' labels are OpenCV's YuNet's own answers.
_SHOWN = {"cnn": "cnn, the default", "haar": "Haar", "opencv-yunet": "YuNet in OpenCV"}
_REFERENCE = "opencv-yunet"
_SMALL = "16 to 24 px, as it is"

Document = Mapping[str, Any]


def check(document: Document) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    if document["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {document['format']!r}")
    markdown(document)
    readme_table(document)


def markdown(document: Document) -> str:
    """Every figure below a heading of the caller's own."""
    where = (
        f"Face detectors, by `python benchmarks/detection_targets.py`: {_where(document)}. Found is IoU >= "
        f"{document['match_iou']}; the least score of cnn is {document['least_score']}."
    )
    jitter = ", ".join(f"{name} {px:.3f}" for name, px in document["jitter_px"].items())
    parts = [where, _tests(document), f"Jitter, px: {jitter}."]
    if "times" in document:
        parts.append(_times(document))
    return "\n\n".join(parts) + "\n"


def _tests(document: Document) -> str:
    heads = ("pictures", "detector", "faces", "recall", "false / 100 frames", "median IoU")
    rows = [
        (
            what, name, str(f["faces"]), _number(f["recall"], 4), f"{f['false_per_100_frames']:.2f}",
            _number(f["median_iou"], 3),
        )
        for what, by in document["tests"].items()
        for name, f in by.items()
    ]  # fmt: skip
    return markdown_table(heads, rows)


def _times(document: Document) -> str:
    heads = ("frame", "detector", "ms", "least ms", "CPU ms")
    rows = [
        (size, name, *(f"{figures[key]:.1f}" for key in ("median_ms", "min_ms", "cpu_median_ms")))
        for size, by in document["times"].items()
        for name, figures in by.items()
    ]
    return markdown_table(heads, rows)


def readme_table(document: Document) -> str:
    """The README's table: a few rows, with the line that says where they were measured."""
    tests = document["tests"]
    clips, empty = tests["clips"], tests["kept backgrounds"]
    rows = [
        (
            f"webcam clips, {clips['cnn']['frames']} frames: recall, false per 100 frames",
            *("the reference" if name == _REFERENCE else _found(clips[name]) for name in _SHOWN),
        ),
        (
            "faces of 16 to 24 px composed into 1280x720 mosaics: recall, false per 100",
            *(_found(tests[_SMALL][name]) for name in _SHOWN),
        ),
        (
            f"pictures without a face, {empty['cnn']['frames']}: false per 100",
            *(f"{empty[name]['false_per_100_frames']:.1f}" for name in _SHOWN),
        ),
    ]
    if "times" in document:
        times = document["times"]
        columns = [[_ms(by[name]["median_ms"]) for by in times.values()] for name in _SHOWN]
        rows.append((f"ms for a frame of {', '.join(times)}", *map(", ".join, columns)))
    return (
        f"{markdown_table(('pictures', *_SHOWN.values()), rows)}\n\n{_where(document)}, by "
        f"`benchmarks/detection_targets.py`. Found is IoU >= {document['match_iou']}; the times are all "
        "that a frame costs.\n"
    )


def _where(document: Document) -> str:
    """The machine, and that of the times where they were taken elsewhere."""
    found = _machine(document["machine"])
    if "times_machine" in document:
        found += f" (times: {_machine(document['times_machine'])}, with other weights)"
    return found


def _machine(machine: Document) -> str:
    load = ", ".join(f"{load:g}" for load in machine["load_average"])
    return (
        f"{machine['threads']} threads of {machine['cpu']}, {machine['date']}, load average {load}"
    )


def _found(figures: Mapping[str, Any]) -> str:
    return f"{figures['recall']:.1%}, {figures['false_per_100_frames']:.1f}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
