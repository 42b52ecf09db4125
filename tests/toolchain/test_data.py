"""Pairs to train on: their form, and that they follow from (seed, index) alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from drawings import draw
from PIL import Image
from torch import Tensor

from idrn_trt.errors import OptionError, TrainingError
from idrn_trt.quality.pairs import evaluation_pair
from idrn_trt.toolchain.crops import open_crops
from idrn_trt.toolchain.data import PairDataset, PairRecipe, parse_spec
from idrn_trt.toolchain.degrade import Degradation
from idrn_trt.toolchain.plan import by_steps

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def images(faces: Path) -> list[UInt8]:
    """The generated pictures, in memory."""
    return list(open_crops(f"folder:{faces}", 64))


def pairs(
    images: list[UInt8],
    seed: int = 0,
    scale: int = 4,
    samples: int = 200,
    sizes: tuple[int, ...] = (),
    **recipe: bool,
) -> PairDataset:
    """A dataset of 16 px crops, or of these sizes, a sample a step."""
    plan = by_steps(samples, 1, 16, sizes=sizes, seed=seed)
    return PairDataset(images, plan, PairRecipe(scale=scale, seed=seed, **recipe))


def equal(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> bool:
    """Whether two pairs are the same to the bit."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pairs_have_the_documented_form(images: list[UInt8], scale: int) -> None:
    """A pair is uint8 CHW, HR s times LR, and LR is Pillow's bicubic of HR."""
    lr, hr = pairs(images, scale=scale)[5]
    assert (lr.dtype, hr.dtype) == (torch.uint8, torch.uint8)
    assert (lr.shape, hr.shape) == ((3, 16, 16), (3, 16 * scale, 16 * scale))
    picture = Image.fromarray(hr.permute(1, 2, 0).numpy())
    reduced = np.asarray(picture.resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(lr.permute(1, 2, 0).numpy(), reduced)


def test_pairs_follow_from_seed_and_index(images: list[UInt8]) -> None:
    """Two datasets with one seed agree on every pair, in whatever order they are asked."""
    one, two = pairs(images), pairs(images)
    forward = [one[i] for i in range(100)]
    backward = {i: two[i] for i in reversed(range(100))}
    assert all(equal(forward[i], backward[i]) for i in range(100))


def test_another_seed_gives_other_pairs(images: list[UInt8]) -> None:
    """Hardly a pair of one seed turns up at the same place with another seed."""
    one, two = pairs(images, seed=0), pairs(images, seed=1)
    assert sum(equal(one[i], two[i]) for i in range(40)) <= 1


def test_a_longer_run_starts_with_the_same_pairs(images: list[UInt8]) -> None:
    """How many samples a run has does not change the ones it begins with."""
    short, long = pairs(images, samples=60), pairs(images, samples=6000)
    assert all(equal(short[i], long[i]) for i in range(60))


def test_every_picture_comes_once_an_epoch() -> None:
    """Each epoch shows each picture exactly once, in an order of its own."""
    flat = [np.full((64, 64, 3), 10 * k, np.uint8) for k in range(20)]
    dataset = pairs(flat, samples=60)
    shown = [int(dataset[i][1][0, 0, 0]) // 10 for i in range(60)]
    epochs = [shown[k : k + 20] for k in (0, 20, 40)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_half_the_pairs_are_mirrored() -> None:
    """A picture that is dark on its left comes out dark on its right about every other time."""
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 64, axis=0).repeat(3, axis=2)
    dataset = pairs([ramp], samples=200)
    rising = sum(bool(hr[0, 0, 0] < hr[0, 0, -1]) for _, hr in map(dataset.__getitem__, range(200)))
    assert 70 <= rising <= 130


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (65, 64), (64, 67), (97, 131), (128, 129), (301, 71)]
)
def test_crops_stay_inside_the_picture(height: int, width: int) -> None:
    """No crop of any size reaches over an edge: every pixel is one of the picture's own values.

    A crop outside would be an error of Pillow's or bring in black; the picture has no black.
    """
    pixels = np.full((height, width, 3), 200, np.uint8)
    dataset = pairs([pixels], samples=300)
    assert all((dataset[i][1] == 200).all() for i in range(300))


