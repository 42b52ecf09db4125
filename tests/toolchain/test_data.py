"""Training pictures: what is read and left out, and pairs that follow from (seed, index) alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor

from idrn_trt.errors import OptionError, TrainingError
from idrn_trt.toolchain.data import HELD_OUT_RUN, PairDataset, hold_out, parse_spec, read_folder

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def images(faces: Path) -> list[UInt8]:
    """The generated pictures, in memory."""
    return read_folder(faces, 64).images


def pairs(images: list[UInt8], seed: int = 0, scale: int = 4, samples: int = 200) -> PairDataset:
    """A dataset of 16 px crops."""
    return PairDataset(images, scale, lr_px=16, samples=samples, seed=seed)


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


def test_files_come_in_name_order_with_a_digest(faces: Path, tmp_path: Path) -> None:
    """Reading is in name order; the digest follows names and bytes and nothing else."""
    copy = tmp_path / "copy"
    shutil.copytree(faces, copy)
    one, two = read_folder(faces, 64), read_folder(copy, 64)
    assert one.digest == two.digest
    assert one.images[3].shape == (67, 73, 3)
    assert np.array_equal(one.images[7], np.asarray(Image.open(faces / "007.png")))
    (copy / "039.png").rename(copy / "z.png")
    renamed = read_folder(copy, 64).digest
    (copy / "000.png").unlink()
    assert len({one.digest, renamed, read_folder(copy, 64).digest}) == 3


def test_bad_files_are_left_out_and_named(faces: Path, tmp_path: Path) -> None:
    """A small, empty, truncated or foreign file is left out and named; the rest stays."""
    (tmp_path / "sub").mkdir()
    whole = (faces / "000.png").read_bytes()
    (tmp_path / "sub" / "good.png").write_bytes(whole)
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("not even named like one")
    Image.new("RGB", (300, 63)).save(tmp_path / "small.png")
    pictures = read_folder(tmp_path, 64)
    assert len(pictures.images) == 1
    assert set(pictures.left_out) == {"truncated.png", "empty.jpg", "text.png", "small.png"}
    assert pictures.left_out["small.png"] == "shorter side under 64 px"
    assert "empty" in pictures.left_out["empty.jpg"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """Grey, palette, transparent and CMYK pictures are read as RGB."""
    Image.new("RGB", (64, 64), (255, 255, 255)).convert(mode).save(tmp_path / "white.tif")
    (image,) = read_folder(tmp_path, 64).images
    assert image.shape == (64, 64, 3)
    assert (image == 255).all()


def test_a_folder_without_a_usable_picture_is_an_error(tmp_path: Path) -> None:
    """Nothing to train on is a TrainingError that counts what was looked at."""
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    with pytest.raises(TrainingError, match="1 files looked at"):
        read_folder(tmp_path, 64)


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


@pytest.mark.parametrize(
    ("count", "share", "runs"), [(1442, 0.03, 3), (100, 0.5, 3), (33, 0.01, 1)]
)
def test_pictures_are_held_out_in_contiguous_runs(count: int, share: float, runs: int) -> None:
    """Validation is whole runs of neighbours; training is all the rest, both in order."""
    train, held = hold_out(count, share, seed=0)
    assert sorted(train + held) == list(range(count))
    assert (train, held) == (sorted(train), sorted(held))
    assert len(held) == runs * HELD_OUT_RUN
    for k in range(0, len(held), HELD_OUT_RUN):
        run = held[k : k + HELD_OUT_RUN]
        assert run == list(range(run[0], run[0] + HELD_OUT_RUN))
        assert run[0] % HELD_OUT_RUN == 0


def test_holding_out_follows_the_seed() -> None:
    """One seed always holds out the same pictures; seeds differ."""
    assert hold_out(1000, 0.1, 5) == hold_out(1000, 0.1, 5)
    assert hold_out(1000, 0.1, 5) != hold_out(1000, 0.1, 6)


@pytest.mark.parametrize("count", [2, 3, 31])
def test_a_small_set_holds_out_its_last_picture(count: int) -> None:
    """A set too small for two runs validates on its last picture only."""
    assert hold_out(count, 0.5, 0) == (list(range(count - 1)), [count - 1])


def test_something_is_left_to_train_on() -> None:
    """However large the share wanted, one run stays for training."""
    train, held = hold_out(32, 0.99, 0)
    assert len(train) == len(held) == HELD_OUT_RUN


def test_one_picture_cannot_be_split() -> None:
    """One picture is never both trained and validated on."""
    with pytest.raises(TrainingError, match="at least 2"):
        hold_out(1, 0.5, 0)
