"""The report of `idrn-trt doctor --gpu` as Markdown. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_TIMES = ("run", "graph and copies", "graph", "queue and copies", "queue")

_AGAINST = (
    "PSNR against ONNX Runtime on the same file, at least {needed_db:g} dB needed. Built (or found) in "
    "{build_s} s, opened in {open_s} s."
)
_TIMED = (
    "Times in ms, p50 / p90 / p99: a whole call; then from queueing to the end of the wait, with a CUDA "
    "graph or the work queued piece by piece, with or without the copies."
)


def markdown(document: dict[str, Any]) -> str:
    """The whole report, to be attached to an issue."""
    verdict = "passed" if document["passed"] else "FAILED"
    gpu = document["gpu"]
    facts = [
        ("model", document["model"]),
        ("GPU", f"{gpu['name']}, compute capability {gpu['compute_capability']}"),
        ("driver", f"for CUDA {gpu['driver_cuda'] // 1000}.{gpu['driver_cuda'] % 1000 // 10}"),
        ("TensorRT", document["tensorrt"]),
        ("pycuda", document["pycuda"]),
        (
            "processor",
            f"{document['machine']['model']}, {document['machine']['usable_cores']} cores",
        ),
        ("versions", ", ".join(f"{n} {v}" for n, v in document["versions"].items())),
        ("calls timed", f"{document['repeats']} for each figure"),
        *((f"card {n}", _card(c)) for n, c in enumerate(document["machine"]["gpus"])),
    ]
    parts = [
        f"# idrn-trt doctor --gpu: {verdict}",
        _table(("what", "found"), facts),
        *(_precision(result) for result in document["precisions"]),
    ]
    return "\n\n".join(parts) + "\n"


def summary(document: dict[str, Any]) -> str:
    """A line for each precision, for the terminal."""
    lines = []
    for result in document["precisions"]:
        worst = min((shape["parity_db"] for shape in result["shapes"]), default=None)
        said = result["error"] or f"at least {worst} dB, {result['needed_db']:g} dB needed"
        lines.append(f"{result['precision']}: {'passed' if result['passed'] else 'FAILED'}: {said}")
    return "\n".join(lines)


def _card(card: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in card.items())


def _precision(result: dict[str, Any]) -> str:
    verdict = "passed" if result["passed"] else "FAILED"
    parts = [f"## {result['precision']}: {verdict}"]
    if result["error"]:
        parts.append(f"Stopped: {result['error']}")
    if result["shapes"]:
        parts += [
            _AGAINST.format(**result),
            _table(("window px", "batch", "PSNR dB", "CUDA graph"), map(_parity, result["shapes"])),
            _TIMED,
            _table(("window px", "batch", *_TIMES), map(_times, result["shapes"])),
        ]
    if result["layers"]:
        heads = ("shape", "layers", "reformats", "float islands", "convolutions")
        parts.append(_table(heads, _layers(result)))
    parts += [f"Note: {note}" for note in result["notes"]]
    return "\n\n".join(parts)


def _parity(shape: dict[str, Any]) -> Sequence[object]:
    graph = "yes" if shape["graph"] else "no"
    return _size(shape), shape["batch"], f"{shape['parity_db']:.2f}", graph


def _times(shape: dict[str, Any]) -> Sequence[object]:
    cells = (shape["times"].get(name) for name in _TIMES)
    return (
        _size(shape),
        shape["batch"],
        *(" / ".join(f"{ms:.3f}" for ms in cell.values()) if cell else "-" for cell in cells),
    )


def _layers(result: dict[str, Any]) -> Iterable[Sequence[object]]:
    names = [f"{_size(s)} px, batch {s['batch']}" for s in result["shapes"]]
    for number, layers in enumerate(result["layers"]):
        name = names[number] if number < len(names) else number
        kinds = ", ".join(f"{n} {kind}" for kind, n in layers["convolutions"].items()) or "not told"
        yield name, layers["count"], layers["reformats"], layers["float_islands"], kinds


def _size(shape: dict[str, Any]) -> str:
    return f"{shape['width_px']}x{shape['height_px']}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(c).replace('|', '/') for c in line)} |" for line in lines)
