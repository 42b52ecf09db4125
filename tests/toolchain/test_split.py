"""Training and test share no picture, no near-duplicate and no group."""

from __future__ import annotations

import pytest
from drawings import draw
from PIL import Image

from idrn_trt.errors import TrainingError
from idrn_trt.toolchain.crops import Crops, open_crops
from idrn_trt.toolchain.split import HELD_OUT_RUN, hold_out, split_test, without_duplicates


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    """60 pictures; persons of three pictures each for the first 30; 50 to 59 repeat 40 to 49."""
    root = tmp_path_factory.mktemp("people")
    for k in range(60):
        pixels = draw(k if k < 50 else k - 10, 72, 72)
        Image.fromarray(pixels).save(root / f"{k:02}.jpg", quality=95 if k < 50 else 60)
    lines = [f"{k:02}.jpg,p{k // 3}" for k in range(30)]
    (root / "manifest.csv").write_text("\n".join(["file,person", *lines]))
    return open_crops(f"folder:{root}", 64)


def names(crops: Crops) -> set[str]:
    """The names of these crops."""
    return {entry.name for entry in crops.entries}


@pytest.mark.parametrize("seed", range(5))
def test_a_test_set_is_drawn(crops: Crops, seed: int) -> None:
    """As many as asked are drawn; what is in neither set was dropped as a near-duplicate."""
    split = split_test(crops, 20, seed)
    assert len(split.test) == 20
    assert not names(split.test) & names(split.train)
    assert len(split.train) + split.dropped == 40
    assert split.train.path == split.test.path == crops.path


@pytest.mark.parametrize("seed", range(5))
def test_no_person_is_in_both(crops: Crops, seed: int) -> None:
    """All pictures of a person fall on one side."""
    split = split_test(crops, 20, seed)
    test, train = ({e.group for e in part.entries} for part in (split.test, split.train))
    assert not test & train
    assert any(group.startswith("person") for group in test)


@pytest.mark.parametrize("seed", range(5))
def test_no_near_duplicate_is_in_both(crops: Crops, seed: int) -> None:
    """Of a picture and its copy of lower quality no one trains on the one and tests on the other."""
    split = split_test(crops, 20, seed)
    expected = {
        f"{k:02}.jpg" if f"{k + 10}.jpg" in names(split.test) else f"{k + 10}.jpg"
        for k in range(40, 50)
        if len({f"{k:02}.jpg", f"{k + 10}.jpg"} & names(split.test)) == 1
    }
    assert names(crops) - names(split.test) - names(split.train) == expected
    assert split.dropped == len(expected)


def test_splitting_follows_the_seed(crops: Crops) -> None:
    """One seed always draws the same pictures; another draws others."""
    first, again, other = (names(split_test(crops, 20, seed).test) for seed in (3, 3, 4))
    assert first == again != other


@pytest.mark.parametrize("count", [60, 61, 500])
def test_too_large_a_test_set_is_refused(crops: Crops, count: int) -> None:
    """A test that would leave nothing to train on is a TrainingError that names the option."""
    with pytest.raises(TrainingError, match="--test-count"):
        split_test(crops, count, 0)


def test_duplicates_of_another_set_are_dropped(crops: Crops) -> None:
    """Only the pictures that look like one of the others go."""
    originals, copies = crops[:50], crops[50:]
    assert names(originals) - names(without_duplicates(originals, copies)) == {
        f"{k}.jpg" for k in range(40, 50)
    }


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
