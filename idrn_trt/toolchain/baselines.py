"""The networks that the paper compares with: SRCNN, VDSR and SRResNet (Table 3, Fig. 8).

Each takes what IDRN takes: lr (N, 3, h, w) float RGB in [0, 1] -> sr (N, 3, s*h, s*w), not clipped, so
that one trainer and one evaluation serve all. SRCNN and VDSR work on the luma of a bicubic enlargement,
as their papers do; colour difference is the enlargement's. What their papers leave open, or have
otherwise for the trainers of their time, is said at each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from idrn_trt.errors import OptionError
from idrn_trt.toolchain.net import SCALES

Method = Literal["srcnn", "vdsr", "srresnet"]
METHODS: tuple[Method, ...] = get_args(Method)

VDSR_LAYERS = 20
SRRESNET_BLOCKS = 16
_WIDTH = 64
# BT.601 luma of RGB in [0, 1] in full range: what is added to it is added to R, G and B alike.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineConfig:
    """Which of the methods, at scale 2, 3 or 4. Raises OptionError for values outside these."""

    method: Method
    scale: int

    def __post_init__(self) -> None:
        # Values may come from a file.
        if self.method not in METHODS:
            raise OptionError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if type(self.scale) is not int or self.scale not in SCALES:
            raise OptionError(f"network scale must be one of {SCALES}, got {self.scale!r}")

    @classmethod
    def parse(cls, text: str) -> BaselineConfig | None:
        """The configuration that a name such as "srcnn-x4" stands for; None for another name."""
        match = re.fullmatch(rf"({'|'.join(METHODS)})-x(\d+)", text)
        return None if match is None else cls(method=match[1], scale=int(match[2]))  # type: ignore[arg-type]  # the pattern has only methods

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, for checkpoints."""
        return {"method": self.method, "scale": self.scale}


class Bicubic(nn.Module):
    """(N, C, h, w) -> (N, C, s*h, s*w) by Keys' cubic convolution with a = -0.5, as Pillow has it.

    Edges are repeated, where Pillow leaves out what lies outside: they differ in the outermost two
    low-resolution pixels. Nothing in it is trained.
    """

    taps: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        phases = torch.arange(scale, dtype=torch.float64)
        centres = (phases + 0.5) / scale - 0.5
        rows = _keys(centres[:, None] - torch.arange(-2, 3))
        taps = torch.einsum("ai,bj->abij", rows, rows).reshape(scale**2, 1, 5, 5)
        self.register_buffer("taps", taps.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        planes = x.reshape(count * channels, 1, height, width)
        padded = nn.functional.pad(planes, (2, 2, 2, 2), mode="replicate")
        phases = nn.functional.conv2d(padded, self.taps.to(x.dtype))
        enlarged: Tensor = nn.functional.pixel_shuffle(phases, self.scale)
        shape = (count, channels, self.scale * height, self.scale * width)
        sr: Tensor = enlarged.reshape(shape)
        return sr


def _keys(x: Tensor, a: float = -0.5) -> Tensor:
    """Keys 1981, equation (15) in its general form with parameter a."""
    x = x.abs()
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


class _OnLuma(nn.Module):
    """A network on luma alone: its change of the enlargement's Y goes to R, G and B alike."""

    weights: Tensor

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.enlarge = Bicubic(config.scale)
        self.register_buffer("weights", torch.tensor(_LUMA).view(1, 3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        rgb: Tensor = self.enlarge(lr)
        y = (rgb * self.weights).sum(1, keepdim=True)
        return rgb + self.change(y)

    def change(self, y: Tensor) -> Tensor:
        """What is to be added to luma (N, 1, H, W)."""
        raise NotImplementedError


class SRCNN(_OnLuma):
    """Dong, Loy, He and Tang 2014 (arXiv 1501.00092): 9-1-5 kernels, 64 and 32 maps, 8,129 parameters.

    Zero padding keeps the size, where the paper lets it shrink. He initialisation, because from the
    paper's standard deviation of 0.001 it takes hundreds of millions of updates.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        self.patches = nn.Conv2d(1, 64, 9, padding=4)
        self.mapping = nn.Conv2d(64, 32, 1)
        self.reconstruction = nn.Conv2d(32, 1, 5, padding=2)
        _initialise(self)

    def change(self, y: Tensor) -> Tensor:
        hidden = torch.relu(self.mapping(torch.relu(self.patches(y))))
        # SRCNN gives the luma itself, not a residual.
        sr: Tensor = self.reconstruction(hidden) - y
        return sr


class VDSR(_OnLuma):
    """Kim, Lee and Lee 2016 (arXiv 1511.04587): 20 convolutions 3x3 of 64 maps, a global residual.

    One network a scale here, where the paper trains one for all three. The last convolution starts at
    a tenth of He initialisation, so that training starts near the enlargement.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        widths = [1, *[_WIDTH] * (VDSR_LAYERS - 1), 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(widths[k], widths[k + 1], 3, padding=1) for k in range(VDSR_LAYERS)
        )
        _initialise(self)
        with torch.no_grad():
            self.layers[-1].get_parameter("weight").mul_(0.1)

    def change(self, y: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            y = torch.relu(layer(y))
        residual: Tensor = self.layers[-1](y)
        return residual


class _Block(nn.Module):
    """SRResNet's residual block: convolution, normalisation, PReLU, convolution, normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH)
        self.act = nn.PReLU(_WIDTH)
        self.conv2, self.norm2 = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return x + residual


class SRResNet(nn.Module):
    """Ledig et al. 2017 (arXiv 1609.04802), trained for mean square error: 16 blocks of 64 maps.

    9x9 convolutions at both ends, sub-pixel stages with PReLU (one slope a map). x3 is one stage of 3,
    which the paper does not have. Works in RGB.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.head, self.act = nn.Conv2d(3, _WIDTH, 9, padding=4), nn.PReLU(_WIDTH)
        self.blocks = nn.Sequential(*(_Block() for _ in range(SRRESNET_BLOCKS)))
        self.conv, self.norm = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH)
        self.stages = nn.Sequential()
        for factor in {2: (2,), 3: (3,), 4: (2, 2)}[config.scale]:
            self.stages.append(nn.Conv2d(_WIDTH, _WIDTH * factor**2, 3, padding=1))
            self.stages.append(nn.PixelShuffle(factor))
            self.stages.append(nn.PReLU(_WIDTH))
        self.tail = nn.Conv2d(_WIDTH, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.act(self.head(lr))
        sr: Tensor = self.tail(self.stages(x + self.norm(self.conv(self.blocks(x)))))
        return sr


def _initialise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


BASELINES: dict[Method, type[SRCNN | VDSR | SRResNet]] = {
    "srcnn": SRCNN,
    "vdsr": VDSR,
    "srresnet": SRResNet,
}
