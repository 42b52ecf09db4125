"""One picture of `idrn-trt upscale`: read, upscaled, and written with all else that was in it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from idrn_trt.commands._earlier_results import without_results
from idrn_trt.commands._upscale_report import faces_entry
from idrn_trt.errors import OptionError, SinkError, SourceError, reason_of
from idrn_trt.faces.layout import background
from idrn_trt.images import (
    Picture,
    Source,
    encode_picture,
    parse_picture,
    read_picture,
    read_pipe,
    write_picture,
)
from idrn_trt.types import Result
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.find import Input, find_inputs, is_video_stream
from idrn_trt.views import compose

UInt8 = npt.NDArray[np.uint8]

# Told from files of that name ("./-") by being these very objects.
STDIN = Source(Path("-"), Path("stdin"))
STDOUT = Path("-")

# As far as a cubic kernel and a window's context reach from a visible pixel.
_HALO_PX = 4


def inputs_of(args: argparse.Namespace) -> list[Input]:
    """What the command line names, without what it wrote there before.

    Raises OptionError, also for "-" among others.
    """
    if "-" not in args.inputs:
        found = find_inputs(args.inputs)
        inputs = without_results(found, args.inputs, args.output)
        if passed_over := len(found) - len(inputs):
            print(f"note: {passed_over} results of an earlier run are passed over", file=sys.stderr)
        return inputs
    if len(args.inputs) > 1:
        raise OptionError("'-' is standard input and stands alone: run the other inputs apart")
    return [Input(STDIN, sys.stdin is not None and is_video_stream(sys.stdin.buffer))]


def goes_to_stdout(args: argparse.Namespace, inputs: list[Input]) -> bool:
    """Whether the result is written to standard output. Raises OptionError where it cannot be."""
    from_stdin = inputs[0].source is STDIN
    if args.output != "-" and not (from_stdin and args.output is None):
        return False
    if args.output is None and _is_terminal(sys.stdout):
        raise OptionError(
            "standard input has no name to call its result by, and standard output is a terminal: "
            "give -o FILE, or lead the output into a file or a pipe"
        )
    if len(inputs) > 1:
        raise OptionError(
            f"standard output takes one result, not {len(inputs)} inputs: give -o FILE or FOLDER"
        )
    if args.thumbnail:
        raise OptionError("--thumbnail is written beside the result: give -o FILE")
    if args.json == "-":
        raise OptionError(
            "the result and --json cannot both go to standard output: give one a file"
        )
    return True


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def upscale_picture(
    upscaler: Upscaler, source: Source, view: str, max_pixels: int
) -> tuple[Picture | None, dict[str, Any]]:
    """One picture's result, and its entry of the JSON but for where it is written (`write_made`).

    None where no face is found and the view shows faces only. source may be STDIN. "notes" of the entry:
    what the result has not kept. Raises SourceError or SinkError.
    """
    picture = _read(source, max_pixels)
    rgb = without_halo(picture.rgb, picture.alpha)
    height, width = rgb.shape[:2]
    try:
        result = upscaler.upscale(rgb)
        made = shown(view, picture, rgb, result)
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise SinkError(
            f"not enough memory for the result of {str(source.path)!r}, {width}x{height}: "
            "give a smaller --out-size or --frame-scale"
        ) from error
    notes = list(picture.notes)
    if made is None:
        notes.append("no face found, so there is none to show: nothing written")
    elif picture.alpha is not None and made.alpha is None:
        notes.append(f"the result is without transparency, which --view {view} does not show")
    return made, {
        "time_s": 0.0,
        "input": str(source.path),
        "size": [width, height],
        "output_size": None if made is None else [made.rgb.shape[1], made.rgb.shape[0]],
        "notes": notes,
        **faces_entry(result),
    }


def write_made(target: Path, made: Picture | None, notes: list[str]) -> dict[str, Any]:
    """Write such a result, if there is one; what its entry gains. target may be STDOUT. Raises SinkError."""
    lost = () if made is None else _write(target, made)
    return {
        "output": None if made is None else str(target),
        "notes": notes + [f"the result is without {clause}" for clause in lost],
    }


def shown(view: str, picture: Picture, rgb: UInt8, result: Result) -> Picture | None:
    """The result in that view with the picture's transparency, profile and greyness.

    rgb: what was upscaled. Where the view shows the whole frame, its transparency is enlarged as the
    frame's background is. None for "faces" when there is none.
    """
    pixels = compose(view, rgb, result)
    if pixels is None:
        return None
    alpha = None
    if picture.alpha is not None and view != "faces":
        height, width = result.frame.shape[:2]
        alpha = background(picture.alpha, width, height)
        if view == "side-by-side":
            alpha = np.hstack([alpha, alpha])
    return Picture(pixels, alpha, picture.profile, picture.grey)


def without_halo(rgb: UInt8, alpha: UInt8 | None) -> UInt8:
    """The pixels with the colour of the nearest visible one where they are wholly transparent.

    Only next to visible ones. What colour an invisible pixel has is chance, mostly black or white, and
    enlarging would mix it into the visible edge. Returns rgb itself where there is nothing to do.
    """
    if alpha is None or not (hidden := alpha == 0).any() or hidden.all():
        return rgb
    distance, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # A label is the number of a visible pixel.
    colours = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colours[labels[~hidden]] = rgb[~hidden]
    near = hidden & (distance <= _HALO_PX)
    filled = rgb.copy()
    filled[near] = colours[labels[near]]
    return filled


def _read(source: Source, max_pixels: int) -> Picture:
    if source is not STDIN:
        return read_picture(source.path, max_pixels)
    name = "standard input"
    try:
        data = b"" if sys.stdin is None else read_pipe(sys.stdin.buffer, name)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from error
    except MemoryError as error:
        raise SourceError(f"cannot read {name}: not enough memory") from error
    return parse_picture(data, name, max_pixels)


def _write(target: Path, picture: Picture) -> tuple[str, ...]:
    if target is not STDOUT:
        return write_picture(target, picture)
    _to_stdout(encode_picture(picture))
    return ()


def _to_stdout(data: bytes) -> None:
    """Past Python's own buffer, so that nothing of a failed write is left for the exit to try again."""
    if sys.stdout is None:
        raise SinkError("cannot write picture to standard output: it is closed")
    rest = memoryview(data)
    try:
        sys.stdout.flush()
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = reason_of(error)
        raise SinkError(f"cannot write picture to standard output: {reason}") from error
