"""`idrn-trt train-detector`: the face detector from pictures with boxes."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from idrn_trt.commands.train import model_folder
from idrn_trt.options import DetectorOptions

_DEFAULTS = {field.name: field.default for field in fields(DetectorOptions)}

EPILOG = """\
examples:
  idrn-trt train-detector --data scenes/ --out runs/detector
  idrn-trt train-detector --data scenes/ --out runs/detector --resume     after an interruption
  idrn-trt train-detector --data scenes/ --init runs/detector/weights.safetensors --mine --out runs/mined

--data: a folder with faces.csv (file,x,y,w,h in pixels, a row a face; files below train/ are used), the
        pictures it names, and background/ with pictures without a face (docs/detector.md)

needs the extra `train`: pip install "idrn-trt[train]"
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "train-detector",
        help="train the face detector",
        description="Train the face detector on composed scenes, resumable to the bit.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given is DetectorOptions' own
    )
    add = parser.add_argument
    add("--data", required=True, type=Path, metavar="DIR", help="pictures, see below")
    add("--out", required=True, type=Path, metavar="DIR", help="where checkpoints and the log go")
    add("--init", type=Path, metavar="FILE", help="start from the weights of a checkpoint")
    add(
        "--mine",
        action="store_true",
        help="show the backgrounds in which --init sees faces more often",
    )
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--steps", type=int, metavar="N", help=f"optimiser steps{_default('steps')}")
    add("--batch", type=int, metavar="N", help=f"scenes a step{_default('batch')}")
    add("--side-px", type=int, metavar="PX",
        help=f"side of a scene, a multiple of 32{_default('side_px')}")  # fmt: skip
    add("--learning-rate", dest="peak_learning_rate", type=float, metavar="RATE",
        help=f"peak, after warm-up{_default('peak_learning_rate')}")  # fmt: skip
    add("--warmup-steps", type=int, metavar="N",
        help=f"steps until the peak rate{_default('warmup_steps')}")  # fmt: skip
    add("--seed", type=int, metavar="N", help=f"of all that is random{_default('seed')}")
    add("--val-every", type=int, metavar="STEPS",
        help=f"validate and save this often{_default('val_every')}")  # fmt: skip
    add("--workers", type=int, metavar="N", help=f"loader processes{_default('workers')}")
    add("--threads", type=int, metavar="N",
        help=f"CPU threads, 0 leaves torch's choice{_default('threads')}")  # fmt: skip
    parser.set_defaults(run=run)


def _default(name: str) -> str:
    return f" (default: {_DEFAULTS[name]})"


def run(args: argparse.Namespace) -> int:
    """Train to the end and say where the weights are."""
    given = {name: getattr(args, name) for name in DetectorOptions.__slots__ if hasattr(args, name)}
    options = DetectorOptions(**given)
    from idrn_trt.toolchain.detector.training import DetectorTrainer

    weights = DetectorTrainer(options).run()
    name = model_folder(options.out)
    print(
        f"weights: {weights}\n"
        f"next: idrn-trt export {weights} -o {name} --scenes {options.data}\n"
        f"then: idrn-trt upscale photo.jpg --detector-model {name}"
    )
    return 0
