"""Training pictures: found, read once into memory, cut into LR/HR pairs by a seeded recipe.

Every pair is a function of (seed, index) alone, so a run that is resumed at any step sees exactly
the pairs an uninterrupted run would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from idrn_trt.errors import OptionError, SourceError, TrainingError
from idrn_trt.images import READ_SUFFIXES, read_image
from idrn_trt.quality.pairs import bicubic

UInt8 = npt.NDArray[np.uint8]

# Neighbouring files often show one person, so pictures are held out in runs of this many.
HELD_OUT_RUN = 16


@dataclass(slots=True)
class Pictures:
    """Pictures in memory, uint8 RGB (H, W, 3), with what was left out and why.

    digest is the sha256 over the names and bytes of the files used, in order.
    """

    images: list[UInt8]
    digest: str
    left_out: dict[str, str] = field(default_factory=dict)


def parse_spec(spec: str) -> Path:
    """The folder that a data specification "folder:DIR" names. Raises OptionError."""
    kind, _, place = spec.partition(":")
    if kind != "folder" or not place:
        raise OptionError(f"training data {spec!r} not understood: expected folder:DIR")
    root = Path(place)
    if not root.is_dir():
        raise OptionError(f"training data {spec!r}: {place!r} is not a folder")
    return root


def read_folder(root: Path, smallest_px: int) -> Pictures:
    """Every picture below `root` whose shorter side is at least `smallest_px`, in name order.

    A file that cannot be read or is too small is left out and named in `left_out`. Raises
    TrainingError when nothing is left.
    """
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in READ_SUFFIXES)
    digest = hashlib.sha256()
    pictures = Pictures(images=[], digest="")
    for file in tqdm(files, desc="reading pictures", unit="file", leave=False):
        name = file.relative_to(root).as_posix()
        try:
            pixels = read_image(file)
        except SourceError as error:
            pictures.left_out[name] = str(error)
            continue
        if min(pixels.shape[:2]) < smallest_px:
            pictures.left_out[name] = f"shorter side under {smallest_px} px"
            continue
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        pictures.images.append(pixels)
    if not pictures.images:
        raise TrainingError(
            f"no usable picture in {str(root)!r}: {len(files)} files looked at, "
            f"{len(pictures.left_out)} unreadable or with a side under {smallest_px} px"
        )
    pictures.digest = digest.hexdigest()
    return pictures


def hold_out(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices 0..count-1 split into (training, validation), validation in contiguous runs.

    `share` is the part wanted for validation, at least one run and at most all runs but one. A set
    too small for two runs keeps all but its last picture for training. Raises TrainingError for a
    set that cannot be split.
    """
    if count < 2:
        raise TrainingError(
            f"{count} picture cannot be split into training and validation: expected at least 2, "
            "or validation pictures of their own (--val-data)"
        )
    if count < 2 * HELD_OUT_RUN:
        return list(range(count - 1)), [count - 1]
    runs = count // HELD_OUT_RUN
    wanted = min(max(1, round(runs * share)), runs - 1)
    chosen = np.random.default_rng((seed, 1)).permutation(runs)[:wanted]
    held = {run * HELD_OUT_RUN + k for run in chosen.tolist() for k in range(HELD_OUT_RUN)}
    return [i for i in range(count) if i not in held], sorted(held)


class PairDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random crops at random scale with flips: index -> (lr, hr), uint8 CHW tensors.

    Index i is the i-th sample of the run (not of an epoch); pictures come in a new random order
    every epoch. The crop is lr_px * scale a side, from a picture whose shorter side was resized to
    between that and twice that, favouring the small end: whole faces are what the network will see
    most.
    """

    def __init__(
        self, images: Sequence[UInt8], scale: int, lr_px: int, samples: int, seed: int
    ) -> None:
        self.images = images
        self.scale = scale
        self.lr_px = lr_px
        self.samples = samples
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.samples:
            raise IndexError(index)
        epoch, place = divmod(index, len(self.images))
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.seed, 2, epoch)).permutation(len(self.images))
            self._epoch = epoch
        rng = np.random.default_rng((self.seed, 3, index))
        hr = self._crop(self.images[int(self._order[place])], rng)
        if rng.random() < 0.5:
            hr = hr.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lr = bicubic(hr, self.lr_px, self.lr_px)
        return _chw(lr), _chw(hr)

    def _crop(self, pixels: UInt8, rng: np.random.Generator) -> Image.Image:
        side = self.lr_px * self.scale
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
