"""The command line: picks the verb, and turns its errors into one line and an exit code.

Exit codes: 0 done, 1 something failed, 2 the command was wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence

import idrn_trt
from idrn_trt._imports import explain_import_error
from idrn_trt.commands import (
    bench,
    build,
    data,
    doctor,
    evaluate,
    export,
    models,
    quantise,
    stream,
    train,
    train_detector,
    upscale,
)
from idrn_trt.errors import IdrnError, OptionError
from idrn_trt.memory import give_frames_back

VERBS = (
    upscale, stream, doctor, models, bench, data, train, train_detector, evaluate, export, quantise, build,
)  # fmt: skip

# Those that make frames for hours, and bench, which times what they do; the others need no rule for malloc.
FRAME_VERBS = (upscale.run, stream.run, bench.run)

EPILOG = """\
examples:
  idrn-trt upscale photo.jpg                 photo.sr.png beside it, every small face made clear
  idrn-trt upscale photos/ -o clear/         a folder, mirrored
  idrn-trt stream 0                          a webcam in a window, its faces made clear
  idrn-trt doctor                            what works on this machine, and why the rest does not
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole parser; standard library only."""
    parser = argparse.ArgumentParser(
        prog="idrn-trt",
        description="Face super-resolution (IDRN) on any CPU or GPU.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"idrn-trt {idrn_trt.__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show the whole traceback of an error"
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    _take_any_letter()
    args = build_parser().parse_args(argv)
    if args.run in FRAME_VERBS:
        give_frames_back()
    try:
        code: int = args.run(args)
        print(end="", flush=True)  # sys.stdout is None where it was closed before the start
        return code
    except KeyboardInterrupt:
        print("idrn-trt: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        _abandon_stdout()
        return 1
    except IdrnError as error:
        if args.traceback:
            raise
        print(f"idrn-trt: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    except OSError as error:  # such as a full disk below our standard output
        if args.traceback:
            raise
        print(f"idrn-trt: {error}", file=sys.stderr)
        _abandon_stdout()
        return 1
    except ImportError as error:
        explanation = explain_import_error(error)
        if args.traceback or explanation is None:
            raise
        print(f"idrn-trt: {explanation}", file=sys.stderr)
        return 1


def _take_any_letter() -> None:
    """A file name's letters may be none of the terminal's encoding: they are then shown as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Point standard output elsewhere, so that the interpreter's own flush at exit stays quiet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it may be closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
