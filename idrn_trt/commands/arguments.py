"""Command-line arguments that several verbs share. Standard library only."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from idrn_trt.errors import OptionError
from idrn_trt.zoo import DEFAULT_DETECTOR, DEFAULT_MODEL


def size_px(text: str, otherwise: str = "no WIDTHxHEIGHT such as 40x48") -> tuple[int, int]:
    """Width and height, each at least 1, of a text such as 1280x720; otherwise: what another one is."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or 0 in (width_height := (int(match[1]), int(match[2]))):
        raise argparse.ArgumentTypeError(f"{text!r} is {otherwise}")
    return width_height


def out_size(text: str) -> tuple[int, int] | None:
    """Width and height of a text such as 1280x720, None for auto."""
    return None if text == "auto" else size_px(text, "neither WIDTHxHEIGHT nor auto")


def seconds(text: str) -> float:
    """Seconds of a text such as 90, 12.5, 1:30 or 1:02:03.5."""
    match = re.fullmatch(r"(?:(?:(\d{1,4}):)?(\d{1,2}):)?(\d{1,9}(?:\.\d{1,9})?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds nor [HOURS:]MINUTES:SECONDS")
    hours, minutes, rest = match[1] or 0, match[2] or 0, match[3]
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def add_model_argument(parser: argparse._ActionsContainer) -> None:
    """--model; None stands for the default, so that it need not be there where no model is read."""
    parser.add_argument(
        "--model", metavar="NAME|DIR|FILE",
        help="a model of the zoo (see `idrn-trt models`), a model folder or an .onnx file "
        f"(default: {DEFAULT_MODEL})",
    )  # fmt: skip


def add_engine_arguments(parser: argparse._ActionsContainer) -> None:
    """--engine, --precision and --threads."""
    parser.add_argument(
        "--engine", default="auto", metavar="NAME",
        help="openvino, onnxruntime, bicubic, or tensorrt (an NVIDIA GPU, only when named); auto (default) "
        "takes the first of the first two that works here",
    )  # fmt: skip
    parser.add_argument(
        "--precision", default="auto", metavar="NAME",
        help="fp32, fp16, bf16 or int8; auto (default) takes the fastest of the model's files here",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")


def add_upscaler_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that `Upscaler` takes."""
    network = parser.add_argument_group("network")
    add_model_argument(network)
    add_engine_arguments(network)
    faces = parser.add_argument_group("faces")
    faces.add_argument(
        "--detector", default=DEFAULT_DETECTOR, metavar="NAME",
        help="cnn (ours), haar or yunet (default: %(default)s)",
    )  # fmt: skip
    faces.add_argument(
        "--detector-model", type=Path, metavar="FILE",
        help="the detector's own file, where it needs one (yunet: face_detection_yunet_*.onnx), or the "
             "folder of another model for cnn",
    )  # fmt: skip
    faces.add_argument(
        "--min-face-px", type=int, default=24, metavar="N",
        help="smallest face worth finding, in pixels; larger is faster (default: %(default)s)",
    )  # fmt: skip
    faces.add_argument(
        "--detect-upscaled", action="store_true",
        help="enlarge the frame for the detector where --min-face-px is below what it can see (slow)",
    )  # fmt: skip
    size = parser.add_argument_group("output size")
    either = size.add_mutually_exclusive_group()
    either.add_argument(
        "--out-size", type=out_size, metavar="WxH|auto",
        help="in pixels; auto (default) keeps within 1920x1080 unless the input is larger",
    )  # fmt: skip
    either.add_argument(
        "--frame-scale",
        type=int,
        choices=(1, 2, 4),
        help="output size as a multiple of the input's",
    )


def upscaler_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """`Upscaler`'s keyword arguments from a parsed command line."""
    chosen = {
        "engine": args.engine,
        "precision": args.precision,
        "threads": checked_threads(args),
        "detector": args.detector,
        "detector_model": args.detector_model,
        "min_face_px": args.min_face_px,
        "detect_upscaled": args.detect_upscaled,
        "out_size": args.out_size,
        "frame_scale": args.frame_scale,
    }
    if args.model is not None:
        chosen["model"] = args.model
    return chosen


def checked_threads(args: argparse.Namespace) -> int | None:
    """--threads. Raises OptionError for a number below 1."""
    threads: int | None = args.threads
    if threads is not None and threads < 1:
        raise OptionError(f"--threads must be at least 1, got {threads!r}")
    return threads