def test_crops_are_between_whole_and_half_the_short_side() -> None:
    """The extent of a crop is at most the short side and at least half of it; most are large."""
    # On a ramp of slope 1 the crop's range of values is its extent, less a border effect.
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    dataset = pairs([ramp], samples=300)
    extents = [int(np.ptp(dataset[i][1][0].numpy().astype(int))) for i in range(300)]
    assert 95 <= min(extents) <= 110
    assert 190 <= max(extents) <= 200
    assert np.median(extents) > 150


def test_indices_outside_the_run_are_refused(images: list[UInt8]) -> None:
    """The dataset ends where the run ends, and has no negative indices."""
    dataset = pairs(images, samples=10)
    assert len(dataset) == 10
    for index in (-1, 10):
        with pytest.raises(IndexError):
            dataset[index]


@pytest.mark.parametrize("spec", ["faces", "folder:", "zip:faces.zip", "", "folder"])
def test_other_specifications_are_refused(spec: str) -> None:
    """Anything but folder:DIR is an OptionError that says what was expected."""
    with pytest.raises(OptionError, match="expected folder:DIR"):
        parse_spec(spec)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is an OptionError; one that is comes back."""
    assert parse_spec(f"folder:{tmp_path}") == tmp_path
    with pytest.raises(OptionError, match="not a folder"):
        parse_spec(f"folder:{tmp_path / 'missing'}")


def test_crops_on_disk_give_the_same_pairs(faces: Path, images: list[UInt8]) -> None:
    """Pairs of mapped crops are those of the same crops in memory, to the bit."""
    mapped, held = pairs(open_crops(f"folder:{faces}", 64)), pairs(images)  # type: ignore[arg-type]
    assert all(equal(mapped[i], held[i]) for i in range(60))


def test_without_augmentation_pairs_are_the_papers() -> None:
    """The centre square as it is, never mirrored, whatever the index: section 3.1's pairs."""
    pixels = draw(0, 80, 90)
    dataset = pairs([pixels], augment=False)
    lr, hr = evaluation_pair(pixels, 4, 16)
    for i in (0, 1, 57):
        got = [tensor.permute(1, 2, 0).numpy() for tensor in dataset[i]]
        assert np.array_equal(got[0], lr)
        assert np.array_equal(got[1], hr)


def test_degraded_pairs_have_the_same_truth() -> None:
    """With degradation HR stays as it was, and LR is the degradation of it for that seed and index."""
    images = [draw(0, 80, 90)]
    plain, degraded = pairs(images, seed=5), pairs(images, seed=5, degrade=True)
    for i in range(5):
        (lr, hr), (degraded_lr, degraded_hr) = plain[i], degraded[i]
        assert torch.equal(hr, degraded_hr)
        assert not torch.equal(lr, degraded_lr)
        expected = Degradation(5)(hr.permute(1, 2, 0).numpy(), 4, i)
        assert np.array_equal(degraded_lr.permute(1, 2, 0).numpy(), expected)


def test_several_sizes_come_from_pictures_large_enough() -> None:
    """Each pair has its step's size; a size's pictures are those with enough pixels for its HR."""
    images = [np.full((side, side + 9, 3), side, np.uint8) for side in (64, 100, 130)]
    dataset = pairs(images, sizes=(16, 24, 32))
    shown: dict[int, set[int]] = {16: set(), 24: set(), 32: set()}
    for i in range(200):
        lr, hr = dataset[i]
        assert hr.shape[1] == 4 * lr.shape[1] == 4 * dataset.plan.lr_px[i]
        shown[lr.shape[1]].add(int(hr[0, 0, 0]))
    assert shown == {16: {64, 100, 130}, 24: {100, 130}, 32: {130}}


def test_a_size_without_a_picture_is_refused() -> None:
    """A size that no picture has the pixels for is a TrainingError that names it."""
    with pytest.raises(TrainingError, match="leave 24 out"):
        pairs([draw(0, 70, 70)], sizes=(16, 24))
