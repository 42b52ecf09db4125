"""Which shapes a plan takes, which of them a call gets, and what is remembered of a choice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idrn_trt.engines import _cache
from idrn_trt.engines._trt_profiles import (
    BATCHES,
    WINDOW_SHAPES_PX,
    BuildOptions,
    Profile,
    choose,
    choose_options,
    chosen_options,
    make_profiles,
)
from idrn_trt.errors import EngineMismatch, OptionError
from idrn_trt.faces import window


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_every_window_that_faces_are_cut_at_has_its_profiles() -> None:
    """By default a plan takes each window of the product, in each batch."""
    assert WINDOW_SHAPES_PX == window.WINDOW_SHAPES_PX
    assert [profile.window for profile in make_profiles()[:: len(BATCHES)]] == list(
        WINDOW_SHAPES_PX
    )
    assert len(make_profiles()) == len(WINDOW_SHAPES_PX) * len(BATCHES)


def test_profiles_are_sorted_and_single() -> None:
    """The order they are asked for in, and asking twice, makes no other plan."""
    assert make_profiles(((48, 40), (32, 32), (48, 40)), (4, 1)) == (
        Profile(32, 32, 1), Profile(32, 32, 4), Profile(48, 40, 1), Profile(48, 40, 4),
    )  # fmt: skip


def test_a_profile_is_the_shape_of_its_pictures_and_says_width_first() -> None:
    """An array's axes are height, then width; people read WIDTHxHEIGHT, as --windows takes it."""
    profile = Profile(112, 88, 4)
    assert profile.shape == (4, 112, 88, 3)
    assert str(profile) == "4 windows of 88x112 px"


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (2, 4), (3, 4), (4, 4), (5, 16), (16, 16)])
def test_the_smallest_batch_that_holds_them_is_chosen(count: int, batch: int) -> None:
    """So many windows run in the next larger batch of their own shape."""
    profiles = make_profiles()
    assert profiles[choose(profiles, (64, 48), count)] == Profile(64, 48, batch)


@pytest.mark.parametrize(
    ("shape", "count"), [((40, 48), 1), ((32, 32), 17), ((32, 32), 0), ((256, 256), 1)]
)
def test_what_no_profile_holds_is_refused_with_the_limits(
    shape: tuple[int, int], count: int
) -> None:
    """The refusal names the sizes and the batch that the plan takes, what was asked, and the command."""
    with pytest.raises(
        EngineMismatch, match=r"1 to 16 windows of 32x32, 40x48, 48x64, .*, 128x128 px, got"
    ) as caught:
        choose(make_profiles(), shape, count)
    size = f"{shape[1]}x{shape[0]}"
    assert f"got {count} of {size}:" in str(caught.value)
    assert f"--windows {size} " in str(caught.value)


@pytest.mark.parametrize(
    ("windows", "batches"),
    [((), (1,)), (((32, 32),), ()), (((7, 32),), (1,)), (((32, 7),), (1,)), (((1025, 32),), (1,)),
     (((32, 32),), (0,)), (((32, 32),), (257,)), (((32, True),), (1,)), (((32.0, 32),), (1,))],
)  # fmt: skip
def test_sizes_that_make_no_sense_are_refused(
    windows: tuple[tuple[int, int], ...], batches: tuple[int, ...]
) -> None:
    """Nothing at all, sizes out of range, and what are no whole numbers."""
    with pytest.raises(OptionError, match="whole numbers from"):
        make_profiles(windows, batches)


@pytest.mark.parametrize(
    "wrong",
    [{"level": 6}, {"level": -1}, {"workspace_mib": 0}, {"profiles": ()},
     {"profiles": (Profile(32, 32, 1), Profile(32, 32, 1))}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """A level there is not, no memory, no profile, the same profile twice."""
    with pytest.raises(OptionError, match="build: "):
        BuildOptions(**wrong)  # type: ignore[arg-type]


def test_a_choice_is_remembered_for_its_model_and_precision() -> None:
    """What was chosen comes back, and is nobody else's."""
    chosen = BuildOptions(
        profiles=make_profiles(((48, 40), (32, 32)), (1,)),
        level=5,
        workspace_mib=256,
        version_compatible=True,
    )
    assert choose_options("a" * 64, "int8", chosen)
    assert chosen_options("a" * 64, "int8") == chosen
    assert chosen_options("a" * 64, "fp16") == BuildOptions()
    assert chosen_options("b" * 64, "int8") == BuildOptions()
    assert choose_options("a" * 64, "int8", BuildOptions())
    assert chosen_options("a" * 64, "int8") == BuildOptions()


def keep(content: str) -> None:
    """Write the choice for the model "ccc..." in fp16."""
    folder = _cache.cache_folder("plans")
    assert folder is not None
    (folder / f"fp16-{'c' * 32}.json").write_text(content, encoding="utf-8")


def choice(name: str = "level", value: int = 5, **changed: object) -> str:
    """What is kept of a choice of one profile, one option set and the profile's figures changed."""
    profile = {"height_px": 48, "width_px": 40, "batch": 1, **changed}
    return json.dumps({"profiles": [profile], name: value})


def test_a_choice_is_read_as_it_was_written() -> None:
    """The form that the damaged ones below are made from is a choice."""
    keep(choice())
    assert chosen_options("c" * 64, "fp16") == BuildOptions(profiles=(Profile(48, 40, 1),), level=5)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"profiles": []}', '{"profiles": 3}', "\x00", choice(height_px=1), choice("level", 99),
     choice("added_later", 1), choice(height_px="32"), choice(width_px=[32]), choice(batch=None),
     # as releases with square windows wrote it
     '{"profiles": [{"window_px": 32, "batch": 1}], "workspace_mib": null, "level": 5}'],
)  # fmt: skip
def test_a_damaged_choice_is_no_choice(content: str) -> None:
    """What cannot be read, or was written by a release with other options, leaves the defaults."""
    keep(content)
    assert chosen_options("c" * 64, "fp16") == BuildOptions()


def test_without_a_cache_folder_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is then said not to be kept, and the defaults hold."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not choose_options("a" * 64, "fp16", BuildOptions(level=5))
    assert chosen_options("a" * 64, "fp16") == BuildOptions()
