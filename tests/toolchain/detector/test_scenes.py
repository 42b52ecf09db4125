"""Composed scenes: repeatable, and with boxes where the faces are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from idrn_trt.toolchain.detector.light import camera, lit
from idrn_trt.toolchain.detector.pictures import Picture, Pictures, read_pictures
from idrn_trt.toolchain.detector.placing import filling, placement
from idrn_trt.toolchain.detector.scenes import Composer

SIDE = 128


@pytest.fixture(scope="module")
def pictures(scenes: Path) -> Pictures:
    """The training pictures."""
    return read_pictures(scenes)[0]


def test_a_scene_follows_from_seed_and_index(pictures: Pictures) -> None:
    """The same scene comes again whatever was composed before; another seed or index gives another."""
    first = Composer(pictures, SIDE, seed=1)(7)
    composer = Composer(pictures, SIDE, seed=1)
    composer(3)
    again = composer(7)
    assert (first.pixels == again.pixels).all()
    assert (first.boxes == again.boxes).all()
    assert (composer(8).pixels != first.pixels).any()
    assert (Composer(pictures, SIDE, seed=2)(7).pixels != first.pixels).any()


def test_scenes_are_whole(pictures: Pictures) -> None:
    """Every scene is a picture of the size asked for with matching lists; most have faces, some none."""
    composer = Composer(pictures, SIDE, seed=0)
    made = [composer(index) for index in range(40)]
    for scene in made:
        assert scene.pixels.shape == (SIDE, SIDE, 3)
        assert scene.pixels.dtype == np.uint8
        assert scene.boxes.shape == (len(scene.counted), 4)
        assert (scene.boxes[:, 2:] > 0).all()
        counted = scene.boxes[scene.counted]
        middle = counted[:, :2] + counted[:, 2:] / 2
        assert ((middle > 0) & (middle < SIDE)).all()
    empty = sum(len(scene.boxes) == 0 for scene in made)
    assert 0 < empty < 15


def test_hard_backgrounds_are_shown(pictures: Pictures) -> None:
    """A background that is named as hard turns up in many of the scenes."""
    red = np.zeros((90, 120, 3), np.uint8)
    red[..., 0] = 255

    def reds(hard: list[np.ndarray]) -> int:  # type: ignore[type-arg]  # a picture
        composer = Composer(pictures, SIDE, seed=3, hard=hard)
        scenes = [composer(k).pixels.astype(int) for k in range(40)]
        return sum(((s[..., 0] > 2 * s[..., 1:].max(-1) + 40).mean() > 0.1) for s in scenes)

    assert reds([red]) > reds([]) + 5


@pytest.mark.parametrize("seed", range(8))
def test_the_box_is_where_the_face_is_drawn(seed: int) -> None:
    """A white ellipse on black, turned and scaled, fills the box that is said to hold it."""
    y, x = np.mgrid[:120, :100]
    inside = ((x - 50) / 20) ** 2 + ((y - 55) / 30) ** 2 < 1
    pixels = np.repeat((inside * 255).astype(np.uint8)[..., None], 3, axis=2)
    picture = Picture("", pixels, np.array([[30, 25, 40, 60]], np.float32))
    rng = np.random.default_rng(seed)
    placed = placement(picture.boxes[0], 0.4 + 0.2 * seed, 256, rng, whole=True)
    patch, _ = placed.drawn(picture, 0, 256, rng, whole=True)
    rows, columns = np.nonzero(patch[..., 0] > 127)
    left, top, w, h = placed.boxes(picture.boxes)[0].tolist()
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    expected = np.clip([left, top, left + w, top + h], 0, 256)
    assert np.abs(seen - expected).max() < 3


@pytest.mark.parametrize("zoom", [0.5, 0.9, 1.0, 2.5])
@pytest.mark.parametrize("shape", [(40, 300, 3), (300, 40, 3), (64, 64, 3)])
def test_a_background_fills_its_square(shape: tuple[int, int, int], zoom: float) -> None:
    """Whatever its shape and the zoom, a picture covers the square wholly."""
    rng = np.random.default_rng(0)
    square = filling(np.full(shape, 77, np.uint8), 96, zoom, rng)
    assert square.shape == (96, 96, 3)
    assert (square == 77).all()


def test_light_and_camera_keep_the_picture(pictures: Pictures) -> None:
    """Light and camera change levels, never size or type; grey scenes have three equal channels."""
    pixels = pictures.backgrounds[0].pixels[:64, :64]
    greys = 0
    for index in range(30):
        rng = np.random.default_rng(index)
        for made in (lit(pixels, rng), camera(pixels, 0, index, rng)):
            assert made.shape == pixels.shape
            assert made.dtype == np.uint8
        greys += bool((made == made[..., :1]).all())
    assert 0 < greys < 15
