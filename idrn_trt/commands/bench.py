"""`idrn-trt bench`: how fast here, against the paper, against other libraries, and at what quality."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idrn_trt.errors import BackendUnavailable, OptionError, SinkError, reason_of
from idrn_trt.tables import table

if TYPE_CHECKING:
    from idrn_trt.bench.cases import Case, Row
    from idrn_trt.bench.compare import Comparison
    from idrn_trt.bench.options import BenchOptions

DEFAULT_FOLDER = Path("out/bench")

EPILOG = """\
examples:
  idrn-trt bench                                     every model, engine and precision in a minute
  idrn-trt bench --scenario paced --fps 30           a camera through the whole upscaler
  idrn-trt bench --paper --duration 120              against the paper's tables
  idrn-trt bench --peers --duration 120              against torch, ONNX Runtime, OpenCV, ncnn
  idrn-trt bench --label before                      out/bench/before.json and .png
  idrn-trt bench compare before.json after.json      ratios with intervals; exit 1 past --fail-over

exit codes: 0 done, 1 nothing could be measured or a comparison failed, 2 wrong usage, 130 interrupted
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "bench",
        help="measure speed and quality of every engine here",
        description="Check every engine and precision against fp32, then time them in turns. Writes "
        "a table, JSON and a plot.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is measured")
    against = what.add_mutually_exclusive_group()
    against.add_argument(
        "--paper", action="store_true",
        help="the networks of the paper's Tables 1 and 2 beside its times, on an NVIDIA GPU through "
        "torch and ONNX Runtime too (needs the train extra)",
    )  # fmt: skip
    against.add_argument(
        "--peers", action="store_true",
        help="the same weights through those other libraries that are installed, on an NVIDIA GPU there "
        "too (the train extra has torch and ONNX Runtime)",
    )  # fmt: skip
    for name, of in (("models", "names, folders or files"), ("engines", "names"),
                     ("precisions", "fp32, bf16, fp16, int8")):  # fmt: skip
        what.add_argument(
            f"--{name}", type=_names, default=(), metavar="A,B", help=f"{of} (default: all)"
        )
    _add_conditions(parser.add_argument_group("conditions"))
    _add_outputs(parser.add_argument_group("output"))
    parser.set_defaults(run=run)
    second = parser.add_subparsers(title="instead of measuring", metavar="compare")
    comparing = second.add_parser(
        "compare",
        help="compare two reports",
        description="Times of B over A for every row in both, with 95 % intervals (bootstrap over "
        "block medians). Exit code 1 when a row is slower by more than --fail-over or works no more.",
    )
    comparing.add_argument("a", type=Path, metavar="A.json")
    comparing.add_argument("b", type=Path, metavar="B.json")
    comparing.add_argument(
        "--fail-over",
        type=float,
        default=1.10,
        metavar="RATIO",
        help="exit with 1 where a row of B takes more than so many times A's (default: %(default)s)",
    )
    comparing.set_defaults(run=run_compare)


def _add_conditions(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scenario", default="single-stream", metavar="NAME",
        help="single-stream (default), multi-stream (4 windows at once), offline (the largest batch) "
        "or paced (a camera through the whole upscaler)",
    )  # fmt: skip
    group.add_argument("--window", type=int, default=32, metavar="PX", help="side (default: 32)")
    group.add_argument(
        "--batch", type=int, metavar="N", help="windows a call (default: the scenario's)"
    )
    group.add_argument(
        "--fps", type=float, default=30.0, metavar="N", help="frames/s of paced (default: 30)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    group.add_argument(
        "--warmup", type=int, default=3, metavar="N", help="untimed calls a block (default: 3)"
    )
    group.add_argument(
        "--duration",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds of timing, in turns, of all rows together (default: 20); opening, checking and "
        "what is timed besides come on top",
    )
    group.add_argument(
        "--percentiles",
        type=_numbers,
        default=(50.0, 90.0, 99.0),
        metavar="N,...",
        help="of the times of calls (default: 50,90,99)",
    )
    group.add_argument("--end-to-end", action="store_true", help="the whole upscaler for every row")
    group.add_argument("--profile", action="store_true", help="times by layer (openvino)")
    group.add_argument(
        "--data", type=Path, metavar="DIR", help="measure PSNR-Y on these face crops now"
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-o", "--out", type=Path, default=DEFAULT_FOLDER, metavar="DIR",
        help="folder for LABEL.json and LABEL.png (default: out/bench)",
    )  # fmt: skip
    group.add_argument(
        "--label", default="", metavar="NAME", help="names the files (default: latency)"
    )
    group.add_argument(
        "--json",
        metavar="FILE",
        help="JSON there instead; - is standard output, where nothing else then goes",
    )
    group.add_argument("--plot", type=Path, metavar="FILE", help="the plot there instead")
    group.add_argument("--csv", type=Path, metavar="FILE", help="the rows as CSV too")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing: expected names with commas")
    return names


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers such as 50,90,99") from None


