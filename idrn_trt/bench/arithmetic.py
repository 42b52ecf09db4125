"""How much a network computes, from its description alone: no torch. Standard library only.

`toolchain.net.cost` counts the same on the network itself; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}
_PLAIN = {"unit": "dense", "fusion": "every-unit", "reconstruction": "staged"}


def macs(network: Mapping[str, Any], height_px: int, width_px: int) -> int | None:
    """Multiply-accumulates of the convolutions for one h x w window, before the sub-pixel fold.

    network: a manifest's description (depth, width, scale, unit, fusion, reconstruction). None for one
    that is not of this family.
    """
    if not _known(network):
        return None
    depth, width, scale = (network[key] for key in ("depth", "width", "scale"))
    pixels = height_px * width_px
    second = 2 if network.get("unit", "dense") == "dense" else 1  # it reads the concatenation
    total = 9 * pixels * (3 * width + depth * (1 + second) * width**2)
    if network.get("reconstruction", "staged") == "direct":
        return int(total + 9 * pixels * width * 3 * scale**2)
    for factor in _FACTORS[scale]:
        total += 9 * pixels * width * width * factor**2
        pixels *= factor**2
    return int(total + 9 * pixels * width * 3)


def network_name(network: Mapping[str, Any]) -> str:
    """The short name, such as d8-w64-x4; "" for a network that is not plainly of the paper's kind."""
    if not _known(network) or any(network.get(k, v) != v for k, v in _PLAIN.items()):
        return ""
    return f"d{network['depth']}-w{network['width']}-x{network['scale']}"


def _known(network: Mapping[str, Any]) -> bool:
    sizes = [network.get(key) for key in ("depth", "width", "scale")]
    return all(type(size) is int and 1 <= size <= 4096 for size in sizes) and sizes[2] in _FACTORS
