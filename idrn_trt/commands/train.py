"""`idrn-trt train`: a network from a folder of face pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from idrn_trt.options import TrainOptions

EPILOG = """\
examples:
  idrn-trt train --data folder:faces/ --out runs/mine
  idrn-trt train --data folder:faces/ --out runs/mine --resume     after an interruption
  idrn-trt train --data folder:faces/ --network d8-w64-x4-fast --steps 20000 --out runs/fast

needs the extra `train`: pip install "idrn-trt[train]"
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "train",
        help="train a network on face pictures",
        description="Train a network on face pictures, resumable to the bit.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = TrainOptions(data="", out=Path())
    add = parser.add_argument
    add("--data", required=True, metavar="folder:DIR", help="face pictures, any tree of files")
    add("--out", required=True, type=Path, metavar="DIR", help="where checkpoints and the log go")
    add("--network", default=default.network, metavar="NAME", help="(default: %(default)s)")
    add("--val-data", metavar="folder:DIR", help="default: a share of --data is held out")
    add("--steps", type=int, default=default.steps, help="optimiser steps (default: %(default)s)")
    add("--batch", type=int, default=default.batch, help="pairs a step (default: %(default)s)")
    add("--lr-px", type=int, default=default.lr_px, help="LR crop side (default: %(default)s)")
    add(
        "--learning-rate", dest="peak_learning_rate", type=float, metavar="RATE",
        default=default.peak_learning_rate, help="peak, after warm-up (default: %(default)s)",
    )  # fmt: skip
    add("--seed", type=int, default=default.seed, help="(default: %(default)s)")
    add("--val-every", type=int, default=default.val_every, metavar="STEPS",
        help="validate and save this often (default: %(default)s)")  # fmt: skip
    add(
        "--workers",
        type=int,
        default=default.workers,
        help="loader processes (default: %(default)s)",
    )
    add("--threads", type=int, default=default.threads, help="0 leaves torch's choice")
    add("--device", default=default.device, help="auto, cpu, cuda, cuda:1 (default: auto)")
    add("--float32", dest="bf16", action="store_false", help="no bfloat16 autocast")
    add("--resume", action="store_true", help="go on with the run in --out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train to the end and say where the weights are."""
    wanted = {name: getattr(args, name) for name in TrainOptions.__slots__ if hasattr(args, name)}
    options = TrainOptions(**wanted)
    from idrn_trt.toolchain.train import Trainer

    weights = Trainer(options).run()
    print(f"weights: {weights}\nnext: idrn-trt export {weights} -o models/idrn-{options.network}")
    return 0
