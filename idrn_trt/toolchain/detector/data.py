"""Scenes with their targets as a torch dataset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from idrn_trt.toolchain.detector.scenes import Composer
from idrn_trt.toolchain.detector.targets import targets


@dataclass(frozen=True, slots=True)
class SceneDataset(Dataset[tuple[Tensor, ...]]):
    """index -> (scene uint8 (3, side, side), and its `targets.Targets` as tensors)."""

    composer: Composer

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        scene = self.composer(index)
        wanted = targets(scene.boxes, scene.counted, self.composer.side)
        pixels = torch.from_numpy(scene.pixels).permute(2, 0, 1)
        return (pixels, *map(torch.from_numpy, wanted))
