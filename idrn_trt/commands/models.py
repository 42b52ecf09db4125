"""`idrn-trt models`: the models that can be named here."""

from __future__ import annotations

import argparse
import json
from typing import Any

from idrn_trt.errors import ModelError
from idrn_trt.tables import table
from idrn_trt.zoo import BrokenModel, Model, list_models, search_path

EPILOG = """\
examples:
  idrn-trt models
  IDRN_MODELS=models idrn-trt models     those of the folder models/, then the others
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "models",
        help="list the models found here",
        description="List the models found here: in the folder that IDRN_MODELS names, packed with the\n"
        "program, or in the source tree. Every file is checked against its manifest.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every model; exit 1 when one of them is broken or there is none."""
    models = list_models(task=None)
    if args.json:
        print(json.dumps([_entry(model) for model in models], indent=1, ensure_ascii=False))
    else:
        print(models_text(models))
    if not models:
        raise ModelError(
            f"no model found; looked in {', '.join(map(str, search_path())) or 'no folder'}. "
            "IDRN_MODELS can name a folder of model folders"
        )
    return 1 if any(isinstance(model, BrokenModel) for model in models) else 0


def models_text(models: list[Model | BrokenModel]) -> str:
    """A table of the usable models and a line for each that is not."""
    rows = [
        (m.name, "finds faces" if m.scale is None else f"x{m.scale}",
         ", ".join(kind for kind in m.files if m.has(kind)),
         f"{sum(m.files[kind].size_bytes for kind in m.files if m.has(kind)) / 1e6:.1f}",
         str(m.folder))
        for m in models
        if isinstance(m, Model)
    ]  # fmt: skip
    lines = [table(("model", "task", "files", "MB", "folder"), rows)] if rows else []
    lines += [f"{m.name}: not usable: {m.reason}" for m in models if isinstance(m, BrokenModel)]
    return "\n".join(lines)


def _entry(model: Model | BrokenModel) -> dict[str, Any]:
    if isinstance(model, BrokenModel):
        return {"name": model.name, "folder": str(model.folder), "error": model.reason}
    return {
        "name": model.name,
        "folder": str(model.folder),
        "scale": model.scale,
        "files": {
            kind: {
                "path": f.path,
                "sha256": f.sha256,
                "bytes": f.size_bytes,
                "here": model.has(kind),
            }
            for kind, f in model.files.items()
        },
    }
