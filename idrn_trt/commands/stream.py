"""`idrn-trt stream`: cameras and files in, clear faces out, in real time."""

from __future__ import annotations

import argparse
import itertools
import logging
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from idrn_trt.commands.arguments import (
    add_upscaler_arguments,
    out_size,
    seconds,
    upscaler_arguments,
)
from idrn_trt.types import VIEWS

if TYPE_CHECKING:
    from idrn_trt.streaming.options import StreamOptions
    from idrn_trt.streaming.stream import Stream
    from idrn_trt.upscaler import Upscaler
    from idrn_trt.video.sinks.base import Sink
    from idrn_trt.video.sources.base import Source

EPILOG = """\
examples:
  idrn-trt stream 0                                  a webcam, in a window
  idrn-trt stream test: --out null --duration 10     how fast it is here
  idrn-trt stream 0 --out virtualcam                 clear faces in Zoom, Teams or OBS
  idrn-trt stream rtsp://camera/1 --faces-dir faces/ --wait   each face's best shot, for weeks
  idrn-trt stream rtsp://a rtsp://b --out - | jq .   faces as JSON lines
  idrn-trt stream clip.mkv --out clear.mp4           every frame, in order

Frames of cameras are dropped rather than shown late. Ctrl-C finishes files; a second one ends at once.
exit codes: 0 ended or was stopped, 1 a source or sink failed, 2 wrong usage
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "stream",
        help="upscale cameras and files in real time",
        description="Upscale cameras and files in real time: faces by the network, the rest by bicubic "
        "interpolation.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="camera number or /dev/videoN; rtsp://, http:// or udp:// address; file, folder or "
        "pattern; test: for a moving scene; @FILE for one that holds such names, a line each, so that "
        "passwords in addresses are not seen in the list of processes",
    )
    _add_source_arguments(parser)
    _add_sink_arguments(parser)
    _add_running_arguments(parser)
    add_upscaler_arguments(parser)
    parser.set_defaults(run=run)


def _add_source_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sources")
    group.add_argument("--loop", action="store_true", help="files start again at their end")
    group.add_argument(
        "--realtime",
        action="store_true",
        help="play files at their own pace, dropping frames like a camera's",
    )
    group.add_argument(
        "--max-fps", type=float, metavar="N", help="take at most so many frames a second of each"
    )
    group.add_argument("--duration", type=seconds, metavar="TIME", help="end after so long")
    group.add_argument(
        "--wait",
        action="store_true",
        help="wait for cameras that are not there at the start (those that were are always waited for)",
    )
    group.add_argument(
        "--timeout", type=float, default=5.0, metavar="S",
        help="seconds that a camera may be silent before it is reopened (default: 5)",
    )  # fmt: skip
    group.add_argument(
        "--camera-size", type=out_size, metavar="WxH", help="size to ask of local cameras"
    )
    group.add_argument("--camera-fps", type=float, metavar="N", help="rate to ask of local cameras")


def _add_sink_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sinks")
    group.add_argument(
        "--out", action="append", default=[], metavar="SINK",
        help="window (the default); a video file, one for each source where {} stands for its number; "
        "rtsp://, rtmp:// or udp:// to send to; virtualcam or its /dev/videoN; - for JSON lines; null. "
        "May be given several times",
    )  # fmt: skip
    group.add_argument(
        "--view", choices=VIEWS, default="frame", help="what to show (default: frame)"
    )
    group.add_argument(
        "--hud", action=argparse.BooleanOptionalAction,
        help="rate, age and engine in the picture (default: in windows only)",
    )  # fmt: skip
    group.add_argument("--codec", default="auto", metavar="NAME", help="as for `idrn-trt upscale`")
    group.add_argument("--crf", type=int, metavar="N", help="likewise")
    group.add_argument("--preset", metavar="NAME", help="likewise")
    group.add_argument(
        "--faces-dir", type=Path, metavar="DIR",
        help="keep each face's best shot, as seen and as upscaled, with a list faces.jsonl",
    )  # fmt: skip
    group.add_argument(
        "--faces-every", type=float, default=10.0, metavar="S",
        help="a face that stays is kept again after so many seconds; 0 keeps every frame's (default: 10)",
    )  # fmt: skip
    group.add_argument("--keep-count", type=int, metavar="N", help="keep the last N faces only")
    group.add_argument("--keep-days", type=float, metavar="N", help="keep faces so long")
    group.add_argument("--keep-mb", type=float, metavar="N", help="keep so many megabytes of faces")


def _add_running_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--reuse", choices=("on", "off"), default="on",
        help="off: run the network also on faces that have not changed (default: on)",
    )  # fmt: skip
    group.add_argument(
        "--carry", choices=("on", "off"),
        help="on: where the network is slower than a camera, every frame is shown all the same, its faces "
        "with the detail that the network added to them some frames before; off: only frames whose faces it "
        "has made (default: on, but off with --faces-dir)",
    )  # fmt: skip
    group.add_argument(
        "--detect-every", type=int, default=0, metavar="N",
        help="look for faces in the whole of every Nth frame; 0 (default) looks at pieces in turn, "
        "which costs about the same for any size of frame",
    )  # fmt: skip
    group.add_argument(
        "--batch-wait-ms", type=float, default=2.0, metavar="MS",
        help="how long a frame may wait for those of other sources (default: 2)",
    )  # fmt: skip
    group.add_argument(
        "--json", metavar="FILE", help="write counts and times at the end; - is stdout"
    )
    group.add_argument(
        "--health", type=Path, metavar="FILE", help="rewrite FILE every few seconds with the state"
    )
    group.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="Prometheus metrics on 127.0.0.1:PORT"
    )


def run(args: argparse.Namespace) -> int:
    """Stream until the sources end or a signal comes."""
    from idrn_trt.commands._stream_report import write_report
    from idrn_trt.streaming.stream import Stream
    from idrn_trt.upscaler import Upscaler

    logging.basicConfig(format="idrn-trt: %(message)s", level=logging.INFO, stream=sys.stderr)
    options = _options(args)
    sources = _sources(args)
    with ExitStack() as stack:
        upscaler = stack.enter_context(Upscaler(**upscaler_arguments(args)))
        for note in upscaler.notes:
            print(f"note: {note}", file=sys.stderr)
        sinks = _sinks(args, upscaler, sources)
        stream = Stream(sources, sinks, upscaler=upscaler, options=options)
        stack.enter_context(_signals(stream))
        _watchers(args, stream, stack)
        try:
            with stream:
                stream.wait()
        finally:
            write_report(stream.stats, args.json, stdout_taken="-" in args.out)
    return 0


def _options(args: argparse.Namespace) -> StreamOptions:
    from idrn_trt.errors import OptionError
    from idrn_trt.streaming.options import StreamOptions

    if not 0 < args.timeout < math.inf:
        raise OptionError(f"--timeout must be above 0 and finite, got {args.timeout!r}")
    if args.carry == "on" and args.faces_dir is not None:
        raise OptionError(
            "--faces-dir keeps only what the network made of its own frame: leave out --carry on"
        )
    return StreamOptions(
        view=args.view,
        max_fps=args.max_fps,
        duration_s=args.duration,
        loop=args.loop,
        realtime=args.realtime,
        wait=args.wait,
        stall_s=args.timeout,
        reuse=args.reuse == "on",
        carry=args.carry == "on" or (args.carry is None and args.faces_dir is None),
        detect_every=args.detect_every,
        batch_wait_ms=args.batch_wait_ms,
    )


def _sources(args: argparse.Namespace) -> list[Source]:
    from idrn_trt.video.options import VideoOptions
    from idrn_trt.video.sources import open_source

    options = VideoOptions(threads=args.threads)
    return [
        open_source(
            text, options, timeout_s=args.timeout, size=args.camera_size, fps=args.camera_fps
        )
        for named in args.sources
        for text in _texts(named)
    ]


def _texts(named: str) -> list[str]:
    """What a SOURCE stands for: itself, or the lines of @FILE that are not empty nor comments."""
    from idrn_trt.errors import SourceError

    if not named.startswith("@"):
        return [named]
    try:
        lines = Path(named[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise SourceError(f"cannot read sources from {named[1:]!r}: {reason.lower()}") from error
    return [text for line in lines if (text := line.strip()) and not text.startswith("#")]


def _sinks(args: argparse.Namespace, upscaler: Upscaler, sources: list[Source]) -> list[Sink]:
    from idrn_trt.errors import OptionError
    from idrn_trt.video.sinks import SinkOptions, open_sinks
    from idrn_trt.video.sinks.faces import FacesFolder, Retention
    from idrn_trt.video.sources.file import FileSource

    spec = upscaler.engine.spec
    options = SinkOptions(
        codec=args.codec,
        crf=args.crf,
        preset=args.preset,
        threads=args.threads,
        hud=args.hud,
        engine=f"{spec.model} {spec.engine} {spec.precision}",
    )
    texts = args.out or ([] if args.faces_dir else ["window"])
    keep = Retention(count=args.keep_count, days=args.keep_days, megabytes=args.keep_mb)
    if keep.limited and args.faces_dir is None:
        raise OptionError(
            "--keep-count, --keep-days and --keep-mb are limits of --faces-dir: give a folder"
        )
    sinks = [sink for text in texts for sink in open_sinks(text, len(sources), options)]
    if args.faces_dir is not None:
        sinks.append(FacesFolder(args.faces_dir, every_s=args.faces_every, keep=keep))
    for sink, other in itertools.combinations(sinks, 2):
        if _place(sink) == _place(other):
            raise OptionError(f"--out {sink.name!r} is given twice: expected another one each time")
    for sink, source in itertools.product(sinks, sources):
        read = source.paths if isinstance(source, FileSource) else [Path(source.name)]
        if any(_is_one_file(sink.name, str(path)) for path in read):
            raise OptionError(f"--out {sink.name!r} is a source too: expected another file")
    return sinks


def _place(sink: Sink) -> str:
    """What it writes to, however that is spelt, and without what its name leaves out."""
    from idrn_trt.video.sinks.file import VideoFile
    from idrn_trt.video.sinks.push import Push

    if isinstance(sink, Push):
        return sink.url
    return os.path.realpath(sink.name) if isinstance(sink, VideoFile) else sink.name


def _is_one_file(name: str, other: str) -> bool:
    return os.path.isfile(name) and os.path.isfile(other) and os.path.samefile(name, other)  # noqa: PTH113, PTH121 (sinks and sources of every kind have names)


def _watchers(args: argparse.Namespace, stream: Stream, stack: ExitStack) -> None:
    if args.health is not None:
        from idrn_trt.streaming.health import HealthFile

        stack.enter_context(HealthFile(args.health, stream.stats))
    if args.metrics_port is not None:
        from idrn_trt.streaming.metrics import serve_metrics

        stack.enter_context(serve_metrics(args.metrics_port, stream.stats))


@contextmanager
def _signals(stream: Stream) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP stop the stream; a second one ends the process on the spot.

    But for SIGHUP, which a closed terminal may send twice; it stays ignored where it is, as below nohup.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if stopping and number != hang_up:
            os._exit(128 + number)
        stopping.append(number)
        stream.stop()

    stopping: list[int] = []
    hang_up = getattr(signal, "SIGHUP", None)  # not everywhere
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        numbers.append(hang_up)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
