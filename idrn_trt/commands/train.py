"""`idrn-trt train`: a network from face pictures."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from idrn_trt.options import RECIPES, QatTarget, TrainOptions

# The defaults that the help tells: the recipe "release".
_RELEASE = {field.name: field.default for field in fields(TrainOptions)}

EPILOG = """\
examples:
  idrn-trt train --data folder:faces/ --out runs/mine
  idrn-trt train --data folder:faces/ --out runs/mine --resume     after an interruption
  idrn-trt train --data folder:faces/ --network d8-w64-x4-fast --steps 20000 --out runs/fast
  idrn-trt train --data folder:faces/ --init models/mine --qat models/mine --out runs/int8
  idrn-trt train --data fddb:FDDB/,aflw:AFLW/ --recipe paper --network d16-w128-x4 --out runs/paper
  idrn-trt train --data folder:faces/ --init models/idrn-d8-w64-x4 --out runs/longer
  idrn-trt train --data folder:faces/ --device cuda --devices 4 --out runs/mine     docs/training.md

--data: folder:DIR (face crops), scenes:DIR (whole pictures), fddb:DIR, aflw:DIR, joined by commas
--network: dDEPTH-wWIDTH-xSCALE, with -fast or -bn behind it; or srcnn-xS, vdsr-xS, srresnet-xS
--recipe: release (ours, the default), real (ours, on pictures as cameras make them), paper,
          paper-sgd, paper-sgd-step; other options change single settings of it. The defaults above
          are those of release

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
        # What is not given is the recipe's.
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--data", required=True, metavar="SPEC", help="face pictures, see below")
    add("--out", required=True, type=Path, metavar="DIR", help="where checkpoints and the log go")
    add("--network", metavar="NAME", help=f"see below{_default('network')}")
    add("--recipe", default="release", choices=sorted(RECIPES),
        help="settings that go together, see below (default: %(default)s)")  # fmt: skip
    add("--init", type=Path, metavar="PATH",
        help="start from the weights of a checkpoint, model folder or .onnx file, "
             "also of a shallower network or of another scale")  # fmt: skip
    add("--qat", type=Path, metavar="PATH",
        help="train for int8: --init's calibration table, or the model folder with calib.json")  # fmt: skip
    add("--qat-target", choices=get_args(QatTarget),
        help=f"the file to train for{_default('qat_target')}")  # fmt: skip
    add("--resume", action="store_true", help="go on with the run in --out")
    _add_data(parser.add_argument_group("pictures"))
    _add_recipe(parser.add_argument_group("recipe"))
    _add_machine(parser.add_argument_group("machine"))
    parser.set_defaults(run=run)


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--test-count", type=int, metavar="N",
        help=f"draw N pictures for the test, which are not trained on{_default('test_count')}")  # fmt: skip
    add("--val-data", metavar="SPEC",
        help="validate on these, or on `test`; default: a share of --data is held out")  # fmt: skip
    add(
        "--val-every",
        type=int,
        metavar="STEPS",
        help=f"validate and save this often{_default('val_every')}",
    )
    add("--cache", type=Path, metavar="DIR", help="for the cut crops (default: the user's cache)")
    add("--workers", type=int, metavar="N", help=f"loader processes{_default('workers')}")


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--steps", type=int, metavar="N", help=f"optimiser steps{_default('steps')}")
    add("--epochs", type=int, metavar="N", help="passes over all pictures, instead of --steps")
    add("--batch", type=int, metavar="N", help=f"pairs a step{_default('batch')}")
    add("--lr-px", type=int, metavar="PX", help=f"LR crop side{_default('lr_px')}")
    add(
        "--lr-sizes", type=_sizes, metavar="PX,PX,...", help="a side drawn for each step from these"
    )
    add("--learning-rate", dest="peak_learning_rate", type=float, metavar="RATE",
        help=f"peak, after warm-up{_default('peak_learning_rate')}")  # fmt: skip
    add("--warmup-steps", type=int, metavar="N",
        help=f"steps until the peak rate{_default('warmup_steps')}")  # fmt: skip
    add("--loss", choices=("l1", "mse"), help=f"absolute or square error{_default('loss')}")
    add("--reduction", choices=("mean", "sum"),
        help=f"sum: over a picture's pixels, as Eq. (2){_default('reduction')}")  # fmt: skip
    add("--optimiser", choices=("adam", "sgd"), help=f"sgd has momentum 0.9{_default('optimiser')}")
    add("--ema", type=float, metavar="SHARE",
        help="the result is a running average of the weights, such as 0.999 (default: none)")  # fmt: skip
    add("--degrade", action="store_true", help="LR pictures as cameras make them")
    add("--seed", type=int, metavar="N", help=f"of all that is random{_default('seed')}")


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--threads", type=int, metavar="N",
        help=f"CPU threads, 0 leaves torch's choice{_default('threads')}")  # fmt: skip
    add("--device", metavar="NAME", help=f"auto, cpu, cuda, cuda:1{_default('device')}")
    add("--devices", type=int, metavar="N",
        help=f"so many of them, which share each batch{_default('devices')}")  # fmt: skip
    add("--nodes", type=int, metavar="N",
        help=f"on so many machines: docs/training.md{_default('nodes')}")  # fmt: skip
    add("--float32", dest="bf16", action="store_false",
        help="no bfloat16 autocast; faster on processors without bfloat16 arithmetic")  # fmt: skip


def _default(name: str) -> str:
    return f" (default: {_RELEASE[name]})"


def options_of(args: argparse.Namespace) -> TrainOptions:
    """The recipe's options with those given in its place."""
    given = {name: getattr(args, name) for name in TrainOptions.__slots__ if hasattr(args, name)}
    wanted: dict[str, Any] = {**RECIPES[args.recipe], **given}
    if "steps" in given and "epochs" not in given:
        wanted["epochs"] = 0  # a number of steps replaces the recipe's epochs
    return TrainOptions(**wanted)


def run(args: argparse.Namespace) -> int:
    """Train to the end and say where the weights are."""
    options = options_of(args)
    from idrn_trt.toolchain.distribute import Ranks
    from idrn_trt.toolchain.train import Trainer

    with contextlib.closing(Ranks(options)) as ranks, ranks.one_voice():
        weights = Trainer(options, ranks).run()
        if ranks.first:
            name = model_folder(options.out)
            print(f"weights: {weights}\nnext: idrn-trt export {weights} -o {name}")
            if options.qat is not None:
                table = options.out / "calib.json"
                print(f"then: idrn-trt quantise {name} --calib {table}")
    return 0


def model_folder(run: Path) -> str:
    """Where to export a run to: a folder called like it, not one of the models in a source tree."""
    return f"models/{run.resolve().name}"


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N,N,...") from None
