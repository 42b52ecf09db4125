"""The cache folder: where it is, who may use it, and doing without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idrn_trt.engines._cache import cache_folder


def test_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are made on demand below XDG_CACHE_HOME, for nobody but their owner."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_folder("a", "b")
    assert folder == tmp_path / "cache" / "idrn_trt" / "a" / "b"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder("a", "b") == folder


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_without_a_usable_variable_it_is_below_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """An empty or relative XDG_CACHE_HOME is ignored, as its specification asks."""
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "idrn_trt"


def test_open_to_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that other users may write to could hold anything, so there is no cache then."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "idrn_trt").mkdir()
    (tmp_path / "idrn_trt").chmod(0o777)
    assert cache_folder("probes") is None


def test_impossible_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be made there is no cache, and no error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder() is None


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_read_only_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be written is no cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("a") is not None
    (tmp_path / "idrn_trt" / "a").chmod(0o500)
    assert cache_folder("a") is None
