"""Which shapes a plan takes, which of them a call gets, and what is remembered of a choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from idrn_trt.engines import _cache
from idrn_trt.engines._trt_profiles import (
    BATCHES,
    WINDOWS_PX,
    BuildOptions,
    Profile,
    choose,
    choose_options,
    chosen_options,
    make_profiles,
)
from idrn_trt.errors import EngineMismatch, OptionError
from idrn_trt.faces.window import WINDOW_SIDES_PX


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_every_window_that_faces_are_cut_at_has_its_profiles() -> None:
    """By default a plan takes each window of the product, in each batch."""
    assert WINDOWS_PX == WINDOW_SIDES_PX
    assert len(make_profiles()) == len(WINDOWS_PX) * len(BATCHES)


def test_profiles_are_sorted_and_single() -> None:
    """The order they are asked for in, and asking twice, makes no other plan."""
    assert make_profiles((48, 32, 48), (4, 1)) == (
        Profile(32, 1), Profile(32, 4), Profile(48, 1), Profile(48, 4),
    )  # fmt: skip
    assert Profile(48, 4).shape == (4, 48, 48, 3)


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (2, 4), (3, 4), (4, 4), (5, 16), (16, 16)])
def test_the_smallest_batch_that_holds_them_is_chosen(count: int, batch: int) -> None:
    """So many windows run in the next larger batch of their own side."""
    profiles = make_profiles()
    assert profiles[choose(profiles, 64, count)] == Profile(64, batch)


@pytest.mark.parametrize(("window", "count"), [(40, 1), (32, 17), (32, 0), (256, 1)])
def test_what_no_profile_holds_is_refused_with_the_limits(window: int, count: int) -> None:
    """The refusal names the sides and the batch that the plan takes, and what was asked."""
    with pytest.raises(
        EngineMismatch, match=r"1 to 16 windows of 32, 48, 64, 80, 96, 112, 128 px"
    ) as caught:
        choose(make_profiles(), window, count)
    assert f"got {count} of {window}" in str(caught.value)


@pytest.mark.parametrize(
    ("windows", "batches"),
    [((), (1,)), ((32,), ()), ((7,), (1,)), ((1025,), (1,)), ((32,), (0,)), ((32,), (257,)),
     ((True,), (1,)), ((32.0,), (1,))],
)  # fmt: skip
def test_sizes_that_make_no_sense_are_refused(
    windows: tuple[int, ...], batches: tuple[int, ...]
) -> None:
    """Nothing at all, sizes out of range, and what are no whole numbers."""
    with pytest.raises(OptionError, match="whole numbers from"):
        make_profiles(windows, batches)


@pytest.mark.parametrize(
    "wrong",
    [{"level": 6}, {"level": -1}, {"workspace_mib": 0}, {"profiles": ()},
     {"profiles": (Profile(32, 1), Profile(32, 1))}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """A level there is not, no memory, no profile, the same profile twice."""
    with pytest.raises(OptionError, match="build: "):
        BuildOptions(**wrong)  # type: ignore[arg-type]


def test_a_choice_is_remembered_for_its_model_and_precision() -> None:
    """What was chosen comes back, and is nobody else's."""
    chosen = BuildOptions(
        profiles=make_profiles((48, 32), (1,)), level=5, workspace_mib=256, version_compatible=True
    )
    assert choose_options("a" * 64, "int8", chosen)
    assert chosen_options("a" * 64, "int8") == chosen
    assert chosen_options("a" * 64, "fp16") == BuildOptions()
    assert chosen_options("b" * 64, "int8") == BuildOptions()
    assert choose_options("a" * 64, "int8", BuildOptions())
    assert chosen_options("a" * 64, "int8") == BuildOptions()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"profiles": []}', '{"profiles": [{"window_px": 1, "batch": 1}]}',
     '{"profiles": [{"window_px": 32, "batch": 1}], "level": 99}',
     '{"profiles": [{"window_px": 32, "batch": 1}], "added_later": 1}',
     '{"profiles": [{"window_px": "32", "batch": 1}]}', '{"profiles": 3}', "\x00"],
)  # fmt: skip
def test_a_damaged_choice_is_no_choice(content: str) -> None:
    """What cannot be read, or was written by a release with other options, leaves the defaults."""
    folder = _cache.cache_folder("plans")
    assert folder is not None
    (folder / f"fp16-{'c' * 32}.json").write_text(content, encoding="utf-8")
    assert chosen_options("c" * 64, "fp16") == BuildOptions()


def test_without_a_cache_folder_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is then said not to be kept, and the defaults hold."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not choose_options("a" * 64, "fp16", BuildOptions(level=5))
    assert chosen_options("a" * 64, "fp16") == BuildOptions()
