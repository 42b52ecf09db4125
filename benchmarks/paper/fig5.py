"""Fig. 5: SGD at a fixed rate, SGD with a stepped rate, and Adam; each with both readings of the loss.

python benchmarks/paper/fig5.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

from _command import main, parser
from _document import Experiment, Line
from _runs import Arm

SCHEMES = {"SGD fixed": "paper-sgd", "SGD stepped": "paper-sgd-step", "Adam": "paper"}
REDUCTIONS = ("mean", "sum")


def experiment(args: argparse.Namespace) -> Experiment:
    """The three schemes of section 4.1, of which it chooses Adam, under both readings of Eq. (2)."""
    arms = [
        Arm(
            label=f"{scheme}, {reduction}",
            network=args.network,
            recipe=recipe,
            changes=(("reduction", reduction),),
        )
        for reduction in REDUCTIONS
        for scheme, recipe in SCHEMES.items()
    ]
    return Experiment(
        name="fig5",
        place="Fig. 5",
        title="Learning rate schemes compared (the paper's Fig. 5).",
        lines=[Line(label=arm.label, scale=arm.scale, arm=arm) for arm in arms],
        says=[
            (f"Adam, {reduction}", f"{scheme}, {reduction}")
            for reduction in REDUCTIONS
            for scheme in SCHEMES
            if scheme != "Adam"
        ],
        notes=[
            "recipe: section 3.1's with the optimisers of 4.1, Adam's with 3.1's decay",
            "recipe: in a shorter run the rate is stepped more often, at most once an epoch",
            "recipe: mean and sum are the two readings of Eq. (2) (docs/paper.md, reading 8)",
            "network: the paper does not say which",
        ],
        curves=True,
        equal_steps=True,
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    command = parser(__doc__ or "", recipe=False)
    command.add_argument("--network", default="d8-w64-x4", metavar="NAME",
        help="(default: %(default)s)")  # fmt: skip
    return main(command, experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
