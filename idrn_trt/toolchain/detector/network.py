"""The face detector in PyTorch: a few plain 3x3 convolutions and a score and a box at three strides.

Anchor-free, as FCOS (Tian et al. 2019, https://arxiv.org/abs/1904.01355) and YuNet (Wu et al. 2023,
https://doi.org/10.1007/s11633-023-1423-y) are, with top-down features as in FPN (Lin et al. 2017,
https://arxiv.org/abs/1612.03144), whose upsampling is here a sub-pixel convolution. Every convolution but
the last of each level ends in a ReLU, and there are only operators that the quantisation passes know.

Letters used in shapes: N batch, C channels, H and W of the picture, multiples of 32.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from idrn_trt.errors import OptionError
from idrn_trt.faces.grid import CELL_PX, STRIDES, VALUES

# Of a cell at the start: few are in a face, and the loss shall not have to learn that (Lin et al. 2017,
# "Focal Loss for Dense Object Detection", section 4.1).
_FIRST_SCORE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorConfig:
    """widths: kernels of the convolutions at strides 2, 4, 8, 16 and 32. Raises OptionError."""

    widths: tuple[int, ...] = (16, 32, 32, 48, 32)

    def __post_init__(self) -> None:
        # Values may come from a file, so their types are not to be trusted either.
        widths = self.widths
        if len(widths) != 5 or not all(type(n) is int and 1 <= n <= 256 for n in widths):
            raise OptionError(f"detector widths must be five of 1 to 256, got {widths!r}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, for manifests and checkpoints."""
        return {"widths": list(self.widths)}


class Layer(nn.Module):
    """A 3x3 convolution, batch normalisation and a ReLU; without the middle one after `fused`."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Raised(nn.Module):
    """Features of the next coarser stride at twice their size: (N, C, h, w) -> (N, M, 2h, 2w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.conv(x), 2)


class Answer(nn.Module):
    """A level's values on the grid of cells: (N, C, h, w) -> (N, VALUES, r h, r w), r = stride / 8."""

    def __init__(self, inputs: int, stride: int) -> None:
        super().__init__()
        self.factor = stride // CELL_PX
        self.conv = nn.Conv2d(inputs, VALUES * self.factor**2, 1)
        nn.init.normal_(self.conv.weight, std=0.01)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)
        with torch.no_grad():
            logit = math.log(_FIRST_SCORE / (1 - _FIRST_SCORE))
            self.conv.bias[: self.factor**2] = logit

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.conv(x), self.factor)


class FaceDetector(nn.Module):
    """RGB (N, 3, H, W) float in [0, 1] -> (N, 3 * VALUES, H / 8, W / 8); faces/grid.py decodes it."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        c2, c4, c8, c16, c32 = config.widths
        self.stem = nn.Sequential(Layer(3, c2, 2), Layer(c2, c4, 2), Layer(c4, c4))
        self.down8 = nn.Sequential(Layer(c4, c8, 2), Layer(c8, c8), Layer(c8, c8))
        self.down16 = nn.Sequential(Layer(c8, c16, 2), Layer(c16, c16))
        self.down32 = nn.Sequential(Layer(c16, c32, 2), Layer(c32, c32), Layer(c32, c32))
        self.up16, self.up8 = Raised(c32, c16), Raised(c16, c8)
        self.mix8 = Layer(c8, c8)
        widths = (c8, c16, c32)
        self.answers = nn.ModuleList(map(Answer, widths, STRIDES))

    def forward(self, picture: Tensor) -> Tensor:
        x8 = self.down8(self.stem(picture))
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        x16 = torch.relu(x16 + self.up16(x32))
        x8 = self.mix8(torch.relu(x8 + self.up8(x16)))
        levels = zip(self.answers, (x8, x16, x32), strict=True)
        return torch.cat([answer(x) for answer, x in levels], dim=1)


def fused(net: FaceDetector) -> FaceDetector:
    """An equal copy in evaluation mode whose convolutions hold their normalisation."""
    net = copy.deepcopy(net).float().cpu().eval()
    for layer in net.modules():
        if isinstance(layer, Layer):
            assert isinstance(layer.norm, nn.BatchNorm2d)
            layer.conv = fuse_conv_bn_eval(layer.conv, layer.norm)
            layer.norm = nn.Identity()
    return net
