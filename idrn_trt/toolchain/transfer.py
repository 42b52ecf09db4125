"""Starting one IDRN from the weights of another: of another depth, scale or reconstruction.

What the two have in common is taken over, so that a run starts from features that see faces already
and only has to learn the rest.
"""

from __future__ import annotations

from torch import Tensor

from idrn_trt.errors import ModelError
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.networks import Config


def transferred(source: Config, weights: dict[str, Tensor], net: IDRN) -> dict[str, Tensor]:
    """A state for `net`, from the weights of a network `source` by the same names.

    The same network's weights are taken as they are. Otherwise:

    - unit k of the source becomes unit floor(k D / d) of the D in `net`. Those in between start as the
      identity: their second convolution is zero and their input is not negative, so that
      relu(x + 0) = x.
    - Eq. (1) then adds some maps more than once. The layer that reads the sum is multiplied by d / D,
      which is right for all of them but X_0.
    - upscaling and last convolution are taken where they have the same shape, and keep `net`'s own
      start elsewhere.

    Raises ModelError where nothing can be carried over: another width or kind of unit or fusion, or
    fewer units than the source has.
    """
    target = net.config
    if source == target:
        return weights
    _demand_kin(source, target)
    assert isinstance(source, NetConfig)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    places = [k * target.depth // source.depth for k in range(source.depth)]
    for name, value in state.items():
        if not name.startswith("units."):
            taken = weights.get(name)
            if taken is not None and taken.shape == value.shape:
                state[name] = taken.clone()
            continue
        _, unit, rest = name.split(".", 2)
        if int(unit) in places:
            state[name] = weights[f"units.{places.index(int(unit))}.{rest}"].clone()
        elif rest.startswith("conv2."):
            value.zero_()
    reader = "stages.0.conv.weight" if net.stages else "tail.weight"
    state[reader] *= source.depth / target.depth
    return state


def _demand_kin(source: Config, target: NetConfig) -> None:
    kin = (
        isinstance(source, NetConfig)
        and source.unit == target.unit == "dense"
        and (source.width, source.fusion) == (target.width, target.fusion)
        and source.depth <= target.depth
    )
    if not kin:
        raise ModelError(
            f"weights of {source} cannot start {target}: expected the same width and fusion, dense "
            "units, and at most as many of them"
        )
