"""The paper's times and the arithmetic that judges them."""

from __future__ import annotations

import itertools

import pytest

from idrn_trt.bench.arithmetic import macs, network_name
from idrn_trt.bench.paper import paper_ms, paper_rows, parse_network
from idrn_trt.toolchain.net import NetConfig, cost


@pytest.mark.parametrize(
    ("scale", "unit", "reconstruction"),
    list(itertools.product((2, 3, 4), ("dense", "traditional"), ("staged", "direct"))),
)
def test_counted_without_torch_as_with_it(scale: int, unit: str, reconstruction: str) -> None:
    """The formula gives what hooks on the torch network count, on a window that is not square."""
    config = NetConfig(depth=3, width=8, scale=scale, unit=unit, reconstruction=reconstruction)  # type: ignore[arg-type]
    assert macs(config.to_dict(), 32, 48) == cost(config, 32, 48).macs


@pytest.mark.parametrize(
    "network", [{}, {"depth": "8", "width": 64, "scale": 4}, {"depth": 8, "width": 64, "scale": 5}]
)
def test_an_unknown_network_has_no_count_and_no_name(network: dict[str, object]) -> None:
    """What a manifest says is not trusted: no number is made up from a description that is wrong."""
    assert macs(network, 32, 32) is None
    assert network_name(network) == ""


def test_only_the_papers_own_kind_has_its_name() -> None:
    """Another reconstruction is another network, and the paper has no time for it."""
    plain = parse_network("d8-w64-x4")
    assert network_name(plain) == "d8-w64-x4"
    assert paper_ms(network_name(plain)) == 4.35
    assert network_name({**plain, "reconstruction": "direct"}) == ""
    assert paper_ms("") is None


def test_the_times_that_the_cards_arithmetic_does_not_allow_are_doubted() -> None:
    """As docs/paper.md reckons: the steps to depth 16 and to widths 128 and 192, and no other."""
    doubts = {row.place: row.doubt for row in paper_rows() if row.doubt}
    assert list(doubts) == ["Table 1, depth 16", "Table 2, width 128", "Table 2, width 192"]
    assert doubts["Table 2, width 192"] == (
        "the step from d8-w128-x4 needs 2.28 times the card's peak"
    )
