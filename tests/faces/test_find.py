"""Looking for faces piece by piece."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.faces.find import LOOK_MS, SWEEP_FRAMES, SWEEP_S, SWEEP_SHARE, Finder
from idrn_trt.faces.sweep import LEAST_TILE_PX, Sweep, lay_out, look_around
from idrn_trt.types import Box, Face

# players.py; the folders of tests are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "streaming"))

from players import Spots, spot

UInt8 = npt.NDArray[np.uint8]
SIZES = [(640, 480), (1920, 1080), (1280, 720), (320, 240), (161, 97), (90, 400), (33, 20)]


def never(_track: object) -> bool:
    """No window is ever unchanged."""
    return False


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("smallest_px", [16, 24, 48])
def test_every_face_is_whole_in_a_tile(width: int, height: int, smallest_px: int) -> None:
    """A square of any size at any place lies inside a tile in which it is not below the smallest size."""
    rng = np.random.default_rng(0)
    tiles = lay_out(width, height, smallest_px)
    for _ in range(300):
        side = smallest_px * float(np.exp(rng.uniform(0, 4)))
        if side > min(width, height):
            continue
        x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
        assert any(
            tile.x <= x
            and tile.y <= y
            and x + side <= tile.x + tile.w
            and y + side <= tile.y + tile.h
            and side * tile.size[0] / tile.w >= smallest_px * 0.99
            for tile in tiles
        ), (x, y, side)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_tiles_are_small_and_inside(width: int, height: int) -> None:
    """Whatever the frame's size, no tile is looked at in more than 240x240 pixels at 24 px."""
    for tile in lay_out(width, height, 24):
        assert 0 <= tile.x <= width - tile.w
        assert 0 <= tile.y <= height - tile.h
        assert max(tile.size) <= 240
    assert max(max(tile.size) for tile in lay_out(width, height, 1)) <= LEAST_TILE_PX


@pytest.mark.parametrize("side", [24, 50, 100, 190])
def test_a_sweep_finds_faces_where_they_are(side: int) -> None:
    """In frame pixels, to a pixel or two for those found in a shrunk frame."""
    sweep = Sweep(Spots())
    frame = spot(300, 170, side, (640, 480))
    sweep.fit(frame)
    found = [face.box for _ in sweep.tiles for face in sweep.step(frame)]
    near = [b for b in found if abs(b.x - 300) < 4 and abs(b.y - 170) < 4 and abs(b.w - side) < 8]
    assert near


@pytest.mark.parametrize(("x", "y"), [(0, 0), (300, 220), (150, 100)])
@pytest.mark.parametrize("side", [20, 60])
def test_around_a_known_face_little_is_looked_at(x: int, y: int, side: int) -> None:
    """The face is found at its place, at the frame's edge too, in 64x64 pixels whatever its size."""
    detector = Spots()
    frame = spot(min(x, 320 - side), min(y, 240 - side), side)
    box = Box(min(x, 320 - side) + 3, min(y, 240 - side) - 2, side, side)
    (face,) = look_around(detector, frame, box)
    assert abs(face.box.x - min(x, 320 - side)) < 2
    assert abs(face.box.y - min(y, 240 - side)) < 2
    assert abs(face.box.w - side) < 3
    assert detector.looked_px == 64 * 64


def test_a_file_is_looked_through_at_first_and_then_by_and_by() -> None:
    """A face in the first frame is found in it; one that comes later within SWEEP_FRAMES."""
    finder = Finder(Spots(), live=False)
    (track,) = finder.find(spot(40, 50), 0.0, never)
    assert (track.face.box.x, track.face.box.y) == (40, 50)
    frame = np.maximum(spot(40, 50), spot(250, 150))
    counts = [len(finder.find(frame, k / 25, never)) for k in range(1, SWEEP_FRAMES + 1)]
    assert counts[-1] == 2


def test_a_face_is_followed() -> None:
    """One that moves keeps its number and is found in every frame, without the whole being looked at."""
    detector = Spots()
    finder = Finder(detector, live=False)
    finder.find(spot(20, 100), 0.0, never)
    detector.looked_px = 0
    for k in range(1, 30):
        (track,) = finder.find(spot(20 + 8 * k, 100), k / 25, never)
        assert track.number == 1
        assert abs(track.face.box.x - (20 + 8 * k)) < 2
    assert detector.looked_px < 0.75 * 29 * 320 * 240


def test_a_face_that_is_gone_is_forgotten() -> None:
    """After it has not been seen for half a second there is no track."""
    finder = Finder(Spots(), live=False)
    finder.find(spot(20, 100), 0.0, never)
    empty = np.full((240, 320, 3), 40, np.uint8)
    alive = [len(finder.find(empty, k / 25, never)) for k in range(1, 20)]
    assert alive[5] == 1
    assert alive[-1] == 0


