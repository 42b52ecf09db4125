"""Table 3: bicubic, SRCNN, VDSR, SRResNet and IDRN at x2, x3 and x4.

python benchmarks/paper/table3.py --data fddb:FDDB/,aflw:AFLW/ --recipe paper
python benchmarks/paper/table3.py --data folder:train/ --val-data folder:test/ --scales 4 --minutes 10
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from _command import main, names, numbers, parser
from _document import Experiment, Line
from _published import TABLE_3
from _runs import Arm

METHODS = {"srcnn": "SRCNN", "vdsr": "VDSR", "srresnet": "SRResNet"}
NETWORKS = (*METHODS, "d16-w128")


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, with the networks that stand for the paper's five methods."""
    found = parser(description)
    found.add_argument("--networks", type=names, default=NETWORKS, metavar="NAME,NAME,...",
        help=f"without scale; the paper's are {','.join(NETWORKS)}")  # fmt: skip
    return found


def lines(networks: Sequence[str], scales: Sequence[int], recipe: str) -> Iterator[Line]:
    """Bicubic and the networks at each scale. Any that is no method to compare with is an IDRN."""
    for scale in scales:
        yield Line(
            label="bicubic", scale=scale, arm=None, published=TABLE_3.get(("bicubic", scale))
        )
        for network in networks:
            method = network if network in METHODS else "idrn"
            label = METHODS.get(network, f"IDRN {network}")
            yield Line(
                label=label,
                scale=scale,
                arm=Arm(label=label, network=f"{network}-x{scale}", recipe=recipe),
                published=TABLE_3.get((method, scale)),
            )


def experiment(args: argparse.Namespace) -> Experiment:
    """The methods at the chosen scales."""
    others = [n for n in args.networks if n not in NETWORKS]
    return Experiment(
        name="table3",
        place="Table 3",
        title="Methods compared at each scale (the paper's Table 3).",
        lines=list(lines(args.networks, args.scales, args.recipe)),
        notes=[
            *(f"network: {n} beside the figures of the paper's d16-w128" for n in others),
            "method: all networks have one recipe here, and one is trained a scale; the paper does not say",
        ],
    )


def run(argv: list[str] | None = None) -> int:
    """The command line."""
    command = arguments(__doc__ or "")
    command.add_argument("--scales", type=numbers, default=(2, 3, 4), metavar="N,N,...",
        help="(default: 2,3,4)")  # fmt: skip
    return main(command, experiment, argv)


if __name__ == "__main__":
    sys.exit(run())
