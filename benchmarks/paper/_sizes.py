"""What Tables 1 and 2 have in common: networks at x4 that differ in one size."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from _command import numbers, parser
from _document import Experiment, Line
from _published import Published
from _runs import Arm

TIMES = "time: the paper's is beside ours in the results of `idrn-trt bench --paper`; nothing is timed here"


def arguments(
    description: str, varied: str, published: Mapping[int, Published], fixed: str, default: int
) -> argparse.ArgumentParser:
    """The command line, with the sizes that are compared and the one that is fixed."""
    found = parser(description)
    found.add_argument(f"--{varied}s", type=numbers, default=tuple(published), metavar="N,N,...",
        help=f"(default: {','.join(map(str, published))})")  # fmt: skip
    found.add_argument(f"--{fixed}", type=int, default=default, help="(default: %(default)s)")
    return found


def lines(
    varied: str, networks: Mapping[int, str], published: Mapping[int, Published], recipe: str
) -> list[Line]:
    """A row for each size, the paper's figures beside where it has that size."""
    return [
        Line(
            label=f"{varied} {size}",
            scale=4,
            arm=Arm(label=f"{varied} {size}", network=network, recipe=recipe),
            published=published.get(size),
        )
        for size, network in networks.items()
    ]


def experiment(place: str, varied: str, rows: Sequence[Line], other: str) -> Experiment:
    """The sizes compared by their ends. `other`: the fixed size where it is not the paper's."""
    notes = [f"network: {other} beside the paper's figures"] if other else []
    return Experiment(
        name=place.lower().replace(" ", ""),
        place=place,
        title=f"{varied.capitalize()}s compared at x4 (the paper's {place}).",
        lines=rows,
        notes=[*notes, TIMES],
    )
