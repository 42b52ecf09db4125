"""Table 1: depths of 8, 12, 16 and 20 units at width 64, x4.

python benchmarks/paper/table1.py --data fddb:FDDB/,aflw:AFLW/ --recipe paper
python benchmarks/paper/table1.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

import _sizes
from _command import main
from _document import Experiment, Line
from _published import TABLE_1


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, with the depths."""
    return _sizes.arguments(description, "depth", TABLE_1, "width", 64)


def lines(args: argparse.Namespace) -> list[Line]:
    """A network of each depth. The width is not in the paper (docs/paper.md, reading 12)."""
    networks = {depth: f"d{depth}-w{args.width}-x4" for depth in args.depths}
    return _sizes.lines("depth", networks, TABLE_1, args.recipe)


def experiment(args: argparse.Namespace) -> Experiment:
    """The depths compared by their ends."""
    other = "" if args.width == 64 else f"width {args.width}"
    return _sizes.experiment("Table 1", "depth", lines(args), other)


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
