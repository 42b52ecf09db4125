"""`idrn-trt upscale`: pictures and videos in, the same with clear faces out."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idrn_trt.commands._interrupts import Interrupts
from idrn_trt.commands.arguments import add_upscaler_arguments, seconds, upscaler_arguments
from idrn_trt.errors import OptionError, SinkError, SourceError
from idrn_trt.files import exists, is_folder
from idrn_trt.types import VIEWS

if TYPE_CHECKING:
    from idrn_trt.commands._upscale_report import Report
    from idrn_trt.images import Source
    from idrn_trt.upscaler import Upscaler
    from idrn_trt.video.find import Input
    from idrn_trt.video.options import VideoOptions
    from idrn_trt.video.pipeline import FrameDone

EPILOG = """\
examples:
  idrn-trt upscale photo.jpg                      writes photo.sr.png
  idrn-trt upscale photo.jpg -o clear.jpg         names the result; its ending picks the format
  idrn-trt upscale 'shots/*.png' -o clear/        a pattern or a folder into a folder
  idrn-trt upscale photo.jpg --view side-by-side  bicubic left, ours right
  idrn-trt upscale photo.jpg --json -             boxes, scores and stage times for a program
  idrn-trt upscale - < photo.jpg > clear.png      a picture through a pipe, always as PNG
  idrn-trt upscale clip.mkv                       writes clip.sr.mp4, with its sound
  idrn-trt upscale - < clip.mkv > clear.mkv       a video through a pipe, always as Matroska
  idrn-trt upscale clip.mkv -o clear.mkv --start 1:30 --duration 20

exit codes: 0 all done, 1 some file failed (the others are done), 2 wrong usage, 130 interrupted
(Ctrl-C and SIGTERM alike)
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "upscale",
        help="upscale pictures and videos, their faces by the network",
        description="Upscale pictures and videos: faces by the network, the rest by bicubic "
        "interpolation.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="picture, video, folder or pattern; - is a picture or video on standard input",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUTPUT",
        help="file (one input) or folder; default: NAME.sr.png or NAME.sr.mp4 beside each input; - is "
        "standard output",
    )  # fmt: skip
    parser.add_argument(
        "--view", choices=VIEWS, default="frame", help="what to write (default: frame)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write faces and stage times as JSON; - is standard output"
    )
    parser.add_argument(
        "--max-pixels", type=int, metavar="N",
        help="refuse larger pictures and frames (default: 100,000,000), against decompression bombs",
    )  # fmt: skip
    _add_video_arguments(parser)
    add_upscaler_arguments(parser)
    parser.set_defaults(run=run)


