"""`idrn-trt export`: a checkpoint becomes a model folder with a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from idrn_trt.errors import OptionError

EPILOG = """\
examples:
  idrn-trt export runs/mine/weights.safetensors -o models/mine
  idrn-trt export runs/mine/weights.safetensors -o models/mine --evaluate folder:faces/test
  idrn-trt export runs/detector/weights.safetensors -o models/detector --scenes scenes/

needs the extra `train`: pip install "idrn-trt[train]"
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "export",
        help="turn trained weights into a model folder (ONNX and manifest)",
        description="Export weights to ONNX, simplified, folded and checked against torch.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="FILE",
        help="weights.safetensors or checkpoint.safetensors of a run")  # fmt: skip
    add("-o", "--output", required=True, type=Path, metavar="DIR", help="the model's folder")
    add("--name", metavar="NAME", help="the model's name (default: the folder's)")
    add("--licence", default="", metavar="TEXT", help="of the training data, for the manifest")
    add("--evaluate", metavar="SPEC", help="measure PSNR-Y on these crops into the manifest")
    add("--scenes", type=Path, metavar="DIR",
        help="of a face detector: the pictures it was trained on, to quantise it with")  # fmt: skip
    add("--unfolded", action="store_true", help="keep the last convolution at full resolution")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the folder and say what was measured."""
    name = args.name or args.output.resolve().name
    if not name:
        raise OptionError(f"no model name in {str(args.output)!r}: give one with --name")
    if args.scenes is not None:
        from idrn_trt.toolchain.detector.package import package_detector

        package_detector(
            args.checkpoint, args.output, name=name, licence=args.licence,
            scenes=args.scenes, say=print,
        )  # fmt: skip
        return 0
    from idrn_trt.toolchain.package import package_model

    package_model(
        args.checkpoint, args.output, name=name, licence=args.licence,
        evaluate_on=args.evaluate, folded=not args.unfolded, say=print,
    )  # fmt: skip
    return 0
