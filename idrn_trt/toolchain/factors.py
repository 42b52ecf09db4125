"""The factors of equalisation: those that leave the least rounding noise in the picture.

A model of the noise is minimised over all factors at once. An activation is rounded in steps of its
scale, which is uniform noise of step^2 / 12 in each element; weights likewise, row by row. How much of it
shows in the picture is `sensitivity`'s part. docs/decisions/008 compares the model with measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor
from tqdm import tqdm

from idrn_trt.toolchain.calibrate import UInt8, activations, observe, sources
from idrn_trt.toolchain.equalise import channel_groups
from idrn_trt.toolchain.graph import INPUT, Graph, as_float32, layer_name
from idrn_trt.toolchain.qdq import joined
from idrn_trt.toolchain.sensitivity import Channels, sensitivities
from idrn_trt.toolchain.table import LARGEST_FACTOR

Float32 = npt.NDArray[np.float32]

MOST_PICTURES = 48
# Adam from factors of one. Another 100 steps take off less than 0.02 dB of the default model's noise.
_STEPS = 600
_RATES = (0.03, 0.003)
# A channel that is nearly silent over the crops may be louder elsewhere: it counts as this share of the
# loudest one.
_SILENT = 1 / 256
_ACTIVATION_STEPS, _WEIGHT_STEPS = 255, 127


def least_noise(model: onnx.ModelProto, pictures: Sequence[UInt8]) -> dict[str, Float32]:
    """For each layer the factors of its output channels: layer name -> (M,) float32, positive.

    pictures: uint8 RGB (h, w, 3). The largest values are those over all of them; sensitivities are
    measured on at most MOST_PICTURES, spread evenly. Raises ModelError for a network that equalisation
    does not know.
    """
    count = min(len(pictures), MOST_PICTURES)
    used = [pictures[k * len(pictures) // count] for k in range(count)]
    graph, groups = Graph.of(model), channel_groups(model)
    seen = sensitivities(model, used)
    largest = _largest(model, activations(graph), pictures)
    parts = [
        _activation([t for t in tensors if t != INPUT], groups, seen, largest)
        for tensors in joined([sources(graph, c.input[0]) for c in graph.convolutions()])
        if tensors != [INPUT]
    ]
    layers = _layers(graph, groups, seen)
    size = 1 + max(int(g.max()) for g in groups.values())
    factors = _minimum(parts, layers, size)
    return {layer_name(c): factors[groups[c.output[0]]] for c in graph.convolutions()}


def _largest(
    model: onnx.ModelProto, tensors: Sequence[str], pictures: Sequence[UInt8]
) -> dict[str, Tensor]:
    """The largest magnitude of each channel, (C,), over all pictures.

    Rare values decide: over a sixth of the crops the largest was half of that over all in some tensors.
    """
    largest: dict[str, Float32] = {}
    for values in observe(model, tensors, pictures, "largest values"):
        for name, value in values.items():
            own = np.abs(value).max(axis=(0, 2, 3))
            largest[name] = np.maximum(own, largest.get(name, own))
    return {name: torch.from_numpy(own) for name, own in largest.items()}


@dataclass(frozen=True, slots=True)
class _Activation:
    """The channels that share one scale: their groups, largest values and sensitivities, (C,) each."""

    groups: Tensor
    largest: Tensor
    noise: Tensor

    def energy(self, logs: Tensor) -> Tensor:
        """In the picture, for factors exp(logs)."""
        own = logs[self.groups]
        step = (self.largest * (-own).exp()).max() / _ACTIVATION_STEPS
        return step**2 / 12 * ((2 * own).exp() * self.noise).sum()


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution: largest weights (M, C), groups and variance of what it reads (C,), noise (M,)."""

    weights: Tensor
    taps: int
    groups: Tensor
    variance: Tensor
    noise: Tensor

    def energy(self, logs: Tensor) -> Tensor:
        """In the picture, for factors exp(logs). Factors of the output scale rows and cancel."""
        read = logs[self.groups]
        steps = (self.weights * read.exp()).amax(1) / _WEIGHT_STEPS
        read_variance = ((-2 * read).exp() * self.variance).sum() * self.taps
        return (steps**2 / 12 * self.noise).sum() * read_variance


def _activation(
    tensors: Sequence[str],
    groups: Mapping[str, npt.NDArray[np.intp]],
    seen: Mapping[str, Channels],
    maxima: Mapping[str, Tensor],
) -> _Activation:
    largest = torch.cat([maxima[t] for t in tensors])
    return _Activation(
        torch.from_numpy(np.concatenate([groups[t] for t in tensors])),
        largest.clamp(min=float(largest.max()) * _SILENT),
        torch.cat([seen[t].noise for t in tensors]),
    )


def _layers(
    graph: Graph, groups: Mapping[str, npt.NDArray[np.intp]], seen: Mapping[str, Channels]
) -> list[_Layer]:
    layers = []
    for conv in graph.convolutions():
        if (tensor := str(conv.input[0])) != INPUT:  # the image has no factors
            weights = torch.from_numpy(np.abs(as_float32(graph.constants[conv.input[1]])))
            layers.append(
                _Layer(
                    weights.amax((2, 3)),
                    weights[0, 0].numel(),
                    torch.from_numpy(groups[tensor]),
                    seen[tensor].variance,
                    seen[str(conv.output[0])].noise,
                )
            )
    return layers


def _minimum(activations: Sequence[_Activation], layers: Sequence[_Layer], size: int) -> Float32:
    """The factors of `size` groups with the least sum of energies; group 0 has 1."""
    logs = torch.zeros(size, requires_grad=True)
    optimiser = torch.optim.Adam([logs])
    for step in tqdm(range(_STEPS), desc="evening out channels", leave=False, disable=None):
        optimiser.param_groups[0]["lr"] = _RATES[step * len(_RATES) // _STEPS]
        optimiser.zero_grad()
        energies = [a.energy(logs) for a in activations] + [n.energy(logs) for n in layers]
        torch.stack(energies).sum().log().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            logs[0] = 0
            logs.clamp_(-np.log(LARGEST_FACTOR), np.log(LARGEST_FACTOR))
    # exp(log(x)) may be a last digit above x.
    factors: Float32 = logs.detach().exp().clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR).numpy()
    return factors
