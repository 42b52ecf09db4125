"""LR/HR pairs to train on, cut from face crops by a seeded recipe.

Every pair is a function of (seed, index) alone, so a run that is resumed at any step sees exactly
the pairs an uninterrupted run would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from idrn_trt.errors import OptionError, TrainingError
from idrn_trt.quality.pairs import bicubic, centre_square
from idrn_trt.toolchain.degrade import Degradation
from idrn_trt.toolchain.plan import Plan

UInt8 = npt.NDArray[np.uint8]


def parse_spec(spec: str) -> Path:
    """The folder that a data specification "folder:DIR" names. Raises OptionError."""
    kind, _, place = spec.partition(":")
    if kind != "folder" or not place:
        raise OptionError(f"face crops {spec!r} not understood: expected folder:DIR")
    root = Path(place)
    if not root.is_dir():
        raise OptionError(f"face crops {spec!r}: {place!r} is not a folder")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecipe:
    """How a crop becomes a pair.

    augment: a random crop at random scale, mirrored half the time; otherwise the centre square, as
    section 3.1 of the paper has it. degrade: LR as cameras make it instead of by bicubic.
    """

    scale: int
    seed: int
    augment: bool = True
    degrade: bool = False


class PairDataset(Dataset[tuple[Tensor, Tensor]]):
    """Index -> (lr, hr), uint8 CHW tensors; HR has `scale` times the side that the plan gives LR.

    Index i is the i-th sample of the run (not of an epoch); pictures come in a new random order
    every epoch. A random crop is taken from a picture whose shorter side was resized to between HR's
    side and twice that, favouring the small end: whole faces are what the network will see most.
    Raises TrainingError when no picture is large enough for one of the plan's sizes.
    """

    def __init__(self, images: Sequence[UInt8], plan: Plan, recipe: PairRecipe) -> None:
        self.images = images
        self.plan = plan
        self.recipe = recipe
        self.usable = self._usable()
        self._orders: dict[int, tuple[int, npt.NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return self.plan.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        lr_px, ordinal = self.plan.locate(index)
        pixels = self.images[self._picture(lr_px, ordinal)]
        rng = np.random.default_rng((self.recipe.seed, 3, index))
        side = lr_px * self.recipe.scale
        hr = (
            self._augmented(pixels, side, rng)
            if self.recipe.augment
            else centre_square(pixels, side)
        )
        return _chw(self._reduced(hr, lr_px, index)), _chw(hr)

    def _usable(self) -> dict[int, list[int]]:
        """LR side -> the pictures that have as many pixels as its HR; all for a single size."""
        sizes = np.unique(self.plan.lr_px).tolist()
        if len(sizes) == 1:
            return {sizes[0]: list(range(len(self.images)))}
        short = [min(image.shape[:2]) for image in self.images]
        usable = {
            size: [i for i, px in enumerate(short) if px >= size * self.recipe.scale]
            for size in sizes
        }
        for size, found in usable.items():
            if not found:
                raise TrainingError(
                    f"no picture has the {size * self.recipe.scale} px a side that LR crops of "
                    f"{size} px need (the largest has {max(short)}): leave {size} out of --lr-sizes"
                )
        return usable

    def _picture(self, lr_px: int, ordinal: int) -> int:
        usable = self.usable[lr_px]
        epoch, place = divmod(ordinal, len(usable))
        known, order = self._orders.get(lr_px, (-1, np.empty(0, np.int64)))
        if epoch != known:
            order = np.random.default_rng((self.recipe.seed, 2, epoch)).permutation(len(usable))
            self._orders[lr_px] = (epoch, order)
        return usable[int(order[place])]

    def _augmented(self, pixels: UInt8, side: int, rng: np.random.Generator) -> Image.Image:
        hr = _crop(pixels, side, rng)
        return hr.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else hr

    def _reduced(self, hr: Image.Image, lr_px: int, index: int) -> Image.Image:
        if not self.recipe.degrade:
            return bicubic(hr, lr_px, lr_px)
        degradation = Degradation(self.recipe.seed)
        return Image.fromarray(degradation(np.asarray(hr), self.recipe.scale, index))


def _crop(pixels: UInt8, side: int, rng: np.random.Generator) -> Image.Image:
    height, width = pixels.shape[:2]
    short = min(height, width)
    # The picture is thought resized so that its short side is `resized`; one resize with a box
    # does that and the crop at once.
    resized = side + (max(side, min(short, 2 * side)) - side) * rng.random() ** 2
    extent = side * short / resized
    left = rng.random() * (width - extent)
    top = rng.random() * (height - extent)
    return Image.fromarray(pixels).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + extent, top + extent)
    )


def _chw(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())
