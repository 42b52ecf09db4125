"""Table 2: widths of 64, 128 and 192 at depth 8, x4.

python benchmarks/paper/table2.py --data fddb:FDDB/,aflw:AFLW/ --recipe paper
python benchmarks/paper/table2.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

from _command import main, numbers, parser
from _document import Experiment, Line
from _published import TABLE_2
from _runs import Arm
from table1 import TIMES


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, with the widths."""
    found = parser(description)
    found.add_argument("--widths", type=numbers, default=tuple(TABLE_2), metavar="N,N,...",
        help="(default: 64,128,192)")  # fmt: skip
    found.add_argument("--depth", type=int, default=8, help="(default: %(default)s)")
    return found


def experiment(args: argparse.Namespace) -> Experiment:
    """The widths compared by their ends."""
    other = [] if args.depth == 8 else [f"network: depth {args.depth} beside the paper's figures"]
    lines = [
        Line(
            label=f"width {width}",
            scale=4,
            arm=Arm(
                label=f"width {width}", network=f"d{args.depth}-w{width}-x4", recipe=args.recipe
            ),
            published=TABLE_2.get(width),
        )
        for width in args.widths
    ]
    return Experiment(
        name="table2",
        place="Table 2",
        title="Widths compared at x4 (the paper's Table 2).",
        lines=lines,
        notes=[*other, TIMES],
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
