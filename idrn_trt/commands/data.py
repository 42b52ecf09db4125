"""`idrn-trt data check`: what a data set holds, what is wrong with it, and how its crops look."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
examples:
  idrn-trt data check folder:faces/
  idrn-trt data check aflw:AFLW/ --smallest 64 --sheet aflw.png
  idrn-trt data check fddb:FDDB/,aflw:AFLW/ --test-count 500
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "data",
        help="look at face pictures before training on them",
        description="Look at face pictures before training on them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("action", choices=("check",), help="count, report and draw what SPEC holds")
    add(
        "spec",
        metavar="SPEC",
        help="folder:DIR, scenes:DIR, fddb:DIR or aflw:DIR, joined by commas",
    )
    add("--smallest", type=int, default=128, metavar="PX",
        help="leave out faces with fewer pixels a side (default: %(default)s)")  # fmt: skip
    add("--sheet", type=Path, default=Path("contact.png"), metavar="FILE",
        help="contact sheet of crops from all over the set (default: %(default)s)")  # fmt: skip
    add("--test-count", type=int, default=0, metavar="N", help="also split off N test pictures")
    add("--seed", type=int, default=0, metavar="N", help="of the split (default: %(default)s)")
    add("--cache", type=Path, metavar="DIR", help="for the cut crops (default: the user's cache)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report and write the sheet."""
    from idrn_trt.images import check_writable_name

    check_writable_name(args.sheet)
    from idrn_trt.toolchain.contact import check

    for line in check(
        args.spec, args.smallest, args.sheet, test_count=args.test_count, seed=args.seed,
        cache=args.cache,
    ):  # fmt: skip
        print(line)
    return 0
