"""What the experiments' command lines have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _document import Experiment, run
from _published import TESTED_ON
from _report import dumps, markdown, plain
from _runs import Budget, Runs, Settings

from idrn_trt.errors import IdrnError, OptionError
from idrn_trt.files import write_text

Draw = Callable[[dict[str, Any], Runs, Path], None]


def parser(description: str, *, recipe: bool = True) -> argparse.ArgumentParser:
    """The arguments of every experiment."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, metavar="SPEC", help="pictures, as of `idrn-trt train`")
    add("--val-data", metavar="SPEC", help="test on these; default: drawn from --data")
    add("--test-count", type=int, default=TESTED_ON, metavar="N",
        help="so many are drawn without --val-data (default: %(default)s)")  # fmt: skip
    add("--out", type=Path, default=Path("runs/paper"), metavar="DIR",
        help="runs; finished ones are not trained again (default: %(default)s)")  # fmt: skip
    add("--seeds", type=_numbers, default=(0, 1, 2), metavar="N,N,...", help="(default: 0,1,2)")
    if recipe:
        add("--recipe", default="release", choices=("release", "paper"),
            help="release: ours, for short budgets; paper: section 3.1 (default: %(default)s)")  # fmt: skip
    add("--cache", type=Path, metavar="DIR", help="for the cut crops")
    _add_budget(parser.add_argument_group("budget of each network; default: the recipe's own"))
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    group.add_argument("--threads", type=int, default=0)
    group.add_argument("--workers", type=int, default=1, help="loader processes (default: 1)")
    group = parser.add_argument_group("what is written")
    group.add_argument("--json", type=Path, metavar="FILE")
    group.add_argument("--markdown", type=Path, metavar="FILE")
    group.add_argument("--plot", type=Path, metavar="FILE", help="needs the extra `bench`")
    return parser


def _add_budget(group: argparse._ArgumentGroup) -> None:
    only = group.add_mutually_exclusive_group()
    only.add_argument("--epochs", type=int, metavar="N")
    only.add_argument("--steps", type=int, metavar="N")
    only.add_argument("--minutes", type=float, metavar="M",
        help="turned into steps by timing a few, so that the schedule ends")  # fmt: skip


def names(text: str) -> tuple[str, ...]:
    """NAME,NAME,..."""
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N,N,...") from None


numbers = _numbers


def settings_of(args: argparse.Namespace) -> Settings:
    """The runs' settings. Raises OptionError."""
    if len(set(args.seeds)) < len(args.seeds):
        raise OptionError(f"--seeds {args.seeds!r}: expected different ones")
    return Settings(
        data=args.data, out=args.out, val_data=args.val_data,
        test_count=0 if args.val_data else args.test_count, cache=args.cache,
        budget=Budget(epochs=args.epochs, steps=args.steps, minutes=args.minutes),
        seeds=args.seeds, device=args.device, threads=args.threads, workers=args.workers,
    )  # fmt: skip


def main(
    parser: argparse.ArgumentParser,
    experiment_of: Callable[[argparse.Namespace], Experiment],
    argv: list[str] | None,
    *,
    extend: Callable[[dict[str, Any], Runs], None] | None = None,
    draw: Draw | None = None,
) -> int:
    """Run an experiment and write what was asked for; 1 after an error, told in one line.

    extend: adds to the document. draw: makes the picture, by default from the document alone.
    """
    args = parser.parse_args(argv)
    try:
        wanted = experiment_of(args)
        found, runs = run(wanted, settings_of(args), getattr(args, "recipe", ""))
        if extend is not None:
            extend(found, runs)
        if args.json is not None:
            write_text(args.json, dumps(found))
        if args.markdown is not None:
            write_text(args.markdown, f"# {found['place']}\n\n{markdown(found)}")
        print(plain(found))
        if args.plot is not None:
            (draw or _plot)(found, runs, args.plot)
    except IdrnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _plot(found: dict[str, Any], _runs: Runs, path: Path) -> None:
    from _plot import plot

    plot(found, path)
