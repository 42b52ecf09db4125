"""Parameters and arithmetic of the paper's networks, beside the times the paper gives for them.

    python benchmarks/networks.py                          the table, as Markdown
    python benchmarks/networks.py --json                   the same as JSON
    python benchmarks/networks.py --update docs/paper.md   rewrite the table in the document

Counted on the networks as idrn_trt/toolchain/net.py has them, for one low-resolution picture of
32 x 32 pixels; nothing is timed here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from idrn_trt.bench.paper import LR_PX, PEAK_TFLOPS, paper_rows
from idrn_trt.toolchain.net import NetConfig, cost

BEGIN = "<!-- begin: python benchmarks/networks.py -->"
END = "<!-- end: python benchmarks/networks.py -->"

# The row's place in the paper, the network, and the paper's time in ms where it gives one.
PAPER = (
    *((timed.place, timed.network, timed.ms) for timed in paper_rows()),
    ("Table 3, scale 2", "d16-w128-x2", None),
    ("Table 3, scale 3", "d16-w128-x3", None),
    ("Table 3, scale 4", "d16-w128-x4", None),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One network of the paper.

    gmac: 10^9 multiply-accumulates for one 32 x 32 picture. gmac_sum: the same, were the dense
    connection a sum, so that a unit's second convolution had half the inputs. tflops, peak_share:
    what `paper_ms` would mean for one picture (2 operations a MAC), and its part of PEAK_TFLOPS.
    """

    place: str
    network: str
    parameters: int
    gmac: float
    gmac_sum: float
    paper_ms: float | None
    tflops: float | None
    peak_share: float | None


def row(place: str, network: str, paper_ms: float | None) -> Row:
    """Count one network."""
    config = NetConfig.parse(network)
    counted = cost(config, LR_PX, LR_PX)
    saved = config.depth * 9 * config.width**2 * LR_PX**2
    tflops = None if paper_ms is None else 2 * counted.macs / (paper_ms * 1e9)
    return Row(
        place=place,
        network=network,
        parameters=counted.parameters,
        gmac=counted.macs / 1e9,
        gmac_sum=(counted.macs - saved) / 1e9,
        paper_ms=paper_ms,
        tflops=tflops,
        peak_share=None if tflops is None else tflops / PEAK_TFLOPS,
    )


def rows() -> list[Row]:
    """Every network of the paper's tables, in the paper's order."""
    return [row(*entry) for entry in PAPER]


def markdown(table: list[Row]) -> str:
    """The table as Markdown."""
    head = (
        "| In the paper | Network | Parameters | GMAC at 32x32 | GMAC with a sum "
        "| Paper's time, ms | Implied TFLOP/s | Of the card's peak |"
    )
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|"]
    for r in table:
        timed = "| | | |"
        if r.paper_ms is not None:
            timed = f"| {r.paper_ms:.2f} | {r.tflops:.2f} | {r.peak_share:.0%} |"
        counted = f"{r.parameters:,} | {r.gmac:.3f} | {r.gmac_sum:.3f}"
        lines.append(f"| {r.place} | {r.network} | {counted} {timed}")
    return "\n".join(lines) + "\n"


def replaced(document: str, table: str) -> str:
    """`document` with what stands between the markers replaced. Raises ValueError without them."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the table: expected the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def update(path: Path) -> None:
    """Rewrite the table in a document, all at once."""
    text = replaced(path.read_text(encoding="utf-8"), markdown(rows()))
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    what.add_argument("--update", type=Path, metavar="FILE", help="rewrite the table in FILE")
    args = parser.parse_args()
    if args.update:
        update(args.update)
    elif args.json:
        report = {"lr_px": LR_PX, "peak_tflops": PEAK_TFLOPS}
        print(json.dumps({**report, "rows": [dataclasses.asdict(r) for r in rows()]}, indent=2))
    else:
        print(markdown(rows()), end="")


if __name__ == "__main__":
    main()
