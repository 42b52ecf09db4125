"""`idrn-trt quantise`: from one fp32 model to the int8 and float16 files, calibrated on face crops."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from idrn_trt.options import QuantiseOptions

EPILOG = """\
examples:
  idrn-trt quantise models/mine --calib faces/train --evaluate-on faces/test
  idrn-trt quantise models/mine --calib faces/train --auto 0.02     floats where it costs more
  idrn-trt quantise models/mine --calib calib/mine.json             the same files again, no picture

needs the extra `train`: pip install "idrn-trt[train]"
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "quantise",
        help="make a model's int8 and float16 files",
        description="Calibrate a model on real face crops and write model.int8-cpu.onnx,\n"
        "model.int8-trt.onnx and model.fp16.onnx, with what each loses against fp32.\n"
        "A model folder's manifest is brought up to date.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="DIR|FILE", help="a model folder, or an fp32 .onnx file")
    add("--calib", type=Path, required=True, metavar="DIR|FILE",
        help="face crops to calibrate on, or a calibration table made before (.json)")  # fmt: skip
    add("-o", "--out", type=Path, metavar="DIR", help="where the files go (default: the model's)")
    add(
        "--table",
        type=Path,
        metavar="FILE",
        help="where the calibration table goes (default: calib.json beside the files)",
    )
    add("--evaluate-on", type=Path, metavar="DIR",
        help="face crops to measure on (default: every sixth of --calib is kept for it)")  # fmt: skip
    add("--lr-px", type=int, default=32, metavar="PX",
        help="LR side that is measured at (default: %(default)s)")  # fmt: skip
    add("--keep-float", action="append", default=[], metavar="LAYER",
        help="leave this layer in float; may be given several times")  # fmt: skip
    add("--auto", type=float, dest="auto_db", metavar="DB",
        help="leave the most harmful layers in float until the mean PSNR-Y loss is at most this")  # fmt: skip
    add(
        "--clip",
        default="max",
        metavar="RANGE",
        help="of activations: max (default), p99, p99.9, p99.99, p99.999",
    )
    add("--shared-concat", action="store_true",
        help="TensorRT file: one scale for tensors that meet in a concatenation")  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="everything measured, as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the files, print what they lose, bring the manifest up to date."""
    options = QuantiseOptions(
        model=args.model, calib=args.calib, out=args.out, table=args.table,
        evaluate_on=args.evaluate_on, lr_px=args.lr_px, keep_float=tuple(args.keep_float),
        auto_db=args.auto_db, clip=args.clip, shared_concat=args.shared_concat,
    )  # fmt: skip
    from idrn_trt.files import write_text
    from idrn_trt.toolchain.package import record_files
    from idrn_trt.toolchain.quantise import quantise
    from idrn_trt.toolchain.report import report_json, report_text

    made = quantise(options)
    print(report_text(made))
    if args.report is not None:
        write_text(args.report, json.dumps(report_json(made), indent=1) + "\n")
    if args.model.is_dir() and args.out is None:
        record_files(args.model, made)
        print(f"manifest of {args.model} brought up to date")
    return 0
