"""`idrn-trt train-detector`: the face detector from pictures with boxes."""

from __future__ import annotations

import argparse
from pathlib import Path

from idrn_trt.options import DetectorOptions
from idrn_trt.zoo import DETECTOR_MODEL

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
    add("--steps", type=int, help="optimiser steps (9000)")
    add("--batch", type=int, help="scenes a step (16)")
    add("--side-px", type=int, metavar="PX", help="side of a scene, a multiple of 32 (320)")
    add("--learning-rate", dest="peak_learning_rate", type=float, metavar="RATE",
        help="peak, after warm-up (0.003)")  # fmt: skip
    add("--warmup-steps", type=int, metavar="N", help="(300)")
    add("--seed", type=int, help="(0)")
    add("--val-every", type=int, metavar="STEPS", help="validate and save this often (500)")
    add("--workers", type=int, help="loader processes (1)")
    add("--threads", type=int, help="0 leaves torch's choice")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train to the end and say where the weights are."""
    given = {name: getattr(args, name) for name in DetectorOptions.__slots__ if hasattr(args, name)}
    options = DetectorOptions(**given)
    from idrn_trt.toolchain.detector.training import DetectorTrainer

    weights = DetectorTrainer(options).run()
    print(
        f"weights: {weights}\n"
        f"next: idrn-trt export {weights} -o models/{DETECTOR_MODEL} --scenes {options.data}"
    )
    return 0
