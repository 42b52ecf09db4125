"""`idrn-trt evaluate`: PSNR-Y of a model on face crops, bicubic beside it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from idrn_trt.commands.arguments import add_engine_arguments, checked_threads
from idrn_trt.errors import OptionError
from idrn_trt.tables import table

EPILOG = """\
examples:
  idrn-trt evaluate idrn-d8-w64-x4 --data folder:faces/test
  idrn-trt evaluate models/mine --data folder:faces/test --precision fp32 --json scores.json
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "evaluate",
        help="measure a model's PSNR-Y on face crops",
        description="Measure PSNR-Y on whole face crops: HR is the centre square, LR its antialiased "
        "bicubic reduction. Means are over all crops, and over files that start with the same letters.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="NAME|DIR|FILE")
    parser.add_argument("--data", required=True, metavar="folder:DIR", help="face crops")
    parser.add_argument("--lr-px", type=int, default=32, help="LR side (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every crop's score as JSON")
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON."""
    kind, _, place = args.data.partition(":")
    if kind != "folder" or not Path(place).is_dir():
        raise OptionError(
            f"--data {args.data!r} not understood: expected folder:DIR, an existing one"
        )
    from idrn_trt.engines import open_engine
    from idrn_trt.files import write_text
    from idrn_trt.quality.evaluate import by_group, evaluate

    engine = open_engine(
        args.model, engine=args.engine, precision=args.precision, threads=checked_threads(args)
    )
    try:
        scores = evaluate(engine, Path(place), args.lr_px)
    finally:
        engine.close()
    groups = by_group(scores)
    heads = ("crops", "count", "PSNR-Y dB", "bicubic dB", "gain dB", "worst decile dB")
    rows = [
        (name, f"{m['count']:.0f}", f"{m['psnr_y_db']:.2f}", f"{m['bicubic_psnr_y_db']:.2f}",
         f"{m['gain_db']:+.2f}", f"{m['gain_worst_decile_db']:+.2f}")
        for name, m in groups.items()
    ]  # fmt: skip
    spec = engine.spec
    print(f"{spec.model} x{spec.scale} on {spec.engine} {spec.precision}, LR {args.lr_px} px")
    print(table(heads, rows))
    if args.json is not None:
        document = {
            "model": spec.model, "engine": spec.engine, "precision": spec.precision,
            "lr_px": args.lr_px, "groups": groups,
            "crops": [dataclasses.asdict(score) for score in scores],
        }  # fmt: skip
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 0
