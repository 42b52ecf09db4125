"""IDRN, the improved deep residual network of Fan et al. 2019, in PyTorch.

Letters used in shapes: N batch, C channels (the network's width), h and w low-resolution height
and width, s scale. Everything is float RGB in [0, 1], NCHW. docs/paper.md says, sentence by
sentence, how the paper was read.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from idrn_trt.errors import OptionError

Unit = Literal["dense", "traditional"]
Fusion = Literal["every-unit", "global"]
Reconstruction = Literal["staged", "direct"]

SCALES = (2, 3, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetConfig:
    """Which member of the family: everything that decides the shape of the weights.

    depth: number of residual units, >= 1 (paper: "network depth", Table 1).
    width: convolution kernels per layer, >= 1 (paper: "network width", Table 2).
    scale: 2, 3 or 4.
    unit: "dense" is the paper's (Fig. 3b); "traditional" has batch normalisation (Fig. 3a).
    fusion: "every-unit" is Eq. (1) (Fig. 4b); "global" adds only the last unit's output (Fig. 4a).
    reconstruction: "staged" sub-pixel stages as in SRResNet, or "direct": one convolution to 3 s^2
    channels and one shuffle, so that every convolution runs at low resolution.

    Raises OptionError for a value outside these.
    """

    depth: int
    width: int
    scale: int
    unit: Unit = "dense"
    fusion: Fusion = "every-unit"
    reconstruction: Reconstruction = "staged"

    def __post_init__(self) -> None:
        # Values may come from a file, so their types are not to be trusted either.
        if not all(type(n) is int and n >= 1 for n in (self.depth, self.width)):
            raise OptionError(
                "network depth and width must be whole numbers of at least 1, "
                f"got {self.depth!r} and {self.width!r}"
            )
        if type(self.scale) is not int or self.scale not in SCALES:
            raise OptionError(f"network scale must be one of {SCALES}, got {self.scale!r}")
        for field, kind in (("unit", Unit), ("fusion", Fusion), ("reconstruction", Reconstruction)):
            value = getattr(self, field)
            if value not in get_args(kind):
                raise OptionError(
                    f"network {field} must be one of {', '.join(get_args(kind))}, got {value!r}"
                )

    @classmethod
    def parse(cls, text: str, **changes: Any) -> NetConfig:
        """The configuration that a short name such as "d8-w64-x4" stands for.

        A leading "idrn-" is allowed; "-fast" at the end means direct reconstruction, "-real" names
        weights, not a shape. Keyword arguments replace fields. Raises OptionError for other text.
        """
        match = re.fullmatch(r"(?:idrn-)?d(\d+)-w(\d+)-x(\d+)(-real)?(-fast)?", text)
        if match is None:
            raise OptionError(
                f"network name {text!r} not understood: expected dDEPTH-wWIDTH-xSCALE, "
                "such as d8-w64-x4, optionally followed by -fast"
            )
        depth, width, scale = (int(match[k]) for k in (1, 2, 3))
        fields: dict[str, Any] = {"reconstruction": "direct" if match[5] else "staged", **changes}
        return cls(depth=depth, width=width, scale=scale, **fields)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, for manifests and checkpoints."""
        return dataclasses.asdict(self)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution with bias that keeps h and w (zero padding of one pixel)."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class DenseUnit(nn.Module):
    """The improved residual unit (paper 2.2, Fig. 3b): (N, C, h, w) >= 0 -> (N, C, h, w) >= 0.

    Two 3x3 convolutions without batch normalisation. The input is concatenated to the first
    convolution's output and both are given to the second one (dense connection); the residual sum
    ends in a ReLU.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.conv1(x))
        return torch.relu(x + self.conv2(torch.cat((x, hidden), dim=1)))


class TraditionalUnit(nn.Module):
    """SRResNet's residual unit with batch normalisation (paper Fig. 3a), for the ablation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.conv1(x)))
        residual: Tensor = self.norm2(self.conv2(hidden))
        return x + residual


class SubPixelStage(nn.Module):
    """One sub-pixel convolution: (N, C, h, w) -> (N, C, r*h, r*w), then ReLU (Shi et al. 2016)."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.conv = conv3x3(width, width * factor**2)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(nn.functional.pixel_shuffle(self.conv(x), self.factor))


class IDRN(nn.Module):
    """lr (N, 3, h, w) float RGB in [0, 1] -> sr (N, 3, s*h, s*w), not clipped."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.head = conv3x3(3, width)
        unit = DenseUnit if config.unit == "dense" else TraditionalUnit
        self.units = nn.ModuleList(unit(width) for _ in range(config.depth))
        self.stages = nn.ModuleList()
        if config.reconstruction == "staged":
            factors = {2: (2,), 3: (3,), 4: (2, 2)}[config.scale]
            self.stages.extend(SubPixelStage(width, factor) for factor in factors)
            self.tail = conv3x3(width, 3)
        else:
            self.tail = conv3x3(width, 3 * config.scale**2)
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation (He et al. 2015); a unit's second convolution starts at a tenth of it.

        Every unit then starts near the identity, so that the sum of Eq. (1) is of the size of its
        terms and the first learning rate can be high.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for unit in self.units:
                if isinstance(unit, DenseUnit):
                    unit.conv2.weight *= 0.1
            # What reaches the tail grew with the depth + 1 maps of the sum; a picture is in [0, 1].
            self.tail.weight *= 0.1 / (self.config.depth + 1)
            assert self.tail.bias is not None
            self.tail.bias.fill_(0.5)

    def forward(self, lr: Tensor) -> Tensor:
        x = torch.relu(self.head(lr))
        total = x  # X_0, the shallow features
        for unit in self.units:
            x = unit(x)
            if self.config.fusion == "every-unit":
                total = total + x  # Eq. (1): X_out = X_0 + X_1 + ... + X_N
        if self.config.fusion == "global":
            total = total + x
        for stage in self.stages:
            total = stage(total)
        if self.config.reconstruction == "direct":
            return nn.functional.pixel_shuffle(self.tail(total), self.config.scale)
        sr: Tensor = self.tail(total)
        return sr


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network costs: parameters, and multiply-accumulates for one window."""

    parameters: int
    macs: int


def cost(config: NetConfig, height_px: int = 32, width_px: int = 32) -> Cost:
    """Parameters (weights and biases) and MACs of the convolutions for one h x w window.

    Counted on the network as it is written here, before the sub-pixel fold; a bias or an addition
    counts no MAC.
    """
    macs = 0

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d)
        macs += module.weight.numel() * output.shape[-2] * output.shape[-1]

    with torch.device("meta"):
        net = IDRN(config)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        net(torch.empty(1, 3, height_px, width_px))
    return Cost(parameters=sum(p.numel() for p in net.parameters()), macs=macs)
