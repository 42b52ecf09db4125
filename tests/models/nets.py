"""Networks for tests, their weights compared, and what must never be unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from idrn_trt.toolchain.net import IDRN, NetConfig


def network(name: str, **changes: str) -> IDRN:
    """A network whose biases and, where it has them, running statistics are not trivial."""
    torch.manual_seed(0)
    net = IDRN(NetConfig.parse(name, **changes))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
        net(torch.rand(4, 3, 12, 12))
    return net.eval()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
