"""Fig. 8: three test faces at x4 by five methods in one picture, from the weights of table3.py.

    python benchmarks/paper/fig8.py --data folder:train/ --val-data folder:test/ --minutes 10 --plot faces.png

Takes table3.py's arguments; what that has trained is not trained again. Of the seeds the first is shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _command import main
from _document import Experiment
from _runs import Arm, Runs
from table3 import arguments, lines

from idrn_trt.bench.paper import LR_PX
from idrn_trt.images import write_image
from idrn_trt.quality.evaluate import figures
from idrn_trt.quality.grid import grid
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair
from idrn_trt.toolchain.checkpoint import load_checkpoint
from idrn_trt.toolchain.crops import Crops
from idrn_trt.toolchain.validate import upscale

UInt8 = npt.NDArray[np.uint8]

FACES, SCALE = 3, 4


def experiment(args: argparse.Namespace) -> Experiment:
    """Table 3's methods at x4."""
    args.seeds = args.seeds[:1]
    return Experiment(
        name="fig8",
        place="Fig. 8",
        title="Three faces by each method at x4 (the paper's Fig. 8).",
        lines=[
            dataclasses.replace(line, published=None)
            for line in lines(args.networks, [SCALE], args.recipe)
        ],
        notes=["figure: the paper shows pictures alone, of other faces"],
    )


def drawn(count: int, seed: int) -> list[int]:
    """Which pictures are shown: three at random, as the paper drew its three."""
    return sorted(np.random.default_rng((seed, 8)).permutation(count)[:FACES].tolist())


def reconstructions(runs: Runs) -> list[tuple[str, UInt8, UInt8, dict[str, UInt8]]]:
    """(name, LR, HR, method -> picture) of each face."""
    seed = runs.settings.seeds[0]
    test = runs.test_pictures(runs.arms[0], seed)
    return [_reconstructed(runs, test, place) for place in drawn(len(test), seed)]


def _reconstructed(
    runs: Runs, test: Crops, place: int
) -> tuple[str, UInt8, UInt8, dict[str, UInt8]]:
    lr, hr = evaluation_pair(test[place], SCALE, LR_PX)
    found = {"bicubic": bicubic_up(lr, SCALE)}
    return test.entries[place].name, lr, hr, found | {a.label: _by(runs, a, lr) for a in runs.arms}


def _by(runs: Runs, arm: Arm, lr: UInt8) -> UInt8:
    seed = runs.settings.seeds[0]
    return upscale(load_checkpoint(runs.network_file(arm, seed)).module(), lr)


def add_faces(found: dict[str, Any], runs: Runs) -> None:
    """Put each face's figures into the document."""
    found["faces"] = [
        {
            "name": Path(name).name,
            "figures": {label: dataclasses.asdict(figures(sr, hr)) for label, sr in by.items()},
        }
        for name, _, hr, by in reconstructions(runs)
    ]


def draw(found: dict[str, Any], runs: Runs, path: Path) -> None:
    """Write the picture: a row a face, a column a method, the truth last."""
    labels = [row["label"] for row in found["rows"]]
    rows = []
    for (name, lr, hr, by), face in zip(reconstructions(runs), found["faces"], strict=True):
        dbs = ", ".join(f"{label} {face['figures'][label]['psnr_y_db']:.2f}" for label in labels)
        rows.append((f"{Path(name).name}: {dbs} dB", [lr, *(by[label] for label in labels), hr]))
    write_image(path, grid(("LR", *labels, "truth"), rows))


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv, extend=add_faces, draw=draw)


if __name__ == "__main__":
    sys.exit(run())
