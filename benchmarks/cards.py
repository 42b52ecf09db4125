"""The models' cards, models/*/README.md, from their manifests and from what was measured on them.

    python benchmarks/cards.py measure --data folder:faces/test     measure models that changed
    python benchmarks/cards.py                                      write the cards
    python benchmarks/cards.py --check                              exit 1 when one differs

`measure` runs every model in its fp32 and int8 files on the default engine: on crops reduced by bicubic,
on the same crops as webcams and CCTV make them, and at x4 on larger windows too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import card_parts

from idrn_trt.bench.machine import versions
from idrn_trt.bench.report import markdown_table
from idrn_trt.engines import open_engine
from idrn_trt.files import write_text
from idrn_trt.quality.evaluate import by_group, evaluate_pictures, folder_pictures
from idrn_trt.toolchain.degrade import Degradation
from idrn_trt.toolchain.sources import parse_specs

ROOT = Path(__file__).resolve().parents[1]
KIND = "idrn_trt models"
RESULTS = Path("benchmarks") / "results" / "models.json"
LR_PX = 32
LARGER_PX = (64, 96)
GROUPS = {
    "jforms": "portraits (Government Printing Office)",
    "caltech": "in offices and outdoors (Caltech-101)",
}

# What each model is for, and what its card says beyond the figures.
PURPOSE = {
    "idrn-d8-w64-x4": "For clean small faces, as the paper has them: four times in each direction.",
    "idrn-d8-w64-x2": "Twice in each direction.",
    "idrn-d8-w64-x3": "Three times in each direction.",
    "idrn-d8-w64-x4-real": "The default model, for webcams and CCTV: four times in each direction, from "
    "compressed, noisy and "
    "blurred faces.",
    "idrn-d12-w64-x4-fast": "The fastest at four times in each direction: every convolution runs at low "
    "resolution.",
    "idrn-d16-w64-x4": "Quality before speed: twice as deep as the default.",
}
# Crops of each source in the training set.
CROPS = {"portraits": "795", "caltech": "300", "staff": "307", "studio": "40"}
CLEAN_LIMIT = (
    "Trained on clean pictures reduced by bicubic. On compressed or noisy ones (webcams, CCTV) it sharpens "
    "the artefacts too: see the second table, and `idrn-d8-w64-x4-real`."
)
DEVICES = {"cpu": "the CPU", "cuda": "one GPU"}
# What a model was begun from, where it was not trained in one go.
STARTS = {
    "idrn-d16-w64-x4": (
        "It started from weights trained before (`--init`), in five runs: 4,500 steps of 16 crops from the "
        "weights of d8-w64-x4, with the new units as the identity; 7,000 with the background pictures "
        "added; 9,977 of 64 on faces alone, by L1 at a peak rate of 0.0004; then these. The last two "
        "ran on a GPU."
    ),
    "idrn-d8-w64-x4-real": (
        "It started from weights trained before (`--init`): those of its first release, 3,000 steps of 16 "
        "crops from the weights of d8-w64-x4 after 10,000 steps."
    ),
}
SHORTER = (
    "It started from weights trained before (`--init`): those of the d8-w64-x4 network after 10,000 "
    "steps or more, in one run or by way of a shorter one; what differs in shape started anew."
)
# Models that learned from more than face crops: name -> how many of what, and how they were mixed.
WITH_OBJECTS = {"idrn-d16-w64-x4": "2,491"}
REAL_LIMIT = (
    "On clean pictures, reduced by bicubic alone, it is softer than `idrn-d8-w64-x4`: see above."
)
LIMITS = (
    (
        "The training faces are mostly adults, mostly light-skinned, in well-lit portraits. Quality on "
        "others "
        "was not measured."
    ),
    (
        "What was lost cannot be known: details are plausible, not true. An upscaled face is no "
        "evidence of who "
        "it shows."
    ),
    "A face much smaller than 24 px is usually not found, and one above 120 px is left as it is.",
)

Document = dict[str, Any]


def manifests(root: Path) -> dict[str, Document]:
    """Name -> manifest of every model below models/ that enlarges (detector_card.py has the other)."""
    found = {
        path.parent.name: json.loads(path.read_bytes())
        for path in sorted((root / "models").glob("*/manifest.json"))
    }
    return {name: manifest for name, manifest in found.items() if "task" not in manifest}


def measure(root: Path, spec: str) -> None:
    """Bring RESULTS up to date with the models' files; what is measured already is kept."""
    ((kind, folder),) = parse_specs(spec)
    if kind != "folder":
        raise SystemExit(f"--data {spec!r}: expected folder:DIR")
    path = root / RESULTS
    found: Document = json.loads(path.read_bytes()) if path.is_file() else {"models": {}}
    models: Document = {}
    for name, manifest in manifests(root).items():
        digests = {k: manifest["files"][k]["sha256"] for k in ("fp32", "int8-cpu")}
        kept = found["models"].get(name)
        fresh = kept is None or kept["sha256"] != digests
        models[name] = {"sha256": digests, "on": _on_all(root, name, folder)} if fresh else kept
    document = {
        "kind": KIND,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "versions": versions("numpy", "openvino", "pillow", "idrn-trt"),
        "data": f"{kind}:{folder.name}",
        "models": models,
    }
    write_text(path, json.dumps(document, indent=1) + "\n")


