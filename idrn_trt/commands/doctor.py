"""`idrn-trt doctor`: what works on this machine, and for what does not, why and what to do."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.commands.arguments import add_model_argument
from idrn_trt.commands.models import models_text
from idrn_trt.engines import describe_engines
from idrn_trt.errors import ModelError, OptionError
from idrn_trt.tables import table
from idrn_trt.zoo import DEFAULT_DETECTOR, BrokenModel, Model, list_models

_PACKAGES = (
    "idrn-trt", "numpy", "opencv-python", "opencv-python-headless", "pillow", "openvino",
    "av", "onnxruntime", "torch", "onnx", "tensorrt", "pycuda",
)  # fmt: skip


EPILOG = """\
examples:
  idrn-trt doctor
  idrn-trt doctor --json > doctor.json
  idrn-trt doctor --gpu --model models/mine     writes idrn-trt-gpu.md and .json: docs/gpu.md
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "doctor",
        help="say what works on this machine, and why the rest does not",
        description="Engines, detectors and models usable here; for each that is not, why and what to do.\n"
        "Works with no optional package installed. Exit code 1 when nothing can run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for a program, or a bug report")
    gpu = parser.add_argument_group(
        "the GPU",
        "build a model in fp16 and int8 with TensorRT, compare it with ONNX Runtime on the same files,\n"
        "time it, and write a report to attach to an issue. Takes minutes. Exit code 1 when it fails.",
    )
    gpu.add_argument("--gpu", action="store_true", help="do this instead of the diagnosis")
    add_model_argument(gpu)
    gpu.add_argument(
        "--report", type=Path, metavar="FILE", default=Path("idrn-trt-gpu"),
        help="where the report goes, with the ends .md and .json (default: %(default)s)",
    )  # fmt: skip
    gpu.add_argument(
        "--repeats", type=int, default=300, metavar="N",
        help="calls timed for each figure (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the diagnosis, or check the GPU."""
    if args.gpu:
        return _gpu(args)
    engines = describe_engines()
    detectors = _detectors()
    models, models_error = _models()
    # bicubic always works and makes no face clearer, so it does not count.
    works = (
        any(e.usable for e in engines if e.name != "bicubic")
        and any(isinstance(m, Model) for m in models)
        and any(d["usable"] for d in detectors)
    )
    if args.json:
        document = {
            "machine": cpu(),
            "versions": versions(*_PACKAGES),
            "engines": [dataclasses.asdict(e) for e in engines],
            "detectors": detectors,
            "models": [_model_entry(m) for m in models],
            "models_error": models_error,
            "precision_probes": _probes(),
            "works": works,
        }
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return 0 if works else 1
    print(_machine_text())
    print(_engines_text(engines))
    print(_detectors_text(detectors))
    print((models_text(models) or f"no model usable: {models_error or 'none found'}") + "\n")
    if probes := _probes():
        print(_probes_text(probes, models))
    print("ready" if works else "not ready: see what is marked above")
    return 0 if works else 1


def _gpu(args: argparse.Namespace) -> int:
    """Run the check of the GPU, write its report and say where."""
    if args.repeats < 1:
        raise OptionError(f"--repeats must be at least 1, got {args.repeats!r}")
    from idrn_trt.commands._gpu_check import check_gpu, write_report
    from idrn_trt.commands._gpu_report import summary
    from idrn_trt.zoo import DEFAULT_MODEL, find_model

    model = find_model(args.model or DEFAULT_MODEL)
    document = check_gpu(model, args.repeats, lambda text: print(text, file=sys.stderr))
    files = write_report(document, args.report)
    print(json.dumps(document, indent=1, ensure_ascii=False) if args.json else summary(document))
    if not args.json:
        print(f"written: {' and '.join(map(str, files))}: please attach them to an issue")
    return 0 if document["passed"] else 1


def _machine_text() -> str:
    processor = cpu()
    sets = " ".join(processor["instruction_sets"]) or "no instruction set of note"
    cores = f"{processor['usable_cores']} of {processor['cores']} cores"
    found = ", ".join(f"{name} {version}" for name, version in versions(*_PACKAGES).items())
    return f"processor  {processor['model']}, {cores}, {sets}\nversions   {found}\n"


def _engines_text(engines: list[Any]) -> str:
    rows = [
        (e.name, "yes" if e.usable else "no", e.version or "-", ", ".join(e.precisions) or "-",
         e.reason)
        for e in engines
    ]  # fmt: skip
    return table(("engine", "usable", "version", "precisions", "why not"), rows) + "\n"


def _detectors() -> list[dict[str, Any]]:
    try:
        from idrn_trt.faces.detect import describe_detectors
    except ImportError as error:
        from idrn_trt._imports import explain_import_error

        reason = explain_import_error(error) or str(error)
        return [
            {"name": DEFAULT_DETECTOR, "usable": False, "smallest_face_px": None, "reason": reason}
        ]
    return [dataclasses.asdict(status) for status in describe_detectors()]


def _detectors_text(detectors: list[dict[str, Any]]) -> str:
    rows = [
        (d["name"], "yes" if d["usable"] else "no", d["smallest_face_px"] or "-", d["reason"])
        for d in detectors
    ]
    return table(("detector", "usable", "smallest face px", "what to do"), rows) + "\n"


def _models() -> tuple[list[Model | BrokenModel], str]:
    try:
        return list_models(), ""
    except ModelError as error:
        return [], str(error)


def _model_entry(model: Model | BrokenModel) -> dict[str, Any]:
    if isinstance(model, BrokenModel):
        return {"name": model.name, "error": model.reason}
    return {"name": model.name, "files": [kind for kind in model.files if model.has(kind)]}


def _probes() -> list[dict[str, Any]]:
    """The choices of precision remembered here; none without what the engines need."""
    try:
        from idrn_trt.engines._probe import probes
    except ImportError:
        return []
    return probes()


def _probes_text(probes: list[dict[str, Any]], models: list[Model | BrokenModel]) -> str:
    """Which precision `auto` takes where it was measured, and what was measured."""
    names = {_files_key(m): m.name for m in models if isinstance(m, Model)}
    rows: list[tuple[str, ...]] = []
    for probe in probes:
        times = ", ".join(f"{name} {ms:.1f}" for name, ms in probe["times_ms"].items())
        key = probe["key"]
        model = names.get(frozenset(key["files"].items()), "one not listed here")
        rows.append((model, key["engine"], str(key["threads"] or "all"), probe["chosen"], times))
    heads = ("model", "engine", "threads", "auto takes", "measured, ms a 32x32 window")
    return table(heads, sorted(rows)) + "\n"


def _files_key(model: Model) -> frozenset[tuple[str, str]]:
    """What a remembered choice knows a model by: the sha256 of each of its files."""
    return frozenset((kind, file.sha256) for kind, file in model.files.items())
