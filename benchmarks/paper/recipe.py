"""What each departure from the paper's recipe gains: `release` beside itself with one of them undone.

    python benchmarks/paper/recipe.py --data folder:train/ --val-data folder:test/ --steps 600

The paper's own recipe and what `release` leaves out (a running average of the weights, other crop sizes)
stand beside. On a small network by default, so that three seeds of every row take minutes.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from _command import main, parser
from _document import Experiment, Line
from _runs import Arm

RELEASE = "release"
# Row -> the options in which it differs from `release`.
ROWS: dict[str, dict[str, Any]] = {
    RELEASE: {},
    "squared error": {"loss": "mse"},
    "rate 1e-4": {"peak_learning_rate": 1e-4},
    "constant rate": {"schedule": "step"},
    "no augmentation": {"augment": False},
    "no gradient clipping": {"clip_norm": 0.0},
    "with a running average": {"ema": 0.995},
    "with LR 24 to 64 px": {"lr_sizes": (24, 32, 48, 64)},
    "with LR 48 px, 7 a step": {"lr_px": 48, "batch": 7},
    "with 8 a step": {"batch": 8},
}


def experiment(args: argparse.Namespace) -> Experiment:
    """The recipe and its variants on one network."""
    lines = []
    for label, changes in ROWS.items():
        arm = Arm(label=label, network=args.network, recipe=RELEASE, changes=tuple(changes.items()))
        lines.append(Line(label=label, scale=arm.scale, arm=arm))
    return Experiment(
        name="recipe",
        place="Our recipe",
        title="The recipe `release` beside itself with one thing changed.",
        lines=lines,
        compares=[(RELEASE, label) for label in ROWS if label != RELEASE],
    )


if __name__ == "__main__":
    command = parser(__doc__ or "", recipe=False)
    command.add_argument("--network", default="d4-w32-x4-fast", metavar="NAME",
        help="(default: %(default)s)")  # fmt: skip
    sys.exit(main(command, experiment, None))
