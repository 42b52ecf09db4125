"""Which network to ship: gain over bicubic against int8 latency, over depth, width and reconstruction.

    python benchmarks/paper/front.py train --data folder:train/ --val-data folder:test/ --steps 500
    python benchmarks/paper/front.py time --json benchmarks/results/front.json

Two commands, because training takes the processor and timing needs it idle. `train` trains every network
equally long from scratch and writes the gains; `time` reads that file, measures every network's int8
engine in turns in one process, and adds the latencies. Latency does not depend on the weights, so it is
measured on seeded ones.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _command import names, parser, settings_of
from _document import spec_name
from _runs import Arm, Runs

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import CONTROL, interleave, load_average
from idrn_trt.bench.pictures import picture
from idrn_trt.engines import open_engine
from idrn_trt.errors import IdrnError, SourceError
from idrn_trt.files import replacing, write_text
from idrn_trt.tables import table
from idrn_trt.toolchain.net import NetConfig, cost
from idrn_trt.toolchain.seeded import seeded_model

KIND = "idrn_trt front"
NETWORKS = (
    "d4-w64-x4", "d8-w64-x4", "d4-w64-x4-fast", "d8-w64-x4-fast", "d12-w64-x4-fast",
    "d14-w64-x4-fast", "d16-w48-x4-fast", "d6-w96-x4-fast",
)  # fmt: skip
LR_PX = 32
ROUNDS = 30


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Every network's gain over bicubic, dB, by group of test pictures, mean over the seeds."""
    settings = settings_of(args)
    arms = [Arm(label=name, network=name, recipe="release") for name in args.networks]
    runs = Runs(settings, arms, equal_steps=True)
    rows = []
    for arm in arms:
        done = [runs.complete(arm, seed) for seed in settings.seeds]
        counted = cost(NetConfig.parse(arm.network), LR_PX, LR_PX)
        rows.append(
            {
                "network": arm.network,
                "parameters": counted.parameters,
                "gmac": round(counted.macs / 1e9, 3),
                "steps": done[0]["steps"],
                "gain_db": _gains([result["groups"] for result in done]),
            }
        )
        print(f"{arm.network}: {rows[-1]['gain_db']}")
    return {
        "kind": KIND,
        "trained": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "data": {"train": spec_name(settings.data), "test": spec_name(args.val_data)},
        "seeds": list(settings.seeds),
        "rows": rows,
    }


def _gains(seeds: Sequence[dict[str, dict[str, float]]]) -> dict[str, float]:
    return {
        group: round(sum(groups[group]["gain_db"] for groups in seeds) / len(seeds), 3)
        for group in seeds[0]
    }


def add_latency(found: dict[str, Any], threads: int) -> None:
    """Measure every network's int8 engine, all in turns, and add the figures to its row."""
    window = picture(LR_PX, LR_PX, 0)[None]
    load = load_average()
    with tempfile.TemporaryDirectory() as folder:
        cases = {}
        for row in found["rows"]:
            model = seeded_model(row["network"], Path(folder))
            engine = open_engine(model, engine="openvino", precision="int8", threads=threads)
            cases[row["network"]] = lambda engine=engine: engine.run(window)
        taken = interleave(cases, rounds=ROUNDS, threads=threads)
    for row in found["rows"]:
        row["int8"] = taken[row["network"]].to_dict()
    found["timed"] = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "machine": cpu(),
        "versions": versions("numpy", "openvino", "idrn-trt"),
        "threads": threads,
        "load_average": load,
        "control_spread": round(taken[CONTROL].spread, 4),
    }


def on_front(rows: Sequence[dict[str, Any]]) -> set[str]:
    """The networks than which none other is both faster and better over all pictures."""
    return {
        a["network"]
        for a in rows
        if not any(
            b["int8"]["p50_ms"] < a["int8"]["p50_ms"] and b["gain_db"]["all"] > a["gain_db"]["all"]
            for b in rows
        )
    }


def text(found: dict[str, Any]) -> str:
    """The table for a person; the front's networks are marked."""
    front = on_front(found["rows"])
    groups = list(found["rows"][0]["gain_db"])
    heads = ("network", "int8 p50 ms", "GMAC", "steps", *(f"{g}, gain dB" for g in groups), "")
    rows = [
        (
            row["network"], f"{row['int8']['p50_ms']:.2f}", f"{row['gmac']:.2f}", row["steps"],
            *(f"{row['gain_db'][group]:+.2f}" for group in groups),
            "front" if row["network"] in front else "",
        )
        for row in sorted(found["rows"], key=lambda row: float(row["int8"]["p50_ms"]))
    ]  # fmt: skip
    return table(heads, rows)


def plot(found: dict[str, Any], path: Path) -> None:
    """Gain against latency, a point a network, the front joined by a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    front = on_front(found["rows"])
    points = sorted((r["int8"]["p50_ms"], r["gain_db"]["all"], r["network"]) for r in found["rows"])
    for ms, gain, name in points:
        axes.plot(ms, gain, "o", color="#1f5fa8" if name in front else "#9a9a9a")
        axes.annotate(name, (ms, gain), xytext=(5, 4), textcoords="offset points", fontsize=8)
    best = [(ms, gain) for ms, gain, name in points if name in front]
    axes.plot(*zip(*best, strict=True), "-", color="#1f5fa8", linewidth=1)
    axes.set_xlabel(f"int8, ms a face on {found['timed']['threads']} threads (p50)")
    axes.set_ylabel(f"PSNR-Y over bicubic, dB, after {found['rows'][0]['steps']:,} steps")
    axes.grid(alpha=0.3)
    with replacing(path, "plot") as part:
        figure.savefig(part, format=path.suffix.lstrip(".") or "png", dpi=120)


def read(path: Path) -> dict[str, Any]:
    """What `train` wrote. Raises SourceError for anything else."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["kind"] != KIND:
            raise ValueError(f"kind {found['kind']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name!r} is nothing that `train` wrote: {error}") from error
    return found


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    description = __doc__ or ""
    command = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = command.add_subparsers(dest="verb", required=True)
    trains = verbs.add_parser(
        "train", parents=[parser("", recipe=False)], add_help=False, help="the gains"
    )
    trains.add_argument("--networks", type=names, default=NETWORKS, metavar="NAME,NAME,...")
    trains.set_defaults(seeds=(0,))
    times = verbs.add_parser("time", help="the latencies, on an idle machine")
    times.add_argument("--threads", type=int, default=2)
    times.add_argument("--plot", type=Path, metavar="FILE", help="needs the extra `bench`")
    for verb in (trains, times):
        verb.set_defaults(json=Path("benchmarks/results/front.json"))
    times.add_argument("--json", type=Path, metavar="FILE")
    args = command.parse_args(argv)
    try:
        if args.verb == "train":
            found = train(args)
        else:
            found = read(args.json)
            add_latency(found, args.threads)
            print(text(found))
        write_text(args.json, json.dumps(found, indent=1) + "\n")
        if args.verb == "time" and args.plot is not None:
            plot(found, args.plot)
    except IdrnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
