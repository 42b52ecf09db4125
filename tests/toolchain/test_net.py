"""The network is the paper's: shapes, switches, Eq. (1), the dense unit, and what it costs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from idrn_trt.errors import OptionError
from idrn_trt.toolchain.net import IDRN, DenseUnit, NetConfig, TraditionalUnit, cost


def network(name: str, **changes: str) -> IDRN:
    """A network in evaluation mode whose biases matter too."""
    torch.manual_seed(0)
    net = IDRN(NetConfig.parse(name, **changes)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net


@pytest.mark.parametrize("reconstruction", ["staged", "direct"])
@pytest.mark.parametrize("fusion", ["every-unit", "global"])
@pytest.mark.parametrize("unit", ["dense", "traditional"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_is_scale_times_input(
    scale: int, unit: str, fusion: str, reconstruction: str
) -> None:
    """Every member of the family returns s times the height and width, non-square ones too."""
    config = NetConfig.parse(
        f"d2-w4-x{scale}", unit=unit, fusion=fusion, reconstruction=reconstruction
    )
    net = IDRN(config).eval()
    with torch.no_grad():
        sr = net(torch.rand(2, 3, 7, 10))
    assert sr.shape == (2, 3, 7 * scale, 10 * scale)
    assert torch.isfinite(sr).all()


def test_dense_unit_is_the_formula() -> None:
    """The dense unit is relu(x + conv2(concat(x, relu(conv1(x))))), recomputed from its weights."""
    torch.manual_seed(1)
    unit = DenseUnit(5).eval()
    x = torch.randn(2, 5, 9, 6)
    w1, b1, w2, b2 = unit.conv1.weight, unit.conv1.bias, unit.conv2.weight, unit.conv2.bias
    assert w2.shape == (5, 10, 3, 3)
    hidden = functional.conv2d(x, w1, b1, padding=1).clamp(min=0)
    # A convolution of a concatenation is the sum of two convolutions, the first of x's channels.
    dense = functional.conv2d(x, w2[:, :5], b2, padding=1)
    dense = dense + functional.conv2d(hidden, w2[:, 5:], padding=1)
    torch.testing.assert_close(unit(x), (x + dense).clamp(min=0))


def test_traditional_unit_is_the_formula() -> None:
    """The traditional unit is x + bn2(conv2(relu(bn1(conv1(x))))), without a ReLU at its end."""
    torch.manual_seed(1)
    unit = TraditionalUnit(4)
    unit(torch.randn(8, 4, 6, 6))  # moves the running statistics away from 0 and 1
    unit.eval()
    x = torch.randn(2, 4, 6, 6)

    def normalised(y: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var = norm.running_mean[:, None, None], norm.running_var[:, None, None]
        y = (y - mean) / torch.sqrt(var + norm.eps)
        return y * norm.weight[:, None, None] + norm.bias[:, None, None]

    hidden = normalised(
        functional.conv2d(x, unit.conv1.weight, unit.conv1.bias, padding=1), unit.norm1
    )
    hidden = functional.conv2d(hidden.relu(), unit.conv2.weight, unit.conv2.bias, padding=1)
    expected = x + normalised(hidden, unit.norm2)
    torch.testing.assert_close(unit(x), expected)
    assert (expected < 0).any()


def features(net: IDRN, lr: Tensor) -> list[Tensor]:
    """X_0 to X_N: the head's output after its ReLU and every unit's output, caught by hooks."""
    caught: list[Tensor] = []
    handles = [
        net.head.register_forward_hook(lambda _m, _i, out: caught.append(out.relu())),
        *(u.register_forward_hook(lambda _m, _i, out: caught.append(out)) for u in net.units),
    ]
    with torch.no_grad():
        net(lr)
    for handle in handles:
        handle.remove()
    return caught


@pytest.mark.parametrize(("fusion", "terms"), [("every-unit", range(4)), ("global", (0, 3))])
@pytest.mark.parametrize("name", ["d3-w6-x2", "d3-w6-x3", "d3-w6-x4", "d3-w6-x3-fast"])
def test_reconstruction_gets_the_sum_of_equation_1(
    name: str, fusion: str, terms: tuple[int, ...] | range
) -> None:
    """What is reconstructed is X_0 + X_1 + ... + X_N, or X_0 + X_N for the global-only network."""
    net = network(name, fusion=fusion)
    lr = torch.rand(2, 3, 8, 5)
    maps = features(net, lr)
    assert len(maps) == 4
    x_out = sum((maps[k] for k in terms), start=torch.zeros_like(maps[0]))
    with torch.no_grad():
        torch.testing.assert_close(net(lr), reconstruct(net, x_out))


def reconstruct(net: IDRN, x: Tensor) -> Tensor:
    """The reconstruction module by hand: conv, shuffle, ReLU a stage, then the conv to RGB."""
    direct = net.config.reconstruction == "direct"
    factors = {2: [2], 3: [3], 4: [2, 2]}[net.config.scale] if not direct else []
    parameters = dict(net.named_parameters())
    for k, r in enumerate(factors):
        weight, bias = parameters[f"stages.{k}.conv.weight"], parameters[f"stages.{k}.conv.bias"]
        x = shuffle(functional.conv2d(x, weight, bias, padding=1), r).relu()
    x = functional.conv2d(x, net.tail.weight, net.tail.bias, padding=1)
    return shuffle(x, net.config.scale) if direct else x


def shuffle(x: Tensor, r: int) -> Tensor:
    """The sub-pixel shuffle by its definition: channel c r^2 + a r + b is sub-pixel (a, b) of c."""
    n, channels, h, w = x.shape
    out = x.new_empty(n, channels // r**2, h * r, w * r)
    for a in range(r):
        for b in range(r):
            out[:, :, a::r, b::r] = x[:, a * r + b :: r * r]
    return out


def test_units_are_chained() -> None:
    """Unit l gets unit l-1's output, not the running sum."""
    net = network("d3-w6-x2")
    maps = features(net, torch.rand(1, 3, 8, 8))
    with torch.no_grad():
        for before, after, unit in zip(maps, maps[1:], net.units, strict=False):
            torch.testing.assert_close(unit(before), after)


