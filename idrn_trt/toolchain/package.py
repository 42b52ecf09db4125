"""A model folder from a checkpoint: the ONNX file, its manifest, and what was measured on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from idrn_trt.engines import open_engine
from idrn_trt.files import write_text
from idrn_trt.manifest import MANIFEST_NAME, read_manifest
from idrn_trt.quality.evaluate import by_group, evaluate
from idrn_trt.toolchain.checkpoint import Checkpoint, load_checkpoint
from idrn_trt.toolchain.data import parse_spec
from idrn_trt.toolchain.export import check, export_onnx
from idrn_trt.toolchain.graph import write_model
from idrn_trt.toolchain.net import NetConfig, cost
from idrn_trt.toolchain.quantise import Quantised
from idrn_trt.zoo import FORMAT_VERSION

# The LR side that the paper measures on (section 3.1).
EVALUATION_LR_PX = 32


def package_model(
    checkpoint: Path,
    folder: Path,
    *,
    name: str,
    licence: str = "",
    evaluate_on: str | None = None,
    folded: bool = True,
    say: Callable[[str], object],
) -> None:
    """Write `folder` (model.onnx, manifest.json); `say` is given a line of news a step.

    evaluate_on: a data specification whose crops are measured into the manifest. The manifest of an
    older model in the folder is replaced: files quantised from other weights are no longer named.
    """
    crops = None if evaluate_on is None else parse_spec(evaluate_on)
    state = load_checkpoint(checkpoint)
    net = state.network()
    model = export_onnx(net, folded=folded)
    path = folder / "model.onnx"
    write_model(model, path)
    say(f"{path}: {path.stat().st_size:,} bytes, differs from torch by {check(net, model):.1e}")
    manifest = _manifest(state, net.config, name, path, licence)
    write_manifest(manifest, folder)
    if crops is not None:
        manifest["quality"] = {"fp32": _measure(folder, crops)}
        write_manifest(manifest, folder)
        for group, means in manifest["quality"]["fp32"]["psnr_y"].items():
            say(
                f"{group}: {means['count']} crops, PSNR-Y {means['psnr_y_db']:.2f} dB, bicubic "
                f"{means['bicubic_psnr_y_db']:.2f} dB, gain {means['gain_db']:+.2f} dB"
            )


def file_entry(path: Path, **more: Any) -> dict[str, Any]:
    """A manifest's entry for one file: its name, sha256 and size."""
    data = path.read_bytes()
    return {
        "path": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **more
    }  # fmt: skip


def write_manifest(manifest: dict[str, Any], folder: Path) -> None:
    """Write manifest.json all at once."""
    write_text(folder / MANIFEST_NAME, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def record_files(folder: Path, made: Sequence[Quantised]) -> None:
    """Name the files made from the folder's model.onnx in its manifest, with what was measured on them.

    Where nothing was measured (made again from a table), what the manifest says of their quality stays.
    Raises ModelError for a folder without a valid manifest.
    """
    read_manifest(folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
    for entry in made:
        manifest["files"][entry.kind] = file_entry(entry.path, parents=["fp32"])
        seen = entry.fidelity
        if seen is not None:
            manifest["quality"][entry.kind] = {
                "engine": seen.engine,
                "crops": len(seen.images),
                "psnr_to_fp32_db": round(seen.psnr_db, 3),
                "psnr_y_drop_db": round(seen.drop_db, 4),
                "psnr_y_drop_worst_decile_db": round(seen.worst_decile_db, 4),
                "shift_levels": round(seen.shift_levels, 4),
            }
    write_manifest(manifest, folder)


def _manifest(
    state: Checkpoint, config: NetConfig, name: str, path: Path, licence: str
) -> dict[str, Any]:
    recipe = dict(state.recipe)
    price = cost(config)
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "scale": config.scale,
        "network": config.to_dict(),
        "parameters": price.parameters,
        "gmac_at_32x32": round(price.macs / 1e9, 3),
        "files": {"fp32": file_entry(path)},
        "data": [
            {"name": "face crops", "licence": licence, "sha256": recipe.pop("data_sha256", "")}
        ],
        "recipe": {**recipe, **state.progress},
        "quality": {},
    }


def _measure(folder: Path, crops: Path) -> dict[str, Any]:
    engine = open_engine(folder, precision="fp32")
    try:
        scores = evaluate(engine, crops, EVALUATION_LR_PX)
    finally:
        engine.close()
    return {
        "engine": engine.spec.engine,
        "lr_px": EVALUATION_LR_PX,
        "degradation": "Pillow bicubic, uint8",
        "psnr_y": by_group(scores),
    }