def _add_video_arguments(parser: argparse.ArgumentParser) -> None:
    video = parser.add_argument_group("videos")
    video.add_argument(
        "--codec", metavar="NAME",
        help="h264 (default; in .webm vp9), hevc, av1, vp9, hardware for this machine's H.264 encoder, "
        "or an encoder's own name, such as ffv1 (lossless)",
    )  # fmt: skip
    video.add_argument(
        "--crf",
        type=int,
        metavar="N",
        help="quality, lower is better and larger (default: 18, h264)",
    )
    video.add_argument(
        "--preset", metavar="NAME", help="the encoder's speed (default: veryfast, h264)"
    )
    video.add_argument(
        "--start", type=seconds, metavar="TIME", help="begin there: seconds or [H:]MM:SS"
    )
    video.add_argument("--duration", type=seconds, metavar="TIME", help="and go on for so long")
    video.add_argument(
        "--thumbnail", action="store_true",
        help="also write NAME.thumb.jpg, the frame that shows most of faces",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Upscale every input; one that fails is reported and the rest goes on."""
    from idrn_trt.commands._upscale_pictures import STDOUT, goes_to_stdout, inputs_of
    from idrn_trt.commands._upscale_report import Report
    from idrn_trt.upscaler import Upscaler

    max_pixels = _max_pixels(args)
    inputs = inputs_of(args)
    to_stdout = goes_to_stdout(args, inputs)
    targets = [STDOUT] if to_stdout else _targets(inputs, args.output)
    options = _video_options(args, inputs, targets, max_pixels)
    start = time.perf_counter()
    tables = sys.stderr if to_stdout else sys.stdout
    with Report(args.json, tables) as report, Upscaler(**upscaler_arguments(args)) as upscaler:
        for note in upscaler.notes:
            print(f"note: {note}", file=sys.stderr)
        with Interrupts() as interrupts:
            job = _Job(
                upscaler, args.view, max_pixels, options, report, interrupts,
                thumbnail=args.thumbnail,
            )  # fmt: skip
            interrupted = job.all(list(zip(inputs, targets, strict=True)))
        summary = report.summary(upscaler, inputs, time.perf_counter() - start)
        report.write(summary)
    if interrupted:
        raise KeyboardInterrupt
    return 1 if summary["failed"] else 0


class _Job:
    """The inputs of one command, one after another."""

    def __init__(
        self,
        upscaler: Upscaler,
        view: str,
        max_pixels: int,
        options: VideoOptions | None,
        report: Report,
        interrupts: Interrupts,
        *,
        thumbnail: bool,
    ) -> None:
        self._upscaler = upscaler
        self._view = view
        self._max_pixels = max_pixels
        self._options = options
        self._report = report
        self._interrupts = interrupts
        self._thumbnail = thumbnail

    def all(self, pairs: list[tuple[Input, Path]]) -> bool:
        """Do them; True when Ctrl-C ended it."""
        from tqdm import tqdm

        bar = tqdm(pairs, unit="file", disable=len(pairs) == 1 or None, leave=False)
        try:
            for index, (item, target) in enumerate(bar):
                try:
                    if self._one(index, item, target):
                        return True
                except (SourceError, SinkError) as error:
                    self._failed(index, item, error)
        except KeyboardInterrupt:
            return True
        return False

    def _one(self, index: int, item: Input, target: Path) -> bool:
        if item.video:
            return self._clip(item.source, target)
        self._picture(index, item, target)
        return False

    def _failed(self, index: int, item: Input, error: Exception) -> None:
        _say(f"idrn-trt: {error}")
        self._report.failed(index, item, error)

    def _picture(self, index: int, item: Input, target: Path) -> None:
        from idrn_trt.commands._upscale_pictures import upscale_picture, write_made

        made, entry = upscale_picture(self._upscaler, item.source, self._view, self._max_pixels)
        # No picture is written that the report does not know of, and none fails that it does not know of.
        with self._interrupts.held():
            try:
                entry |= write_made(target, made, entry["notes"])
            except SinkError as error:
                self._failed(index, item, error)
                return
            lines = self._report.picture({"index": index, **entry})
        for line in lines:
            _say(line)

    def _clip(self, source: Source, target: Path) -> bool:
        """Do a video; True when Ctrl-C ended it."""
        from tqdm import tqdm

        from idrn_trt.commands._upscale_pictures import STDIN, STDOUT
        from idrn_trt.video.pipeline import upscale_clip

        if target is STDOUT and sys.stdout is None:
            raise SinkError("cannot write video to standard output: it is closed")
        with tqdm(desc=source.path.name, unit="frame", disable=None, leave=False) as bar:

            def opened(expected_frames: int) -> None:
                bar.reset(total=expected_frames or None)

            def made(frame: FrameDone) -> None:
                bar.update()
                self._report.frame(source, target, frame)

            done = upscale_clip(
                sys.stdin.buffer if source is STDIN else source.path,
                sys.stdout.buffer if target is STDOUT else target,
                self._upscaler,
                self._options,
                on_open=opened,
                on_frame=made,
            )
        thumbnail = self._write_thumbnail(target, done.preview) if self._thumbnail else None
        for line in self._report.clip(done, thumbnail):
            _say(line)
        return done.interrupted

    @staticmethod
    def _write_thumbnail(target: Path, preview: Any) -> Path | None:
        from idrn_trt.images import write_image

        if preview is None:
            return None
        path = target.with_name(f"{target.stem}.thumb.jpg")
        write_image(path, preview)
        return path


def _say(line: str) -> None:
    """Past the progress bar. A terminal that was closed meanwhile is no reason to end the work."""
    from tqdm import tqdm

    with suppress(OSError):
        tqdm.write(line, file=sys.stderr)


def _max_pixels(args: argparse.Namespace) -> int:
    from idrn_trt.images import DEFAULT_MAX_PIXELS

    chosen: int = DEFAULT_MAX_PIXELS if args.max_pixels is None else args.max_pixels
    if chosen < 1:
        raise OptionError(f"--max-pixels must be at least 1, got {chosen!r}")
    return chosen


def _video_options(
    args: argparse.Namespace, inputs: list[Input], targets: list[Path], max_pixels: int
) -> VideoOptions | None:
    """The options for videos, tried on each of their containers before any work; None without one."""
    wishes = ("codec", "crf", "preset", "start", "duration")
    named = [f"--{name}" for name in wishes if getattr(args, name) is not None]
    named += ["--thumbnail"] * args.thumbnail
    if not any(item.video for item in inputs):
        if named:
            raise OptionError(f"{', '.join(named)}: for videos, and there is none among the inputs")
        return None
    from idrn_trt.commands._upscale_pictures import STDOUT
    from idrn_trt.video.encoders import PIPE_CONTAINER, choose_encoder, container_of
    from idrn_trt.video.options import VideoOptions

    options = VideoOptions(
        view=args.view,
        codec=args.codec or "auto",
        crf=args.crf,
        preset=args.preset,
        start_s=args.start or 0.0,
        duration_s=args.duration,
        max_pixels=max_pixels,
        threads=args.threads,
    )
    videos = [target for item, target in zip(inputs, targets, strict=True) if item.video]
    for container in {PIPE_CONTAINER if t is STDOUT else container_of(t) for t in videos}:
        encoder, _ = choose_encoder(options.codec, container)
        encoder.options(options.crf, options.preset)
    return options


def _targets(inputs: list[Input], output: str | None) -> list[Path]:
    """Where each result goes. Raises OptionError before any work when two would be one file."""
    targets = _unnamed_targets(inputs) if output is None else _named_targets(inputs, output)
    read = {item.source.path.absolute() for item in inputs}
    seen: dict[Path, Source] = {}
    for item, target in zip(inputs, targets, strict=True):
        source = item.source
        _check_name(item, target)
        other = seen.setdefault(target.absolute(), source)
        if other is not source:
            raise OptionError(
                f"{str(other.path)!r} and {str(source.path)!r} would both be written to "
                f"{str(target)!r}: give their folders instead of the files, or run them apart"
            )
        if _same_file(target, source.path):
            raise OptionError(f"the result would overwrite its input {str(target)!r}")
        if target.absolute() in read:
            raise OptionError(
                f"the result of {str(source.path)!r} would overwrite the input {str(target)!r}: leave "
                "that out, or give -o FOLDER"
            )
    return targets


def _unnamed_targets(inputs: list[Input]) -> list[Path]:
    """Beside each input: photo.sr.png."""
    return _apart([(item.source.path, f".sr{_ending(item)}") for item in inputs])


def _apart(named: list[tuple[Path, str]]) -> list[Path]:
    """Each name with its own ending replaced; a.jpg and a.png, which would then be one, keep theirs."""
    short = [path.with_suffix(ending) for path, ending in named]
    whole = [path.with_name(path.name + ending) for path, ending in named]
    # Some systems take A.png and a.png for one file.
    count = Counter(str(target).casefold() for target in short)
    clash = [count[str(target).casefold()] > 1 for target in short]
    taken = {target for target, clashes in zip(whole, clash, strict=True) if clashes}
    return [
        target if clashes or other in taken else other
        for target, other, clashes in zip(whole, short, clash, strict=True)
    ]


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there, or cannot be
        return False


def _named_targets(inputs: list[Input], output: str) -> list[Path]:
    from idrn_trt.images import READ_SUFFIXES, WRITE_SUFFIXES
    from idrn_trt.video.encoders import CONTAINERS
    from idrn_trt.video.find import VIDEO_SUFFIXES

    if not output:
        raise OptionError("-o is an empty text: expected a file or folder")
    place = Path(output)
    # "clear.jpg" is a file, and so would "clear.avi" be, which cannot be written; "clear", "clear/" and
    # "v1.2" are folders; so is what exists as one.
    names = {*WRITE_SUFFIXES, *CONTAINERS, *READ_SUFFIXES, *VIDEO_SUFFIXES}
    as_file = place.suffix.lower() in names and not output.endswith(os.sep)
    if len(inputs) == 1 and as_file and not is_folder(place):
        return [place]
    if not is_folder(place) and (as_file or exists(place)):
        raise OptionError(
            f"{len(inputs)} inputs cannot go to the one file {output!r}: give a folder"
        )
    return _apart([(place / item.source.relative, _ending(item)) for item in inputs])


def _ending(item: Input) -> str:
    return ".mp4" if item.video else ".png"


def _check_name(item: Input, target: Path) -> None:
    from idrn_trt.images import check_writable_name
    from idrn_trt.video.encoders import container_of

    if item.video:
        container_of(target)
    else:
        check_writable_name(target)
