"""The paper's times, and what its card's arithmetic says of them. Standard library only.

Fan et al. 2019, Tables 1 and 2: x4 from 32 x 32 on a GeForce GTX 1060 6 GB, TensorFlow. Neither the batch
nor what was timed is stated there. docs/paper.md reads them in full.
"""

from __future__ import annotations

from dataclasses import dataclass

from idrn_trt.bench.arithmetic import macs

CARD = "GeForce GTX 1060 6 GB"
# 1280 lanes, one fused multiply-add (2 operations) a cycle each, 1.708 GHz boost clock.
PEAK_TFLOPS = 1280 * 2 * 1.708e9 / 1e12
LR_PX = 32

# The one network that both tables time, and the one the headline ratio is about.
HEADLINE = "d8-w64-x4"
_TABLES = (
    (
        ("Table 1, depth 8", "d8-w64-x4", 4.4),
        ("Table 1, depth 12", "d12-w64-x4", 4.8),
        ("Table 1, depth 16", "d16-w64-x4", 5.0),
        ("Table 1, depth 20", "d20-w64-x4", 5.7),
    ),
    (
        ("Table 2, width 64", "d8-w64-x4", 4.35),
        ("Table 2, width 128", "d8-w128-x4", 6.29),
        ("Table 2, width 192", "d8-w192-x4", 7.96),
    ),
)


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One time of the paper.

    place: where in the paper. tflops, share: what `ms` means for one picture at 2 operations a MAC, and
    its part of the card's peak. doubt: why the card's arithmetic does not allow the time; "" where it
    does.
    """

    place: str
    network: str
    ms: float
    gmac: float
    tflops: float
    share: float
    doubt: str


def paper_rows() -> list[PaperRow]:
    """Every time of the paper, in its order."""
    return [row for table in _TABLES for row in _rows(table)]


def paper_ms(network: str) -> float | None:
    """The paper's time for a network such as d8-w64-x4 (Table 2's where both tables have one)."""
    return {name: ms for table in _TABLES for _, name, ms in table}.get(network)


def parse_network(name: str) -> dict[str, int]:
    """depth, width and scale of a name of these tables."""
    depth, width, scale = (int(part[1:]) for part in name.split("-"))
    return {"depth": depth, "width": width, "scale": scale}


def _rows(table: tuple[tuple[str, str, float], ...]) -> list[PaperRow]:
    rows: list[PaperRow] = []
    for place, network, ms in table:
        gmac = (macs(parse_network(network), LR_PX, LR_PX) or 0) / 1e9
        tflops = 2 * gmac / ms
        doubt = _doubt(gmac, ms, rows[-1] if rows else None)
        rows.append(PaperRow(place, network, ms, gmac, tflops, tflops / PEAK_TFLOPS, doubt))
    return rows


def _doubt(gmac: float, ms: float, before: PaperRow | None) -> str:
    """A time is doubted when it, or its step from the table's row before, needs more than the peak."""
    if 2 * gmac / ms > PEAK_TFLOPS:
        return f"needs {2 * gmac / ms / PEAK_TFLOPS:.1f} times the card's peak"
    if before is None:
        return ""
    step = 2 * (gmac - before.gmac) / (ms - before.ms) / PEAK_TFLOPS
    if step <= 1:
        return ""
    return f"the step from {before.network} needs {step:.3g} times the card's peak"
