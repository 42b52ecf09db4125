"""Fig. 6: the network with and without batch normalisation, in the course of training and at its end.

python benchmarks/paper/fig6.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

from _command import main, parser
from _document import Experiment, Line
from _runs import Arm

WITHOUT, WITH = "without BN", "with BN"


def experiment(args: argparse.Namespace) -> Experiment:
    """One network in two kinds; the paper says neither its depth and width nor its scale."""
    kinds = {WITHOUT: args.network, WITH: f"{args.network}-bn"}
    arms = [Arm(label=k, network=n, recipe=args.recipe) for k, n in kinds.items()]
    return Experiment(
        name="fig6",
        place="Fig. 6",
        title="Residual units without and with batch normalisation (the paper's Fig. 6).",
        lines=[Line(label=arm.label, scale=arm.scale, arm=arm) for arm in arms],
        says=[(WITHOUT, WITH)],
        notes=[
            "network: the paper does not say which",
            "unit: with batch normalisation it is that of Fig. 3a, without dense connection and last ReLU",
        ],
        curves=True,
        equal_steps=True,
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    command = parser(__doc__ or "")
    command.add_argument("--network", default="d8-w64-x4", metavar="NAME",
        help="(default: %(default)s)")  # fmt: skip
    return main(command, experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
