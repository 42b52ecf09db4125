"""The cache of plans: real files, real processes; a plan is any bytes to it."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from idrn_trt.engines import _plans
from idrn_trt.engines._plans import Gpu, PlanKey, open_plan
from idrn_trt.errors import DeviceError

GPU = Gpu("NVIDIA GeForce GTX 1660", (7, 5), 13000, 13)
KEY = PlanKey(
    onnx_sha256="0" * 64,
    precision="fp16",
    profiles=((48, 40, 1), (48, 40, 4)),
    tensorrt="11.4.0.106",
    gpu=GPU,
    level=3,
    workspace_mib=None,
    flags=("STRONGLY_TYPED",),
)
PLAN = bytes(range(256)) * 40


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of plans, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "idrn_trt" / "plans"


def build() -> bytes:
    """A plan."""
    return PLAN


def never() -> bytes:
    """What is called where nothing may be built."""
    raise AssertionError("built again")


def refusing(times: int) -> Callable[[bytes], bytes | None]:
    """A loader that refuses so many plans before it takes them."""
    answers = [None] * times
    return lambda plan: answers.pop() if answers else plan


def test_a_plan_is_built_once(folder: Path) -> None:
    """The second opening reads what the first has built, and has nothing to note."""
    loaded, notes = open_plan(KEY, build, bytes)
    assert loaded == PLAN
    assert notes == [
        "the TensorRT plan is built: there is none yet for this model, GPU and choice of options"
    ]
    assert open_plan(KEY, never, bytes) == (PLAN, [])
    assert len(list(folder.glob("*.plan"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"onnx_sha256": "1" * 64},
        {"precision": "int8"},
        {"profiles": ((48, 40, 1),)},
        {"profiles": ((48, 40, 4), (48, 40, 1))},
        {"profiles": ((40, 48, 1), (40, 48, 4))},
        {"profiles": ((48, 1), (48, 4))},  # as releases with square windows had them
        {"level": 5},
        {"workspace_mib": 512},
        {"flags": ("STRONGLY_TYPED", "VERSION_COMPATIBLE")},
        {"gpu": dataclasses.replace(GPU, name="NVIDIA GeForce GTX 1650")},
        {"gpu": dataclasses.replace(GPU, compute_capability=(8, 6))},
    ],
)
def test_another_plan_has_its_own_file(folder: Path, change: dict[str, object]) -> None:
    """What makes a different plan gets a file beside the first, which stays valid."""
    open_plan(KEY, build, bytes)
    other, notes = open_plan(dataclasses.replace(KEY, **change), lambda: b"other", bytes)
    assert other == b"other"
    assert "there is none yet" in notes[0]
    assert open_plan(KEY, never, bytes)[0] == PLAN
    assert len(list(folder.glob("*.plan"))) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tensorrt": "11.5.0.1"}, "for TensorRT 11.4.0.106, this is 11.5.0.1"),
        (
            {"gpu": dataclasses.replace(GPU, driver=13010)},
            "for a driver for CUDA 13000, this is 13010",
        ),
        ({"gpu": dataclasses.replace(GPU, cuda_major=12)}, "for CUDA 13, this is 12"),
    ],
)
def test_an_update_replaces_the_plan_and_says_so(
    folder: Path, change: dict[str, object], said: str
) -> None:
    """A plan that an update has made stale is built anew in its place, with both versions named."""
    open_plan(KEY, build, bytes)
    newer = dataclasses.replace(KEY, **change)
    plan, notes = open_plan(newer, lambda: b"newer", bytes)
    assert plan == b"newer"
    assert said in notes[0]
    assert open_plan(newer, never, bytes) == (b"newer", [])
    assert len(list(folder.glob("*.plan"))) == 1


def test_our_own_format_makes_a_plan_stale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that builds the same key differently does not take the older release's plan."""
    open_plan(KEY, build, bytes)
    monkeypatch.setattr(_plans, "FORMAT_VERSION", _plans.FORMAT_VERSION + 1)
    plan, notes = open_plan(KEY, lambda: b"new", bytes)
    assert plan == b"new"
    assert "plan format 1, this is 2" in notes[0]
    assert folder.is_dir()


def test_a_plan_that_is_refused_is_built_again() -> None:
    """TensorRT answering None for a cached plan leads to a new one and a note."""
    key = dataclasses.replace(KEY, onnx_sha256="2" * 64)
    open_plan(key, build, bytes)
    plan, notes = open_plan(key, lambda: b"again", refusing(2))
    assert plan == b"again"
    assert notes == ["the TensorRT plan is built: TensorRT refuses the one in the cache"]


