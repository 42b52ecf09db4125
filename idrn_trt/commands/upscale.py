"""`idrn-trt upscale`: pictures in, the same pictures with clear faces out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idrn_trt.commands.arguments import add_upscaler_arguments, upscaler_arguments
from idrn_trt.errors import OptionError, SinkError, SourceError
from idrn_trt.tables import table
from idrn_trt.types import VIEWS

if TYPE_CHECKING:
    from idrn_trt.images import Source
    from idrn_trt.types import Result
    from idrn_trt.upscaler import Upscaler

EPILOG = """\
examples:
  idrn-trt upscale photo.jpg                      writes photo.sr.png
  idrn-trt upscale photo.jpg -o clear.jpg         names the result; its ending picks the format
  idrn-trt upscale 'shots/*.png' -o clear/        a pattern or a folder into a folder
  idrn-trt upscale photo.jpg --view side-by-side  bicubic left, ours right
  idrn-trt upscale photo.jpg --json -             boxes, scores and stage times for a program

exit codes: 0 all done, 1 some picture failed (the others are done), 2 wrong usage, 130 interrupted
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "upscale",
        help="upscale pictures, their faces by the network",
        description="Upscale pictures: faces by the network, the rest by bicubic interpolation.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder or pattern")
    parser.add_argument(
        "-o", "--output", metavar="OUTPUT",
        help="file (one input) or folder; default: NAME.sr.png beside each input",
    )  # fmt: skip
    parser.add_argument(
        "--view", choices=VIEWS, default="frame", help="what to write (default: frame)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write faces and stage times as JSON; - is standard output"
    )
    parser.add_argument(
        "--max-pixels", type=int, metavar="N",
        help="refuse larger pictures (default: 100,000,000), against decompression bombs",
    )  # fmt: skip
    add_upscaler_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Upscale every input; a picture that fails is reported and the rest goes on."""
    from tqdm import tqdm

    from idrn_trt.images import DEFAULT_MAX_PIXELS, find_images
    from idrn_trt.upscaler import Upscaler

    max_pixels = DEFAULT_MAX_PIXELS if args.max_pixels is None else args.max_pixels
    if max_pixels < 1:
        raise OptionError(f"--max-pixels must be at least 1, got {max_pixels!r}")
    sources = find_images(args.inputs)
    targets = _targets(sources, args.output)
    start = time.perf_counter()
    frames: list[dict[str, Any]] = []
    interrupted = False
    with Upscaler(**upscaler_arguments(args)) as upscaler:
        for note in upscaler.notes:
            print(f"note: {note}", file=sys.stderr)
        pairs = list(zip(sources, targets, strict=True))
        bar = tqdm(pairs, unit="picture", disable=len(pairs) == 1 or None, leave=False)
        try:
            for index, (source, target) in enumerate(bar):
                try:
                    frames.append(_one(upscaler, source, target, args.view, max_pixels, index))
                except (SourceError, SinkError) as error:
                    bar.write(f"idrn-trt: {error}", file=sys.stderr)
                    frames.append(_failed(index, source, error))
        except KeyboardInterrupt:
            interrupted = True
        summary = _summary(upscaler, frames, len(sources), time.perf_counter() - start)
    _report(args.json, summary, frames)
    if interrupted:
        raise KeyboardInterrupt
    return 1 if summary["failed"] else 0


def _targets(sources: list[Source], output: str | None) -> list[Path]:
    """Where each result goes. Raises OptionError before any work when two would be one file."""
    from idrn_trt.images import WRITE_SUFFIXES, check_writable_name

    if output is None:
        targets = [s.path.with_name(s.path.stem + ".sr.png") for s in sources]
    else:
        place = Path(output)
        # "clear.jpg" is a file, "clear", "clear/" and "v1.2" are folders; so is what exists as one.
        as_file = place.suffix.lower() in WRITE_SUFFIXES and not output.endswith(os.sep)
        if len(sources) == 1 and as_file and not place.is_dir():
            targets = [place]
        elif place.is_file() or (as_file and not place.is_dir()):
            raise OptionError(
                f"{len(sources)} pictures cannot go to the one file {output!r}: give a folder"
            )
        else:
            targets = [place / s.relative.with_suffix(".png") for s in sources]
    seen: dict[Path, Source] = {}
    for source, target in zip(sources, targets, strict=True):
        check_writable_name(target)
        other = seen.setdefault(target.absolute(), source)
        if other is not source:
            raise OptionError(
                f"{str(other.path)!r} and {str(source.path)!r} would both be written to "
                f"{str(target)!r}: give their folders instead of the files, or run them apart"
            )
        if target.exists() and source.path.exists() and target.samefile(source.path):
            raise OptionError(f"the result would overwrite its input {str(target)!r}")
    return targets


def _one(
    upscaler: Upscaler, source: Source, target: Path, view: str, max_pixels: int, index: int
) -> dict[str, Any]:
    from idrn_trt.images import read_image, write_image
    from idrn_trt.views import compose

    frame = read_image(source.path, max_pixels)
    result = upscaler.upscale(frame)
    picture = compose(view, frame, result)
    if picture is not None:
        write_image(target, picture)
    height, width = frame.shape[:2]
    return {
        "index": index,
        "time_s": 0.0,
        "input": str(source.path),
        "output": None if picture is None else str(target),
        "size": [width, height],
        "output_size": None if picture is None else [picture.shape[1], picture.shape[0]],
        **_faces(result),
    }


def _faces(result: Result) -> dict[str, Any]:
    return {
        "faces": [
            {
                "box": [round(v, 2) for v in (f.box.x, f.box.y, f.box.w, f.box.h)],
                "score": round(f.score, 4),
                "window": [f.window.x, f.window.y, f.window.side],
            }
            for f in result.faces
        ],
        "too_large": len(result.too_large),
        "times_ms": {stage: round(ms, 3) for stage, ms in result.times_ms.items()},
    }


def _failed(index: int, source: Source, error: Exception) -> dict[str, Any]:
    return {
        "index": index, "time_s": 0.0, "input": str(source.path), "output": None,
        "faces": [], "times_ms": {}, "error": str(error),
    }  # fmt: skip


def _summary(
    upscaler: Upscaler, frames: list[dict[str, Any]], wanted: int, seconds: float
) -> dict[str, Any]:
    spec = upscaler.engine.spec
    failed = sum("error" in frame for frame in frames)
    return {
        "pictures": wanted,
        "done": len(frames) - failed,
        "failed": failed,
        "not_started": wanted - len(frames),
        "faces": sum(len(frame["faces"]) for frame in frames),
        "without_face": sum("error" not in f and not f["faces"] for f in frames),
        "too_large": sum(frame.get("too_large", 0) for frame in frames),
        "seconds": round(seconds, 3),
        "model": spec.model,
        "engine": spec.engine,
        "precision": spec.precision,
        "detector": upscaler.detector.name,
        "notes": upscaler.notes,
    }


def _report(json_file: str | None, summary: dict[str, Any], frames: list[dict[str, Any]]) -> None:
    if json_file is not None:
        text = json.dumps({"summary": summary, "frames": frames}, indent=1, ensure_ascii=False)
        if json_file == "-":
            print(text)
            return
        from idrn_trt.files import write_text

        write_text(Path(json_file), text + "\n")
    print(_text(summary, frames))


STAGES = ("detect", "window", "engine", "paste", "total")


def _text(summary: dict[str, Any], frames: list[dict[str, Any]]) -> str:
    rows = [
        (
            frame["input"], "x".join(map(str, frame["size"])),
            "x".join(map(str, frame["output_size"])) if frame["output_size"] else "-",
            len(frame["faces"]),
            ",".join(str(f["window"][2]) for f in frame["faces"][:4]) or "-",
            *(f"{frame['times_ms'][stage]:.1f}" for stage in STAGES),
            frame["output"] or "-",
        )
        for frame in frames
        if "error" not in frame
    ]  # fmt: skip
    heads = (
        "picture",
        "size",
        "out",
        "faces",
        "windows px",
        *(f"{s} ms" for s in STAGES),
        "result",
    )
    lines = [table(heads, rows)] if rows else []
    if summary["faces"]:
        lines.append("engine ms includes compiling where a window size comes up for the first time")
    lines.append(
        f"{summary['done']} of {summary['pictures']} pictures, {summary['faces']} faces, by "
        f"{summary['model']} on {summary['engine']} {summary['precision']}, "
        f"faces found by {summary['detector']}"
    )
    if summary["without_face"]:
        lines.append(
            f"{summary['without_face']} without a face found: upscaled by interpolation only "
            "(a smaller --min-face-px or another --detector may find more)"
        )
    if summary["too_large"]:
        lines.append(
            f"{summary['too_large']} faces larger than the largest window left as they are"
        )
    if summary["failed"]:
        lines.append(f"{summary['failed']} failed, see above")
    return "\n".join(lines)
