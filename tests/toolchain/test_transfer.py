"""Weights of one network as the start of another: what is common is taken over."""

from __future__ import annotations

import pytest
import torch
from nets import network

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.net import IDRN, NetConfig, SubPixelStage
from idrn_trt.toolchain.networks import build, parse_network
from idrn_trt.toolchain.transfer import transferred


def first_stage(net: IDRN) -> SubPixelStage:
    """The first sub-pixel convolution."""
    stage = net.stages[0]
    assert isinstance(stage, SubPixelStage)
    return stage


def started(target: str, source: IDRN) -> IDRN:
    """A network of the name `target`, started from `source`."""
    torch.manual_seed(1)
    net = IDRN(NetConfig.parse(target))
    net.load_state_dict(transferred(source.config, dict(source.state_dict()), net))
    return net.eval()


def last_map(net: IDRN, lr: torch.Tensor) -> torch.Tensor:
    """What the last residual unit puts out."""
    x = torch.relu(net.head(lr))
    for unit in net.units:
        x = unit(x)
    return x


def test_the_same_network_is_taken_as_it_is() -> None:
    """Weights of the very network come back untouched."""
    net = network("d2-w8-x4")
    weights = dict(net.state_dict())
    assert transferred(net.config, weights, IDRN(net.config)) is weights


@torch.no_grad()
@pytest.mark.parametrize("target", ["d4-w8-x4", "d5-w8-x4", "d3-w8-x2", "d3-w8-x3-fast"])
def test_units_in_between_start_as_the_identity(target: str) -> None:
    """A deeper network's last unit puts out what the shallower one's does, to the bit."""
    source = network("d3-w8-x4") if target != "d5-w8-x4" else network("d2-w8-x4")
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(last_map(started(target, source), lr), last_map(source, lr))


@torch.no_grad()
def test_a_network_twice_as_deep_sums_half_of_each_map() -> None:
    """Eq. (1)'s sum is what it was, but for the shallow features, which count half."""
    source = network("d2-w8-x4")
    deeper = started("d4-w8-x4", source)
    assert torch.equal(first_stage(deeper).conv.weight * 2, first_stage(source).conv.weight)
    lr = torch.rand(1, 3, 9, 7)
    shallow = torch.relu(source.head(lr))
    maps = [shallow]
    for unit in source.units:
        maps.append(unit(maps[-1]))
    expected = first_stage(source)(shallow / 2 + sum(maps[1:]))
    x, total = shallow, shallow
    for unit in deeper.units:
        x = unit(x)
        total = total + x
    torch.testing.assert_close(first_stage(deeper)(total), expected)


def test_layers_of_another_shape_keep_their_own_start() -> None:
    """Towards direct reconstruction the last convolution stays as it was drawn."""
    torch.manual_seed(1)
    drawn = IDRN(NetConfig.parse("d2-w8-x4-fast")).tail.weight
    net = started("d2-w8-x4-fast", network("d2-w8-x4"))
    assert torch.equal(net.tail.weight, drawn)


def test_a_scale_of_two_takes_the_first_sub_pixel_stage() -> None:
    """Stage and last convolution of x4 have the shapes of x2's and are taken over."""
    source = network("d2-w8-x4")
    net = started("d2-w8-x2", source)
    assert torch.equal(first_stage(net).conv.weight, first_stage(source).conv.weight)
    assert torch.equal(net.tail.weight, source.tail.weight)


@pytest.mark.parametrize(
    "target", ["d2-w16-x4", "d1-w8-x4", "d2-w8-x4-bn"], ids=["width", "fewer units", "unit"]
)
def test_what_has_nothing_in_common_is_refused(target: str) -> None:
    """Another width or unit, or fewer units, is an error that names both networks."""
    source, net = network("d2-w8-x4"), build(parse_network(target))
    assert isinstance(net, IDRN)
    with pytest.raises(ModelError, match="cannot start"):
        transferred(source.config, dict(source.state_dict()), net)
    baseline = parse_network("srcnn-x4")
    with pytest.raises(ModelError, match="cannot start"):
        transferred(baseline, {}, net)