def test_a_new_plan_that_is_refused_is_an_error(folder: Path) -> None:
    """A plan that does not load right after it was built is not kept."""
    with pytest.raises(DeviceError, match="refuses the plan that it has just built"):
        open_plan(KEY, build, refusing(9))
    assert list(folder.glob("*.plan")) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:20],
        lambda _: b"",
        lambda data: b"x" + data[1:],
        lambda data: data.replace(b'"key"', b'"kez"'),
        lambda data: data.replace(b'{"key"', b'["key"'),
        lambda data: data[:-10] + b"0123456789",
        lambda _: b"idrn_trt plan\n[]\n" + PLAN,
        lambda _: b'idrn_trt plan\n{"key": 3, "sha256": 4}\n' + PLAN,
    ],
)
def test_a_damaged_plan_is_never_loaded(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    """Truncated, altered or foreign bytes are noticed before TensorRT sees them, and replaced."""
    open_plan(KEY, build, bytes)
    (path,) = folder.glob("*.plan")
    path.write_bytes(damage(path.read_bytes()))
    seen: list[bytes] = []
    _, notes = open_plan(KEY, build, lambda plan: seen.append(plan) or plan)
    assert seen == [PLAN]
    assert "damaged" in notes[0]
    assert open_plan(KEY, never, bytes)[0] == PLAN


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """A plan elsewhere is not loaded through a link in the folder; the link is replaced by a file."""
    open_plan(KEY, build, bytes)
    (path,) = folder.glob("*.plan")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    _, notes = open_plan(KEY, build, bytes)
    assert "cannot be read" in notes[0]
    assert not path.is_symlink()


def test_the_folder_is_for_its_owner_alone(folder: Path) -> None:
    """The folder has mode 0700, also where it was there with another."""
    folder.mkdir(parents=True, mode=0o755)
    folder.parent.chmod(0o755)
    open_plan(KEY, build, bytes)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    """Nothing is read from or written to such a folder; the plan is built and not kept."""
    open_plan(KEY, build, bytes)
    before = sorted(folder.iterdir())
    folder.chmod(0o777)
    plan, notes = open_plan(KEY, lambda: b"fresh", bytes)
    assert plan == b"fresh"
    assert "not kept" in notes[0]
    assert sorted(folder.iterdir()) == before


def test_without_a_folder_the_plan_is_built_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there can be no cache folder the plan is used all the same, and that is noted."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        plan, notes = open_plan(KEY, build, bytes)
        assert plan == PLAN
        assert notes == ["the TensorRT plan is built and not kept: no cache folder of one's own"]


def test_a_full_disk_costs_the_cache_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that cannot be written is used all the same, noted, and leaves nothing behind."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    plan, notes = open_plan(KEY, build, bytes)
    assert plan == PLAN
    assert "no space left on device" in notes[-1]
    assert [p.suffix for p in folder.iterdir()] == [".lock"]


def test_an_interrupted_build_leaves_nothing() -> None:
    """Ctrl-C in a build goes through, and neither a plan nor a part of one remains."""

    def interrupted() -> bytes:
        raise KeyboardInterrupt

    key = dataclasses.replace(KEY, onnx_sha256="3" * 64)
    with pytest.raises(KeyboardInterrupt):
        open_plan(key, interrupted, bytes)
    assert open_plan(key, build, bytes)[0] == PLAN


def test_what_is_said_is_said_at_once() -> None:
    """The reason for a build is told before it starts, not after minutes of it."""
    said: list[str] = []

    def build_and_look() -> bytes:
        assert len(said) == 1
        return PLAN

    key = dataclasses.replace(KEY, onnx_sha256="4" * 64)
    _, notes = open_plan(key, build_and_look, bytes, say=said.append)
    assert said == notes


_CHILD = """
import pathlib, sys, time
sys.path.insert(0, {root!r})
from idrn_trt.engines._plans import Gpu, PlanKey, open_plan
KEY = {key!r}
go, builds = pathlib.Path({go!r}), pathlib.Path({builds!r})
def build():
    with builds.open("a") as file:
        file.write("built\\n")
    print("building", flush=True)
    while not go.exists():
        time.sleep(0.01)
    return b"plan of one process"
plan, notes = open_plan(KEY, build, bytes, say=lambda text: print(text, flush=True))
print("has", plan.decode(), flush=True)
"""


def child(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that opens KEY's plan and builds until the file "go" is there."""
    code = _CHILD.format(
        root=str(Path(_plans.__file__).parents[2]),
        key=KEY,
        go=str(tmp_path / "go"),
        builds=str(tmp_path / "builds"),
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints; "" when it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.usefixtures("folder")
def test_two_processes_build_once(tmp_path: Path) -> None:
    """A second process waits, says so, and takes the plan that the first has built."""
    with child(tmp_path) as first, child(tmp_path) as second:
        # Whichever comes first says "the TensorRT plan is built", then "building".
        said = {line(first), line(second)}
        assert len(said) == 2
        assert "another process builds this TensorRT plan: waiting for it" in said
        (tmp_path / "go").touch()
        rest = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert all("has plan of one process" in text for text in rest)
    assert (tmp_path / "builds").read_text().splitlines() == ["built"]


@pytest.mark.usefixtures("folder")
def test_a_builder_that_is_killed_lets_the_next_one_build(tmp_path: Path) -> None:
    """The lock of a process that was killed while building does not outlive it."""
    with child(tmp_path) as first:
        line(first)
        assert line(first) == "building"
        first.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()
    with child(tmp_path) as second:
        assert "has plan of one process" in second.communicate(timeout=60)[0]
    assert len((tmp_path / "builds").read_text().splitlines()) == 2
