"""Every network that can be trained: IDRN's family, the methods it is compared with, the detector."""

from __future__ import annotations

from typing import Any

from torch import nn

from idrn_trt.errors import OptionError
from idrn_trt.toolchain.baselines import BASELINES, METHODS, BaselineConfig
from idrn_trt.toolchain.detector.network import DetectorConfig, FaceDetector
from idrn_trt.toolchain.net import IDRN, NetConfig

Config = NetConfig | BaselineConfig
AnyConfig = Config | DetectorConfig


def parse_network(name: str) -> Config:
    """The configuration of a name such as "d8-w64-x4" or "srcnn-x4". Raises OptionError.

    "-bn" behind an IDRN's name means units with batch normalisation (paper Fig. 3a and 6).
    """
    baseline = BaselineConfig.parse(name)
    if baseline is not None:
        return baseline
    try:
        if name.endswith("-bn"):
            return NetConfig.parse(name.removesuffix("-bn"), unit="traditional")
        return NetConfig.parse(name)
    except OptionError as error:
        others = ", ".join(f"{method}-xSCALE" for method in METHODS)
        raise OptionError(f"{error}; or one of {others}") from error


def config_from(fields: dict[str, Any]) -> AnyConfig:
    """The configuration that `to_dict` gave. Raises OptionError or TypeError for other fields."""
    if "method" in fields:
        return BaselineConfig(**fields)
    if "widths" in fields:
        return DetectorConfig(widths=tuple(fields["widths"]))
    return NetConfig(**fields)


def build(config: AnyConfig) -> nn.Module:
    """The network of a configuration, with the start values that the current seed gives."""
    if isinstance(config, NetConfig):
        return IDRN(config)
    if isinstance(config, DetectorConfig):
        return FaceDetector(config)
    return BASELINES[config.method](config)
