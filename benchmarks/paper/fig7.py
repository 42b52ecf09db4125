"""Fig. 7: the depths of Table 1 in the course of training. The same runs: done once for both.

python benchmarks/paper/fig7.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import itertools
import sys

from _command import main
from _document import Experiment, Line
from table1 import arguments, lines


def experiment(args: argparse.Namespace) -> Experiment:
    """The depths compared by their courses; "PSNR is higher when network depth is bigger" (4.3)."""
    found = [Line(label=line.label, scale=line.scale, arm=line.arm) for line in lines(args)]
    pairs = itertools.combinations(sorted(args.depths), 2)
    return Experiment(
        name="fig7",
        place="Fig. 7",
        title="Depths compared in the course of training at x4 (the paper's Fig. 7).",
        lines=found,
        says=[(f"depth {deeper}", f"depth {shallower}") for shallower, deeper in pairs],
        notes=[f"network: width {args.width}; the paper does not say"],
        curves=True,
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