def test_what_does_not_change_is_not_looked_at() -> None:
    """An unchanged window counts as seen, but is looked at again once a second: it may be no face."""
    detector = Spots()
    finder = Finder(detector, live=False, every=1000)
    finder.find(spot(20, 100), 0.0, never)
    looks = detector.looks
    for k in range(1, 50):
        finder.find(spot(20, 100), k / 25, lambda _track: True)
    assert 1 <= detector.looks - looks <= 3


def test_a_late_frame_is_not_searched_but_the_next_is() -> None:
    """Where every frame is late, every second one is looked at; in between faces are where they were."""
    detector = Spots()
    finder = Finder(detector, live=True)
    finder.find(spot(20, 100), 0.0, never)
    searched = []
    for k in range(1, 9):
        before = detector.looks
        (track,) = finder.find(spot(20 + 4 * k, 100), k / 25, never, late=True)
        searched.append(detector.looks > before)
        seen_at = k if searched[-1] else k - 1
        assert abs(track.face.box.x - (20 + 4 * seen_at)) < 2
    assert searched == [False, True] * 4


def looks(monkeypatch: pytest.MonkeyPatch, look_s: float, seconds: int) -> list[int]:
    """How many tiles of each frame of 1920x1080 at 30 frames/s are looked at when a look takes look_s."""

    class Timed(Spots):
        def detect(self, frame: UInt8) -> list[Face]:
            now[0] += look_s
            return super().detect(frame)

    now = [0.0]
    monkeypatch.setattr("idrn_trt.faces.find.time", SimpleNamespace(perf_counter=lambda: now[0]))
    detector = Timed()
    finder = Finder(detector, live=True)
    empty = np.full((1080, 1920, 3), 40, np.uint8)
    counts = []
    for k in range(30 * seconds):
        before = detector.looks
        finder.find(empty, k / 30, never)
        counts.append(detector.looks - before)
    return counts


def test_every_place_is_looked_at_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any 30 consecutive frames see every tile; none looks for long, and after a first round none at many."""
    tiles = len(lay_out(1920, 1080, Spots.smallest_face_px))
    look_s = 0.0005
    counts = looks(monkeypatch, look_s, 3)
    assert min(sum(counts[k : k + 30]) for k in range(60)) >= tiles
    assert max(counts) <= LOOK_MS / 1e3 / look_s + 1
    assert max(counts[30:]) <= math.ceil(tiles / 27) + 1


def test_looking_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector too slow for a second is given a quarter of the time, one look a frame."""
    counts = looks(monkeypatch, 0.05, 4)
    assert max(counts) == 1
    assert sum(counts) * 0.05 <= (4 + SWEEP_S) * SWEEP_SHARE + 0.05


@pytest.mark.parametrize("frame_s", [1 / 30, 1 / 10])
def test_a_face_of_24_px_is_met_within_a_second(
    frame_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in 1920x1080 it comes up, and whenever in the sweep, counted in frames."""
    monkeypatch.setattr("idrn_trt.faces.find.time", SimpleNamespace(perf_counter=lambda: 0.0))
    rng = np.random.default_rng(0)
    empty = np.full((1080, 1920, 3), 40, np.uint8)
    for _ in range(6):
        finder = Finder(Spots(), live=True)
        begin = int(rng.integers(5, round(1.5 / frame_s)))
        for k in range(begin):
            assert finder.find(empty, k * frame_s, never) == []
        frame = spot(int(rng.integers(1890)), int(rng.integers(1050)), 24, (1920, 1080))
        frames = range(begin, begin + round(1 / frame_s))
        assert any(finder.find(frame, k * frame_s, never) for k in frames)


def test_a_false_face_is_not_met_twice() -> None:
    """What a closer look does not confirm begins no track."""

    class Hasty(Spots):
        def detect(self, frame: UInt8) -> list[object]:  # type: ignore[override]
            return super().detect(frame) if frame.shape[0] > 64 else []

    finder = Finder(Hasty(), live=False)  # type: ignore[arg-type]
    assert finder.find(spot(40, 50), 0.0, never) == []


def test_whole_frames_at_intervals() -> None:
    """With every=3 the whole of every third frame is looked at."""
    detector = Spots()
    finder = Finder(detector, live=False, every=3)
    empty = np.full((240, 320, 3), 40, np.uint8)
    looked = []
    for k in range(7):
        before = detector.looked_px
        finder.find(empty, k / 25, never)
        looked.append(detector.looked_px - before == 320 * 240)
    assert looked == [True, False, False, True, False, False, True]