def run(args: argparse.Namespace) -> int:
    """Measure and report; exit 1 when no row could be measured."""
    options = _options(args)
    targets = _targets(args, options)
    from idrn_trt.bench.document import csv_text, dumps, measured
    from idrn_trt.bench.report import text
    from idrn_trt.bench.runner import Run
    from idrn_trt.files import write_text
    from idrn_trt.processor import usable_cores

    threads = options.threads or usable_cores()
    mode = "paper" if args.paper else "peers" if args.peers else "engines"
    with tempfile.TemporaryDirectory() as scratch:
        bench = Run(options, mode, threads, _say)
        bench.measure(_found(mode, options, threads, Path(scratch)))
    document = bench.document
    if args.json == "-":
        print(dumps(document), end="")
    else:
        print(text(document))
        write_text(targets["json"], dumps(document), "report")
    if "csv" in targets:
        write_text(targets["csv"], csv_text(document), "table")
    written = [targets[name] for name in ("json", "csv") if name in targets]
    if "plot" in targets and _plotted(document, targets["plot"]):
        written.append(targets["plot"])
    if written and args.json != "-":
        print("written: " + ", ".join(map(str, written)))
    if document["interrupted"]:
        raise KeyboardInterrupt
    return 0 if measured(document) or document.get("paced") else 1


def _options(args: argparse.Namespace) -> BenchOptions:
    from idrn_trt.bench.options import BenchOptions

    if args.scenario == "paced" and (args.paper or args.peers):
        raise OptionError("--scenario paced times the upscaler: not with --paper or --peers")
    return BenchOptions(
        models=args.models, engines=args.engines, precisions=args.precisions,
        scenario=args.scenario, window_px=args.window, batch=args.batch, fps=args.fps,
        threads=args.threads, warmup=args.warmup, duration_s=args.duration,
        percentiles=args.percentiles, end_to_end=args.end_to_end, profile=args.profile,
        data=args.data, label=args.label,
    )  # fmt: skip


def _targets(args: argparse.Namespace, options: BenchOptions) -> dict[str, Path]:
    """Where each file goes. Raises SinkError before any measuring where it could not be written."""
    name = options.label or "latency"
    targets: dict[str, Path] = {}
    if args.json != "-":
        targets["json"] = Path(args.json) if args.json else args.out / f"{name}.json"
        targets["plot"] = args.out / f"{name}.png"
    if args.plot is not None:
        targets["plot"] = args.plot
    if args.csv is not None:
        targets["csv"] = args.csv
    if len({path.absolute() for path in targets.values()}) < len(targets):
        raise OptionError("--json, --plot and --csv must name different files")
    for path in targets.values():
        _check_writable(path)
    return targets


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(f"{str(path)!r} is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = reason_of(error)
        raise SinkError(f"cannot write {str(path)!r}: {reason}") from error


def _found(mode: str, options: BenchOptions, threads: int, scratch: Path) -> Iterator[Case | Row]:
    """What is to be measured, opened one after the other."""
    from idrn_trt.bench.cases import TENSORRT, Case, by_device_events, engine_cases, models_of

    if mode == "paper":
        from idrn_trt.toolchain.seeded import paper_models

        models = list(paper_models(scratch, options.engines))
    else:
        models, marked = models_of(options)
        yield from marked
    for item in engine_cases(models, options, threads):
        yield item
        if mode != "engines" and isinstance(item, Case) and item.row.engine == TENSORRT:
            yield by_device_events(item)
    if mode == "peers":
        from idrn_trt.toolchain.peers import peer_cases

        for model in models:
            yield from peer_cases(model, options, threads, scratch)
    if mode == "peers" or (mode == "paper" and not options.engines):
        from idrn_trt.toolchain.peers_cuda import gpu_cases

        yield from gpu_cases(models, options, scratch)


def _plotted(document: dict[str, Any], path: Path) -> bool:
    from idrn_trt.bench.plot import plot

    try:
        plot(document, path)
    except BackendUnavailable as error:
        print(error, file=sys.stderr)
        return False
    return True


def _say(text: str) -> None:
    print(f"{text} ...", file=sys.stderr)


def run_compare(args: argparse.Namespace) -> int:
    """Print the comparison; exit 1 when a row is past the limit."""
    if not 1 < args.fail_over < 100:
        raise OptionError(f"--fail-over must be above 1 and below 100, got {args.fail_over:g}")
    from idrn_trt.bench.compare import compare
    from idrn_trt.bench.document import read_report

    found = compare(read_report(args.a), read_report(args.b), args.fail_over)
    print(_comparison_text(found, args.fail_over))
    return 1 if found.failed else 0


def _comparison_text(found: Comparison, fail_over: float) -> str:
    rows = [
        (
            line.name,
            "-" if line.a_ms is None else f"{line.a_ms:.3f}",
            "-" if line.b_ms is None else f"{line.b_ms:.3f}",
            "-" if line.ratio is None else f"{line.ratio.value:.3f}",
            "-" if line.ratio is None else f"{line.ratio.low:.3f} to {line.ratio.high:.3f}",
            line.verdict + (f": {line.reason}" if line.reason else ""),
        )
        for line in found.lines
    ]
    lines = [table(("row", "A ms", "B ms", "B/A", "95 % interval", "verdict"), rows)]
    lines += [f"differing {difference}" for difference in found.differing]
    if found.control is not None:
        lines.append(
            f"the control, equal work in both, came out at {found.control.value:.3f} "
            f"({found.control.low:.3f} to {found.control.high:.3f}): no difference below that is claimed"
        )
    if any(line.verdict == "unclear" for line in found.lines):
        lines.append(
            "unclear: too few blocks, or they lie too far apart for a claim; a quieter machine, or longer"
        )
    if found.failed:
        lines.append(f"FAILED (over {fail_over:g}, or works no more): {', '.join(found.failed)}")
    return "\n".join(lines)
