"""The face detector's card, from its manifest and from what benchmarks/detection_targets.py measured.

python benchmarks/detector_card.py              write models/idrn-face-detector/README.md
python benchmarks/detector_card.py --check      exit 1 when it differs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import card_parts

from idrn_trt.bench.report import markdown_table
from idrn_trt.zoo import DETECTOR_MODEL

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("benchmarks") / "results" / "detection-targets.json"
# Faces of each source in the training set; the last has none.
FACES = {
    "portraits": "520",
    "caltech": "325 in offices and outdoors",
    "staff": "308",
    "studio": "40",
    "objects": "none, in 1,998 pictures",
}
DATA = """\
The sha256 of the set is in `manifest.json`. The pictures are not part of this project. Calibration used
scenes composed of the same ones (`calib/idrn-face-detector.json`)."""
LIMITS = """\
- Its labels are another detector's (YuNet's), not people's: what that misses, it never learned.
- The training faces are mostly adults, mostly light-skinned, in portraits and offices. Recall on faces
  darkened and lightened by a curve is above; that is no measurement on people with darker skin.
- Profiles, heads turned by more than 40 degrees, masks and children are rare or absent in its training.
- It finds faces; it tells nobody apart and estimates nothing about anyone."""

Document = dict[str, Any]


def card(manifest: Document, results: Document) -> str:
    """The text of README.md."""
    quality = (
        f"At a least score of {results['least_score']}, fixed on validation pictures before. A face is "
        f"found by a box of IoU >= {results['match_iou']}; a box is false when it overlaps no face by half "
        "of that. Clips: the truth is what YuNet finds. None of these pictures was trained on."
    )
    parts = [
        f"# {manifest['name']}\n\n<!-- written by python benchmarks/detector_card.py -->",
        "Finds faces from 16 px on, for `--detector cnn`; docs/detector.md: how it works and is trained.",
        f"Anchor-free, convolutional, at strides 8, 16 and 32: {manifest['parameters']:,} parameters.",
        _files(manifest),
        "## Quality",
        quality,
        _quality(results["tests"]),
        "## Training",
        _training(manifest["recipe"]),
        card_parts.sources("faces", FACES),
        DATA,
        "## Limits",
        LIMITS,
        card_parts.LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def _files(manifest: Document) -> str:
    files = manifest["files"]
    uses = {
        "fp32": "the home of the weights; not in the wheel",
        "int8-cpu": "OpenVINO and ONNX Runtime on CPUs",
        "fp16": "TensorRT",
    }
    rows = [
        (f"`{files[kind]['path']}`", f"{files[kind]['bytes'] / 1e6:.2f}", use)
        for kind, use in uses.items()
    ]
    return markdown_table(("file", "MB", "for"), rows)


def _quality(tests: Document) -> str:
    heads = ("pictures", "faces", "recall", "false / 100 pictures", "median IoU")
    rows = []
    for what, figures in tests.items():
        f = figures["cnn"]
        shown = [f["faces"], f["recall"], f["false_per_100_frames"], f["median_iou"]]
        rows.append((what, *("-" if value is None else str(value) for value in shown)))
    return markdown_table(heads, rows)


def _training(recipe: Document) -> str:
    return (
        f"The last {recipe['steps']:,} steps: {recipe['batch']} composed scenes of {recipe['side_px']} px "
        f"a step, {recipe['hard_negatives']:,} backgrounds shown more often for the false faces that the "
        "weights before saw in them; Adam, peak rate "
        f"{recipe['peak_learning_rate']:g} after {recipe['warmup_steps']} steps of warm-up, then half a "
        f"cosine to a hundredth of it; bfloat16 autocast; seed {recipe['seed']}. They began with the "
        "weights of earlier runs (docs/decisions/025). The weights are a running average that keeps "
        f"{recipe['ema']:g} a step."
    )


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if it differs")
    check = parser.parse_args(argv).check
    folder = root / "models" / DETECTOR_MODEL
    manifest = json.loads((folder / "manifest.json").read_bytes())
    results = json.loads((root / RESULTS).read_bytes())
    wanted = {folder / "README.md": card(manifest, results)}
    return card_parts.keep(wanted, root, "benchmarks/detector_card.py", check=check)


if __name__ == "__main__":
    sys.exit(main())
