"""How fast pairs are made from crops on disk, beside the same crops in memory.

    python benchmarks/loader.py --data folder:faces/

The two take turns, batch by batch, so that whatever else the machine does slows both alike; each
round's ratio is of its own two halves, and their median is the figure.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from idrn_trt.bench.machine import cpu
from idrn_trt.toolchain.crops import open_crops
from idrn_trt.toolchain.data import PairDataset, PairRecipe
from idrn_trt.toolchain.plan import by_steps

SCALE, LR_PX, BATCH = 4, 32, 16


def dataset(images: object, rounds: int) -> PairDataset:
    """The pairs of a training run over these crops."""
    plan = by_steps(rounds, BATCH, LR_PX)
    return PairDataset(images, plan, PairRecipe(scale=SCALE, seed=0))  # type: ignore[arg-type]


def seconds(pairs: PairDataset, step: int) -> float:
    """Time for one batch."""
    start = time.perf_counter()
    for sample in pairs.plan.batch(step):
        pairs[sample]
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    crops = open_crops(args.data, LR_PX * SCALE)
    disk, memory = dataset(crops, args.rounds), dataset([c.copy() for c in crops], args.rounds)
    times = np.array([
        [seconds(pairs, step) for pairs in ((disk, memory) if step % 2 else (memory, disk))]
        [:: 1 if step % 2 else -1]
        for step in range(args.rounds)
    ])  # fmt: skip
    rates = BATCH / np.median(times, axis=0)
    report = {
        "machine": cpu(),
        "crops": len(crops),
        "pairs_per_s_disk": round(float(rates[0]), 1),
        "pairs_per_s_memory": round(float(rates[1]), 1),
        "disk_over_memory": round(float(np.median(times[:, 1] / times[:, 0])), 3),
    }
    print(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
