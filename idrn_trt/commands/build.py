"""`idrn-trt build`: compile a model for this machine's NVIDIA GPU ahead of its first use."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idrn_trt.commands.arguments import size_px
from idrn_trt.errors import OptionError

if TYPE_CHECKING:
    from idrn_trt.engines._trt_profiles import BuildOptions

EPILOG = """\
examples:
  idrn-trt build idrn-d8-w64-x4 --precision fp16
  idrn-trt build models/mine --precision int8 --windows 32x32,40x48 --batches 1
  idrn-trt build models/mine --precision int8 --level 5 --json layers.json

The precision is in the model's files: `idrn-trt quantise` makes those that are missing. The plan is kept
in the user's cache and found there by `--engine tensorrt`; without this command the first use builds
it. Needs an NVIDIA GPU and the extra `tensorrt`: pip install "idrn-trt[tensorrt]". The code is checked
against the names of TensorRT 10.3, 10.13 and 11.4; it has not been run with TensorRT by its authors.
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "build",
        help="compile a model for this machine's NVIDIA GPU (TensorRT)",
        description="Compile a model into a TensorRT plan for this machine's GPU, and say what its\n"
        "layers came to. Ctrl-C stops it and leaves nothing behind.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "model",
        metavar="NAME|DIR|FILE",
        help="a model of the zoo (see `idrn-trt models`), a model folder or an .onnx file",
    )
    add("--precision", required=True, choices=("fp16", "int8"), help="which of the model's files")
    add("--windows", type=_windows, metavar="WxH,...",
        help="sizes in pixels of the windows it takes, N for NxN (default: those that faces are cut at, "
        "32x32, 40x48, 48x64, 64x80, 72x96, 80x104, 88x112, 96x128 and 128x128)")  # fmt: skip
    add("--batches", type=_numbers, metavar="N,...",
        help="windows a call (default: 1,4,16); each window and batch is a profile of its own, and "
        "fewer build faster and need less memory")  # fmt: skip
    add("--workspace-mib", type=int, metavar="N", help="scratch memory at most (default: all)")
    add("--level", type=int, default=3, metavar="0..5",
        help="5 tries the most kernels and takes the longest (default: %(default)s)")  # fmt: skip
    add("--timing-cache", type=Path, metavar="FILE",
        help="timings of kernels, read and written: later builds on the same GPU are faster")  # fmt: skip
    add("--hardware-compatible", action="store_true",
        help="for every GPU from Ampere on; slower, as kernels get 48 KiB of shared memory")  # fmt: skip
    add("--version-compatible", action="store_true",
        help="for later releases of TensorRT too; may be slower, and loading it runs host code")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="the plan's layers as JSON; - is standard output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build, unless the plan is there, and report."""
    options = _options(args)
    from idrn_trt.toolchain.build import build, document
    from idrn_trt.toolchain.layers import layers_text
    from idrn_trt.zoo import find_model

    with closing(_Bar()) as bar:
        built = build(
            find_model(args.model), args.precision, options, progress=bar.show, say=bar.say
        )
    facts = document(built, options)
    if args.json == Path("-"):
        print(json.dumps(facts, indent=1))
        return 0
    if args.json is not None:
        from idrn_trt.files import write_text

        write_text(args.json, json.dumps(facts, indent=1) + "\n")
    print(f"TensorRT {built.tensorrt}, {built.gpu.name}, {built.precision}: the plan is ready")
    if built.layers:
        print(layers_text(options.profiles, built.layers))
    for note in built.notes:
        if note not in bar.said:
            print(f"note: {note}")
    return 0


def _windows(text: str) -> tuple[tuple[int, int], ...]:
    """(h, w) of each size in a text such as 40x48,32, where 32 is 32x32."""
    sizes = (size_px(f"{part}x{part}" if part.isdecimal() else part) for part in text.split(","))
    return tuple((height, width) for width, height in sizes)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of whole numbers such as 1,4"
        ) from None


def _options(args: argparse.Namespace) -> BuildOptions:
    from idrn_trt.engines._trt_profiles import (
        BATCHES,
        WINDOW_SHAPES_PX,
        BuildOptions,
        make_profiles,
    )

    if args.timing_cache is not None and args.timing_cache.is_dir():
        raise OptionError(f"--timing-cache {str(args.timing_cache)!r} is a folder, expected a file")
    return BuildOptions(
        profiles=make_profiles(args.windows or WINDOW_SHAPES_PX, args.batches or BATCHES),
        workspace_mib=args.workspace_mib,
        level=args.level,
        hardware_compatible=args.hardware_compatible,
        version_compatible=args.version_compatible,
        timing_cache=args.timing_cache,
    )


class _Bar:
    """Progress with the time left, on standard error; a bar for each outermost phase in turn."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._phase = ""
        self._bar: Any = None

    def show(self, phase: str, fraction: float) -> None:
        """How far the phase is, 0 to 1; a phase that falls back stays where it was."""
        from tqdm import tqdm

        if phase != self._phase:
            self.close()
            self._phase = phase
            form = "{l_bar}{bar}| {elapsed}, {remaining} left"
            self._bar = tqdm(total=1.0, desc=phase, leave=False, disable=None, bar_format=form)
        self._bar.update(max(0.0, fraction - self._bar.n))

    def say(self, text: str) -> None:
        """A line above the bar."""
        from tqdm import tqdm

        self.said.append(text)
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
