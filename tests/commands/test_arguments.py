"""Arguments that several verbs share."""

from __future__ import annotations

import argparse

import pytest

from idrn_trt.cli import build_parser
from idrn_trt.commands.arguments import out_size, size_px


def windows(text: str) -> tuple[tuple[int, int], ...]:
    """What `idrn-trt build --windows` makes of a text."""
    args = build_parser().parse_args(["build", "m", "--precision", "int8", "--windows", text])
    found: tuple[tuple[int, int], ...] = args.windows
    return found


def test_a_size_is_width_then_height() -> None:
    """1280x720 is 1280 wide; --out-size also takes auto, which is no size."""
    assert size_px("1280x720") == (1280, 720)
    assert out_size("1280x720") == (1280, 720)
    assert out_size("auto") is None


def test_windows_are_sizes_or_sides() -> None:
    """--windows takes sizes as people write them, N for NxN, and gives (h, w)."""
    assert windows("40x48,32") == ((48, 40), (32, 32))


@pytest.mark.parametrize("text", ["0x32", "32x0", "32y32", "x", "", "123456x1", "-1x1", "1x1x1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """The text is named with what was expected of it."""
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is no WIDTHxHEIGHT"):
        size_px(text)
    with pytest.raises(argparse.ArgumentTypeError, match="neither WIDTHxHEIGHT nor auto"):
        out_size(text)


@pytest.mark.parametrize(("text", "named"), [("abc", "'abc'"), ("40x48,", "''"), ("0", "'0x0'")])
def test_a_wrong_window_is_named(text: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several windows the wrong one is told."""
    with pytest.raises(SystemExit):
        windows(text)
    assert f"{named} is no WIDTHxHEIGHT such as 40x48" in capsys.readouterr().err
