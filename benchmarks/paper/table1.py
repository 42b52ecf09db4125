"""Table 1: depths of 8, 12, 16 and 20 units at width 64, x4.

python benchmarks/paper/table1.py --data fddb:FDDB/,aflw:AFLW/ --recipe paper
python benchmarks/paper/table1.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

from _command import main, numbers, parser
from _document import Experiment, Line
from _published import TABLE_1
from _runs import Arm

TIMES = "time: the paper's is beside ours in the results of `idrn-trt bench --paper`; nothing is timed here"


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, with the depths."""
    found = parser(description)
    found.add_argument("--depths", type=numbers, default=tuple(TABLE_1), metavar="N,N,...",
        help="(default: 8,12,16,20)")  # fmt: skip
    found.add_argument("--width", type=int, default=64, help="(default: %(default)s)")
    return found


def lines(args: argparse.Namespace) -> list[Line]:
    """A network of each depth. The width is not in the paper (docs/paper.md, reading 12)."""
    return [
        Line(
            label=f"depth {depth}",
            scale=4,
            arm=Arm(
                label=f"depth {depth}", network=f"d{depth}-w{args.width}-x4", recipe=args.recipe
            ),
            published=TABLE_1.get(depth),
        )
        for depth in args.depths
    ]


def experiment(args: argparse.Namespace) -> Experiment:
    """The depths compared by their ends."""
    other = [] if args.width == 64 else [f"network: width {args.width} beside the paper's figures"]
    return Experiment(
        name="table1",
        place="Table 1",
        title="Depths compared at x4 (the paper's Table 1).",
        lines=lines(args),
        notes=[*other, TIMES],
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
