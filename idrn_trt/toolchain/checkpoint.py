"""Checkpoints: weights, optimiser state and recipe in one safetensors file.

Nothing here unpickles. A checkpoint is written to a temporary file and renamed, so the previous one
stays valid until the new one is whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from idrn_trt.errors import ModelError
from idrn_trt.files import replacing
from idrn_trt.toolchain.detector.network import DetectorConfig
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.networks import AnyConfig, Config, build, config_from

FORMAT = 1


@dataclass(slots=True)
class Checkpoint:
    """What a checkpoint file holds; `optimiser` maps parameter name -> {state name: tensor}.

    average: the weights' running average, where the run keeps one.
    """

    config: AnyConfig
    weights: dict[str, Tensor]
    optimiser: dict[str, dict[str, Tensor]]
    recipe: dict[str, Any]
    progress: dict[str, Any]
    average: dict[str, Tensor] = field(default_factory=dict)

    @property
    def enlarging(self) -> Config:
        """The configuration, of a network that enlarges. Raises ModelError for a face detector's."""
        if isinstance(self.config, DetectorConfig):
            raise ModelError(
                "the checkpoint holds a face detector, expected a network that enlarges: "
                "`idrn-trt export --scenes DIR` takes a detector"
            )
        return self.config

    def network(self) -> IDRN:
        """The IDRN with these weights, in float32 and evaluation mode.

        Raises ModelError for weights that do not fit, or that are a baseline's: those are trained and
        evaluated to compare with, and never become model files; or a face detector's.
        """
        config = self.enlarging
        if not isinstance(config, NetConfig):
            raise ModelError(
                f"the checkpoint holds {config.method!r}, a method to compare with: "
                "expected an IDRN"
            )
        net = self.module()
        assert isinstance(net, IDRN)
        return net

    def module(self) -> nn.Module:
        """The network of whatever kind, in float32 and evaluation mode. Raises ModelError.

        With the average where there is one, for that is the run's result.
        """
        weights = self.average or self.weights
        _check_size(self.config, weights)
        net = build(self.config)
        load_weights(net, weights)
        return net.eval()


def _check_size(config: AnyConfig, weights: dict[str, Tensor]) -> None:
    """Refuse a network larger than its weights before it is built: a header can promise any size."""
    widest = max((side for tensor in weights.values() for side in tensor.shape), default=0)
    if isinstance(config, NetConfig) and (config.depth > len(weights) or config.width > widest):
        raise ModelError(
            f"the weights do not fit {config}: {len(weights)} tensors of at most {widest} channels"
        )


def load_weights(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy `weights` into the network. Raises ModelError when they are not this network's."""
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"the weights do not fit {net.config}: {reason}") from error


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` to `path` all at once.

    Missing folders are made. Raises SinkError; an older file then stays as it was.
    """
    tensors = {f"weights.{name}": tensor for name, tensor in checkpoint.weights.items()}
    tensors.update({f"average.{name}": tensor for name, tensor in checkpoint.average.items()})
    for name, state in checkpoint.optimiser.items():
        tensors.update({f"optimiser.{key}.{name}": tensor for key, tensor in state.items()})
    meta = {
        "format": FORMAT,
        "config": checkpoint.config.to_dict(),
        "recipe": checkpoint.recipe,
        "progress": checkpoint.progress,
    }
    contiguous = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with replacing(path, "checkpoint") as part:
        try:
            save_file(contiguous, part, metadata={"idrn_trt": json.dumps(meta)})
        except SafetensorError as error:  # how safetensors reports that the system failed
            raise OSError(str(error)) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint written by `save_checkpoint`. Raises ModelError for anything else."""
    if not path.is_file():
        raise ModelError(f"no checkpoint at {str(path)!r}")
    weights: dict[str, Tensor] = {}
    average: dict[str, Tensor] = {}
    optimiser: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["idrn_trt"])
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                group, _, name = key.partition(".")
                if group in {"weights", "average"}:
                    kept = weights if group == "weights" else average
                    kept[name] = file.get_tensor(key)
                else:
                    state, _, parameter = name.partition(".")
                    optimiser.setdefault(parameter, {})[state] = file.get_tensor(key)
        if meta["format"] != FORMAT:
            raise ModelError(
                f"checkpoint {str(path)!r} has format {meta['format']!r}, expected {FORMAT}"
            )
        config = config_from(meta["config"])
        return Checkpoint(config, weights, optimiser, meta["recipe"], meta["progress"], average)
    except ModelError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{str(path)!r} is not a checkpoint of idrn_trt: {type(error).__name__}: {reason}"
        ) from error


def optimiser_state(
    net: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, dict[str, Tensor]]:
    """The optimiser's tensors by parameter name."""
    return {
        name: {k: v for k, v in optimiser.state[p].items() if isinstance(v, Tensor)}
        for name, p in net.named_parameters()
        if p in optimiser.state
    }


def restore_optimiser(
    net: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    state: dict[str, dict[str, Tensor]],
) -> None:
    """Give the optimiser back the tensors that `optimiser_state` took.

    Raises ModelError when a parameter has none, as in a file of final weights.
    """
    for name, parameter in net.named_parameters():
        if name not in state:
            raise ModelError(
                f"the checkpoint holds no optimiser state for {name!r}: expected one to resume "
                "from, not a file of final weights"
            )
        optimiser.state[parameter] = {
            # Adam keeps its step counter on the CPU; moments and momentum lie beside the parameter.
            key: tensor if key == "step" else torch.empty_like(parameter).copy_(tensor)
            for key, tensor in state[name].items()
        }
