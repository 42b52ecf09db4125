"""The methods to compare with: sizes and structure as their papers have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import draw
from PIL import Image
from torch import nn

from idrn_trt.errors import ModelError, OptionError
from idrn_trt.toolchain.baselines import (
    SRCNN,
    VDSR,
    BaselineConfig,
    Bicubic,
    SRResNet,
)
from idrn_trt.toolchain.checkpoint import Checkpoint
from idrn_trt.toolchain.net import NetConfig
from idrn_trt.toolchain.networks import build, config_from, parse_network


def network(name: str) -> nn.Module:
    """A network in evaluation mode with seeded weights."""
    torch.manual_seed(0)
    return build(parse_network(name)).eval()


def parameters(net: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in net.parameters())


def test_srcnn_has_its_papers_size() -> None:
    """9-1-5 with 64 and 32 maps is 8,032 weights (Dong et al., Table 1's setting) and 97 biases."""
    assert parameters(network("srcnn-x4")) == 8_032 + 97


def test_vdsr_has_its_papers_size() -> None:
    """20 layers of 64 maps on luma are 664,704 weights, often quoted as 665 k, and 1,217 biases."""
    assert parameters(network("vdsr-x4")) == 664_704 + 19 * 64 + 1


@pytest.mark.parametrize(("scale", "stages"), [(2, [4]), (3, [9]), (4, [4, 4])])
def test_srresnet_has_its_papers_size(scale: int, stages: list[int]) -> None:
    """16 blocks of 64 maps with normalisation and PReLU: counted layer by layer, 1.55 M at x4."""
    conv, norm, slopes = 64 * 64 * 9 + 64, 128, 64
    ends = 3 * 64 * 81 + 64 + slopes + 64 * 3 * 81 + 3
    body = 16 * (2 * conv + 2 * norm + slopes) + conv + norm
    upscaling = sum(64 * 64 * r * 9 + 64 * r + slopes for r in stages)
    count = parameters(network(f"srresnet-x{scale}"))
    assert count == ends + body + upscaling
    if scale == 4:
        assert count == 1_550_659


@pytest.mark.parametrize("method", ["srcnn", "vdsr", "srresnet"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_method_takes_what_idrn_takes(method: str, scale: int) -> None:
    """(N, 3, h, w) of any size becomes (N, 3, s*h, s*w), and gradients reach every parameter."""
    net = network(f"{method}-x{scale}")
    sr = net(torch.rand(2, 3, 10, 13))
    assert sr.shape == (2, 3, 10 * scale, 13 * scale)
    sr.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_pillows(scale: int) -> None:
    """Two pixels and more from the edge the enlargement is Pillow's, to rounding; flat stays flat."""
    picture = draw(3, 20, 24)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    got = Bicubic(scale)(x)[0].permute(1, 2, 0).numpy()
    size = (24 * scale, 20 * scale)
    expected = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    inside = slice(2 * scale, -2 * scale)
    # Pillow rounds to whole levels after each of its two passes.
    assert np.abs(got.clip(0, 255) - expected)[inside, inside].max() <= 1.25
    assert torch.allclose(Bicubic(scale)(torch.full((1, 1, 5, 6), 0.3)), torch.tensor(0.3))


@pytest.mark.parametrize("method", ["srcnn", "vdsr"])
def test_only_luma_is_changed(method: str) -> None:
    """What SRCNN and VDSR add to the enlargement is the same in R, G and B."""
    net = network(f"{method}-x2")
    assert isinstance(net, SRCNN | VDSR)
    lr = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        change = net(lr) - net.enlarge(lr)
    assert torch.allclose(change[:, 0], change[:, 1], atol=1e-6)
    assert torch.allclose(change[:, 0], change[:, 2], atol=1e-6)
    assert change.abs().max() > 1e-4


def test_srcnn_gives_luma_itself() -> None:
    """With weights of zero SRCNN's luma is its last bias, not the enlargement: it is no residual."""
    net = network("srcnn-x2")
    assert isinstance(net, SRCNN)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.reconstruction.get_parameter("bias").fill_(0.25)
        sr = net(torch.rand(1, 3, 8, 8))
    assert torch.allclose((sr * net.weights).sum(1), torch.tensor(0.25), atol=1e-6)


def test_vdsr_starts_near_the_enlargement() -> None:
    """An untrained VDSR changes the enlargement little; with a last layer of zero, not at all."""
    net = network("vdsr-x2")
    assert isinstance(net, VDSR)
    lr = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        assert (net(lr) - net.enlarge(lr)).abs().mean() < 0.2
        for parameter in net.layers[-1].parameters():
            parameter.zero_()
        assert torch.equal(net(lr), net.enlarge(lr))


def test_srresnet_has_normalisation_and_prelu() -> None:
    """33 normalisations, one in front of the global sum; a PReLU at the head, a block and a stage."""
    kinds = [type(module) for module in network("srresnet-x4").modules()]
    assert kinds.count(nn.BatchNorm2d) == 2 * 16 + 1
    assert kinds.count(nn.PReLU) == 1 + 16 + 2
    assert SRResNet in kinds


def test_a_checkpoint_of_a_baseline_is_evaluated_but_not_exported() -> None:
    """Its module comes back with its weights; as a model file's network it is refused."""
    net = network("vdsr-x3")
    config = parse_network("vdsr-x3")
    state = Checkpoint(config, dict(net.state_dict()), {}, {}, {})
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(state.module()(lr), net(lr))
    with pytest.raises(ModelError, match="'vdsr', a method to compare with"):
        state.network()


@pytest.mark.parametrize(
    "name", ["srcnn-x2", "srresnet-x4", "d2-w8-x3", "d2-w8-x3-bn", "d1-w4-x4-fast"]
)
def test_configurations_survive_json(name: str) -> None:
    """What to_dict gives, config_from takes, for every kind of network."""
    config = parse_network(name)
    assert config_from(config.to_dict()) == config


def test_batch_normalisation_has_a_name() -> None:
    """-bn is the paper's traditional unit, for Fig. 6."""
    assert parse_network("d8-w64-x4-bn") == NetConfig.parse("d8-w64-x4", unit="traditional")


@pytest.mark.parametrize("name", ["srcnn", "srcnn-x5", "vdsr-4", "edsr-x4", ""])
def test_other_names_are_refused(name: str) -> None:
    """An unknown method or scale is an OptionError."""
    with pytest.raises(OptionError, match=r"scale must be|or one of srcnn-xSCALE"):
        parse_network(name)


@pytest.mark.parametrize(
    "fields", [{"method": "edsr", "scale": 2}, {"method": "srcnn", "scale": True}]
)
def test_untrusted_fields_are_checked(fields: dict[str, object]) -> None:
    """Values from a file are checked for content and type."""
    with pytest.raises(OptionError):
        BaselineConfig(**fields)  # type: ignore[arg-type]
