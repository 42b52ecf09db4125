"""How a network in training does on whole face crops, in figures and for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from idrn_trt.engines.base import EngineBase
from idrn_trt.quality.grid import grid
from idrn_trt.quality.metrics import psnr_y
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair
from idrn_trt.toolchain.degrade import Degradation
from idrn_trt.types import EngineSpec

UInt8 = npt.NDArray[np.uint8]


@torch.no_grad()
def upscale(net: nn.Module, lr: UInt8) -> UInt8:
    """One picture through the network in float32: uint8 RGB (h, w, 3) -> (s*h, s*w, 3)."""
    # A copy, because torch wants memory it may write to and Pillow's is read-only.
    x = torch.from_numpy(np.array(lr, order="C")).to(next(net.parameters())).permute(2, 0, 1)[None]
    y = (net(x / 255)[0].permute(1, 2, 0) * 255).round_().clamp_(0, 255)
    sr: UInt8 = y.to(torch.uint8).cpu().numpy()
    return sr


@dataclass(slots=True)
class Validation:
    """Crops to validate on at scale s: LR lr_px a side by Pillow's bicubic, or as cameras make it.

    Bicubic's figures and the pairs are made once.
    """

    images: Sequence[UInt8]
    scale: int
    lr_px: int
    degrade: bool = False
    _floor_db: float | None = field(default=None, init=False)

    def pair(self, index: int) -> tuple[UInt8, UInt8]:
        """(LR, HR) of one crop."""
        lr, hr = evaluation_pair(self.images[index], self.scale, self.lr_px)
        return (Degradation()(hr, self.scale, index) if self.degrade else lr), hr

    def measure(self, net: nn.Module) -> tuple[float, float]:
        """(ours, bicubic): mean PSNR-Y in dB. The network is left in training mode."""
        net.eval()
        pairs = map(self.pair, range(len(self.images)))
        ours = [psnr_y(upscale(net, lr), hr) for lr, hr in pairs]
        net.train()
        return float(np.mean(ours)), self._floor()

    def picture(self, net: nn.Module, most: int = 4) -> UInt8:
        """LR, bicubic, ours and truth of crops from all over the set, in one picture."""
        net.eval()
        rows = []
        for index in range(0, len(self.images), -(-len(self.images) // most)):
            lr, hr = self.pair(index)
            sr = upscale(net, lr)
            caption = (
                f"{psnr_y(sr, hr):.2f} dB, bicubic {psnr_y(bicubic_up(lr, self.scale), hr):.2f}"
            )
            rows.append((caption, [lr, bicubic_up(lr, self.scale), sr, hr]))
        net.train()
        return grid(("LR", "bicubic", "ours", "truth"), rows)

    def _floor(self) -> float:
        if self._floor_db is None:
            pairs = map(self.pair, range(len(self.images)))
            self._floor_db = float(
                np.mean([psnr_y(bicubic_up(lr, self.scale), hr) for lr, hr in pairs])
            )
        return self._floor_db


class TorchEngine(EngineBase):
    """A network as an engine in float32, so that what is not exported is evaluated alike.

    threads: for all that torch computes in this process, None leaves its choice.
    """

    def __init__(self, net: nn.Module, name: str, scale: int, threads: int | None = None) -> None:
        super().__init__(
            EngineSpec(engine="torch", model=name, scale=scale, precision="fp32", min_window_px=1)
        )
        self._net = net.eval()
        if threads is not None:
            torch.set_num_threads(threads)

    def _compute(self, batch: UInt8, out: UInt8) -> None:
        for image, place in zip(batch, out, strict=True):
            place[...] = upscale(self._net, image)
