"""Table 2: widths of 64, 128 and 192 at depth 8, x4.

python benchmarks/paper/table2.py --data fddb:FDDB/,aflw:AFLW/ --recipe paper
python benchmarks/paper/table2.py --data folder:train/ --val-data folder:test/ --minutes 10
"""

from __future__ import annotations

import argparse
import sys

import _sizes
from _command import main
from _document import Experiment
from _published import TABLE_2


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, with the widths."""
    return _sizes.arguments(description, "width", TABLE_2, "depth", 8)


def experiment(args: argparse.Namespace) -> Experiment:
    """The widths compared by their ends."""
    networks = {width: f"d{args.depth}-w{width}-x4" for width in args.widths}
    rows = _sizes.lines("width", networks, TABLE_2, args.recipe)
    other = "" if args.depth == 8 else f"depth {args.depth}"
    return _sizes.experiment("Table 2", "width", rows, other)


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    return main(arguments(__doc__ or ""), experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