def _on_all(root: Path, name: str, folder: Path) -> dict[str, Document]:
    """Condition -> figures by group of crops."""
    figures = {}
    for precision in ("fp32", "int8"):
        with closing(open_engine(root / "models" / name, precision=precision)) as engine:
            sizes = (LR_PX, *(LARGER_PX if engine.spec.scale == 4 else ()))
            for lr_px in sizes:
                clean = _pictures(folder, lr_px * engine.spec.scale)
                scores = evaluate_pictures(engine, clean, lr_px)
                figures[f"{precision} {lr_px} px"] = by_group(scores)
            pictures = _pictures(folder, LR_PX * engine.spec.scale)
            scores = evaluate_pictures(engine, pictures, LR_PX, degrade=Degradation())
            figures[f"{precision} {LR_PX} px degraded"] = by_group(scores)
    return figures


def _pictures(folder: Path, least_px: int) -> Iterator[tuple[str, Any]]:
    """The crops that are at least as large as the truth has to be."""
    return ((n, p) for n, p in folder_pictures(folder) if min(p.shape[:2]) >= least_px)


def card(name: str, manifest: Document, measured: Document) -> str:
    """The text of one model's README.md."""
    network, scale = manifest["network"], manifest["scale"]
    on = measured["on"]
    real = bool(manifest["recipe"].get("degrade"))
    parts = [
        f"# {name}\n\n<!-- written by python benchmarks/cards.py -->\n\n{PURPOSE[name]}",
        (
            f"IDRN (Fan et al. 2019, doi 10.1186/s13634-019-0626-4) of depth {network['depth']} and width "
            f"{network['width']}, {network['reconstruction']} reconstruction: {manifest['parameters']:,} "
            f"parameters, {manifest['gmac_at_32x32']} GMAC for one 32x32 window."
        ),
        _files(name, manifest),
        "## Quality",
        (
            f"Whole face crops that were not trained on: HR is the crop at {LR_PX * scale} px, LR its "
            f"reduction "
            f"to {LR_PX} px by Pillow's antialiased bicubic, both uint8; PSNR on luma, mean over crops, no "
            "border cropped; bicubic from the same call. These are not the paper's test sets, so only gains "
            "may be set "
            "beside its figures."
        ),
        _quality(on[f"fp32 {LR_PX} px"]),
        (
            "The same crops as webcams and CCTV make them (blur, resize chains, sensor noise, JPEG 30 to 90; "
            "`idrn-trt evaluate --degraded`):"
        ),
        _quality(on[f"fp32 {LR_PX} px degraded"]),
    ]
    if scale == 4:
        parts += [
            "Larger windows, on the crops that are large enough, reduced by bicubic:",
            _larger(on),
        ]
    parts += ["The other files lose, on the first table's crops:", _losses(manifest)]
    parts += ["## Training", _training(name, manifest), _data(name)]
    limits = (REAL_LIMIT if real else CLEAN_LIMIT, *LIMITS)
    parts += ["## Limits", "\n".join(f"- {line}" for line in limits)]
    parts.append(card_parts.LICENCE)
    return "\n\n".join(parts) + "\n"


def _files(name: str, manifest: Document) -> str:
    files = manifest["files"]
    rows = [
        ("`model.onnx`", f"{files['fp32']['bytes'] / 1e6:.1f}", "fp32, the home of the weights"),
        (
            "`model.int8-cpu.onnx`", f"{files['int8-cpu']['bytes'] / 1e6:.1f}",
            "OpenVINO and ONNX Runtime on CPUs",
        ),
    ]  # fmt: skip
    return markdown_table(("file", "MB", "for"), rows) + (
        "\n\n`model.int8-trt.onnx` and `model.fp16.onnx` are made from `model.onnx` by "
        f"`idrn-trt quantise models/{name} --calib calib/{name}.json`; `manifest.json` has their sha256. "
        "TensorRT itself has not been run on them."
    )


