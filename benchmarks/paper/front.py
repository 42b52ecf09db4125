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
from _front import KIND, plain, plot, read
from _runs import Arm, Result, Runs

from idrn_trt.bench.machine import cpu, versions
from idrn_trt.bench.measure import CONTROL, interleave, load_average
from idrn_trt.bench.pictures import picture
from idrn_trt.engines import open_engine
from idrn_trt.errors import IdrnError
from idrn_trt.files import write_text
from idrn_trt.toolchain.net import NetConfig, cost
from idrn_trt.toolchain.seeded import seeded_model

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
                "gain_db": _gains(done),
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


def _gains(seeds: Sequence[Result]) -> dict[str, float]:
    """The mean over the seeds by group; nothing where one diverged."""
    if any(result["diverged"] for result in seeds):
        return {}
    return {
        group: round(sum(result["groups"][group]["gain_db"] for result in seeds) / len(seeds), 3)
        for group in seeds[0]["groups"]
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
            print(plain(found))
        write_text(args.json, json.dumps(found, indent=1) + "\n")
        if args.verb == "time" and args.plot is not None:
            plot(found, args.plot)
    except IdrnError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