def test_features_are_never_negative() -> None:
    """X_0 to X_N of the dense network end in a ReLU, which unsigned quantisation relies on."""
    for x in features(network("d3-w6-x2"), torch.rand(1, 3, 8, 8)):
        assert x.min() == 0


def test_only_the_traditional_network_has_batch_normalisation() -> None:
    """The paper's network has no normalisation layer; the ablation has two a unit."""

    def norms(net: IDRN) -> int:
        return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())

    assert norms(network("d3-w6-x4")) == 0
    assert norms(network("d3-w6-x4", unit="traditional")) == 6


@pytest.mark.parametrize(("depth", "width"), [(8, 64), (16, 128), (3, 5)])
def test_cost_is_the_sum_over_layers(depth: int, width: int) -> None:
    """Parameters and MACs of a x4 network equal the count done by hand, layer by layer."""
    c, px = width, 20 * 24
    convolutions = [  # inputs, outputs, pixels
        (3, c, px),
        *[(c, c, px), (2 * c, c, px)] * depth,
        (c, 4 * c, px),
        (c, 4 * c, 4 * px),
        (c, 3, 16 * px),
    ]
    found = cost(NetConfig(depth=depth, width=width, scale=4), 20, 24)
    assert found.parameters == sum(9 * i * o + o for i, o, _ in convolutions)
    assert found.macs == sum(9 * i * o * pixels for i, o, pixels in convolutions)


def test_cost_counts_the_network_that_is_trained() -> None:
    """The parameter count is the one of a real network, batch normalisation included."""
    for changes in ({}, {"unit": "traditional"}, {"reconstruction": "direct"}):
        net = network("d2-w6-x3", **changes)
        real = sum(parameter.numel() for parameter in net.parameters())
        assert cost(net.config).parameters == real


def test_direct_reconstruction_stays_at_low_resolution() -> None:
    """With direct reconstruction MACs are LR pixels times weights: nothing runs enlarged."""
    config = NetConfig.parse("d2-w6-x4-fast")
    weights = sum(p.numel() for name, p in IDRN(config).named_parameters() if "weight" in name)
    assert cost(config, 10, 11).macs == weights * 110


def test_initialisation_follows_the_seed() -> None:
    """The same seed gives the same first weights, another seed others."""

    def first(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return IDRN(NetConfig.parse("d1-w4-x2")).head.weight.detach().clone()

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_a_fresh_deep_network_answers_with_pictures() -> None:
    """Depth 20 starts within twice the range of a picture, so the first steps are no blow-up."""
    torch.manual_seed(0)
    net = IDRN(NetConfig.parse("d20-w16-x4")).eval()
    with torch.no_grad():
        sr = net(torch.rand(1, 3, 16, 16))
    assert sr.abs().max() < 2


def test_networks_can_be_copied() -> None:
    """A deep copy computes the same and shares nothing."""
    net = network("d2-w4-x2")
    twin = copy.deepcopy(net)
    lr = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        expected = net(lr)
        net.tail.weight.zero_()
        assert torch.equal(twin(lr), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d8-w64-x4", NetConfig(depth=8, width=64, scale=4)),
        ("idrn-d16-w128-x2", NetConfig(depth=16, width=128, scale=2)),
        ("d8-w64-x3-fast", NetConfig(depth=8, width=64, scale=3, reconstruction="direct")),
        ("idrn-d8-w64-x4-real", NetConfig(depth=8, width=64, scale=4)),
        (
            "idrn-d8-w64-x4-real-fast",
            NetConfig(depth=8, width=64, scale=4, reconstruction="direct"),
        ),
    ],
)
def test_names_are_parsed(text: str, expected: NetConfig) -> None:
    """A network's short name stands for its configuration."""
    assert NetConfig.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "d8", "d8-w64", "d8-w64-x5", "d0-w64-x4", "d8-w0-x4", "d-8-w64-x4", "d8-w64-x4 ",
     "d8-w64-x4-slow", "d8-w64-x4-fast-real", "D8-W64-X4"],
)  # fmt: skip
def test_bad_names_are_refused(text: str) -> None:
    """A name outside the family is an OptionError that shows the value."""
    with pytest.raises(OptionError, match="network"):
        NetConfig.parse(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("depth", 0), ("depth", 2.5), ("depth", "8"), ("width", -1), ("width", True), ("scale", 5),
     ("scale", 2.0), ("unit", "sparse"), ("fusion", ""), ("reconstruction", "bilinear")],
)  # fmt: skip
def test_bad_fields_are_refused(field: str, value: object) -> None:
    """A value outside the documented ones is an OptionError that names field and value."""
    with pytest.raises(OptionError, match=field) as caught:
        NetConfig(**{**NetConfig.parse("d8-w64-x4").to_dict(), field: value})
    assert repr(value) in str(caught.value)


def test_fields_survive_json() -> None:
    """`to_dict` gives what the constructor takes."""
    config = NetConfig.parse("d3-w5-x3-fast", unit="traditional", fusion="global")
    assert NetConfig(**config.to_dict()) == config