def _quality(groups: Document) -> str:
    heads = ("crops", "PSNR-Y dB", "bicubic", "gain", "worst decile's gain", "SSIM-Y", "bicubic")
    rows = [
        (
            f"{m['count']:.0f} {words}", f"{m['psnr_y_db']:.2f}", f"{m['bicubic_psnr_y_db']:.2f}",
            f"{m['gain_db']:+.2f}", f"{m['gain_worst_decile_db']:+.2f}",
            f"{m['ssim_y']:.3f}", f"{m['bicubic_ssim_y']:.3f}",
        )
        for group, words in GROUPS.items()
        if (m := groups.get(group))
    ]  # fmt: skip
    return markdown_table(heads, rows)


def _larger(on: Document) -> str:
    rows = [
        (f"{lr_px} px", f"{m['count']:.0f} {words}", f"{m['psnr_y_db']:.2f}",
         f"{m['bicubic_psnr_y_db']:.2f}", f"{m['gain_db']:+.2f}")
        for lr_px in LARGER_PX
        for group, words in GROUPS.items()
        if (m := on[f"fp32 {lr_px} px"].get(group))
    ]  # fmt: skip
    return markdown_table(("LR", "crops", "PSNR-Y dB", "bicubic", "gain"), rows)


def _losses(manifest: Document) -> str:
    heads = ("file", "run in", "mean PSNR-Y loss dB", "worst decile dB", "brightness shift, levels")
    names = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
    rows = [
        (f"`model.{kind}.onnx`", names[m["engine"]], f"{m['psnr_y_drop_db']:.3f}",
         f"{m['psnr_y_drop_worst_decile_db']:.3f}", f"{m['shift_levels']:+.3f}")
        for kind in ("int8-cpu", "int8-trt", "fp16")
        if (m := manifest["quality"].get(kind))
    ]  # fmt: skip
    return markdown_table(heads, rows)


def _training(name: str, manifest: Document) -> str:
    recipe, scale = manifest["recipe"], manifest["scale"]
    pictures = "as cameras make them" if recipe.get("degrade") else "reduced by bicubic"
    lines = [
        (
            f"{recipe['steps']:,} steps of {recipe['batch']} random {recipe['lr_px'] * scale} px crops at "
            f"random "
            f"scale with flips, {pictures}; {recipe.get('loss', 'l1').upper()} loss; Adam, peak rate "
            f"{recipe['peak_learning_rate']:g} after {recipe['warmup_steps']} steps of warm-up, then half a "
            f"cosine to a hundredth of it; gradients clipped to norm {recipe['clip_norm']:g}; bfloat16 "
            f"autocast; "
            f"seed {recipe['seed']}; on {DEVICES[recipe['device']]}."
        )
    ]
    if recipe.get("ema"):
        lines.append(f"The weights are a running average that keeps {recipe['ema']:g} a step.")
    if recipe.get("init_sha256"):
        lines.append(STARTS.get(name, SHORTER))
    return " ".join(lines)


def _data(name: str) -> str:
    objects = WITH_OBJECTS.get(name)
    counts = {**CROPS, "objects": objects} if objects else CROPS
    mixed = (
        "In the runs with pictures of objects each crop came three times as often as each of those. "
        if objects
        else ""
    )
    return (
        "Data: 1,442 square face crops of at most 256 px, less the 3 % held out to watch the training.\n\n"
        + card_parts.sources("pictures" if objects else "crops", counts)
        + f"\n\n{mixed}The sha256 of the set is in `manifest.json`. The pictures are not part of this "
        "project. Calibration used 300 of the same crops, listed by sha256 in `calib/`."
    )


def wanted(root: Path) -> dict[Path, str]:
    """Each card and what it should hold."""
    measured = json.loads((root / RESULTS).read_bytes())["models"]
    return {
        root / "models" / name / "README.md": card(name, manifest, measured[name])
        for name, manifest in manifests(root).items()
    }


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("measure",))
    parser.add_argument("--data", metavar="folder:DIR", help="with measure: the test crops")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    args = parser.parse_args(argv)
    if args.what == "measure":
        if args.data is None:
            parser.error("measure needs --data")
        measure(root, args.data)
    return card_parts.keep(wanted(root), root, "benchmarks/cards.py", check=args.check)


if __name__ == "__main__":
    sys.exit(main())
