"""Degraded pictures: seeded, aligned with their truth, and worse than bicubic's in the ways meant."""

from __future__ import annotations

import io

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from idrn_trt.quality.metrics import psnr
from idrn_trt.quality.pairs import evaluation_pair
from idrn_trt.toolchain import degrade
from idrn_trt.toolchain.degrade import Degradation


def pairs(count: int, scale: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """(bicubic LR, HR) of drawn pictures, LR 32."""
    return [evaluation_pair(draw(k, 140, 150), scale, 32) for k in range(count)]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_form_is_that_of_bicubic(scale: int) -> None:
    """LR has HR's sides over the scale, square or not, uint8, in memory of its own."""
    hr = draw(0, 32 * scale, 20 * scale)
    lr = Degradation()(hr, scale, 0)
    assert (lr.shape, lr.dtype) == ((32, 20, 3), np.uint8)
    assert lr.flags.c_contiguous


def test_a_picture_follows_from_seed_and_index() -> None:
    """The same seed and index give the same picture in any order; others give others."""
    hr = draw(0, 128, 128)
    forward = [Degradation(7)(hr, 4, k) for k in range(20)]
    backward = [Degradation(7)(hr, 4, k) for k in reversed(range(20))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert not np.array_equal(forward[0], forward[1])
    assert not np.array_equal(Degradation(8)(hr, 4, 0), forward[0])


def test_pictures_are_worse_but_the_same() -> None:
    """Against bicubic's LR the degraded one has 18 to 40 dB: visibly worse, still the same picture."""
    values = [psnr(Degradation()(hr, 4, k), lr) for k, (lr, hr) in enumerate(pairs(60))]
    assert np.quantile(values, 0.05) > 18
    assert 22 < np.median(values) < 36
    assert np.quantile(values, 0.95) < 42


def test_nothing_is_shifted() -> None:
    """On average over many pictures LR fits bicubic's better in its place than a pixel beside it."""
    errors = {(y, x): 0.0 for y in (-1, 0, 1) for x in (-1, 0, 1)}
    for k, (lr, hr) in enumerate(pairs(60)):
        got = Degradation()(hr, 4, k).astype(float)
        for y, x in errors:
            moved = np.roll(got, (y, x), (0, 1))
            errors[y, x] += float(((moved - lr)[2:-2, 2:-2] ** 2).mean())
    assert min(errors, key=errors.__getitem__) == (0, 0)
    # A shift of a fraction would make opposite neighbours differ.
    assert errors[0, 1] == pytest.approx(errors[0, -1], rel=0.15)
    assert errors[1, 0] == pytest.approx(errors[-1, 0], rel=0.15)


def test_brightness_is_kept() -> None:
    """Noise in linear light and JPEG do not make pictures brighter or darker by over a level or so."""
    shifts = [
        float(Degradation()(hr, 4, k).mean() - lr.mean()) for k, (lr, hr) in enumerate(pairs(60))
    ]
    assert abs(np.mean(shifts)) < 1.5


def test_every_stage_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blur, chains and noise are in their shares of pictures, JPEG in all, at qualities of 30 to 90."""
    counts = dict.fromkeys(("_blur", "_noise"), 0)
    for name in counts:
        original = getattr(degrade, name)

        def counted(*args: object, name: str = name, original: object = original) -> object:
            counts[name] += 1
            return original(*args)  # type: ignore[operator]

        monkeypatch.setattr(degrade, name, counted)
    qualities = []
    save = Image.Image.save

    def saved(self: Image.Image, file: io.BytesIO, kind: str, **options: int) -> None:
        qualities.append(options["quality"])
        save(self, file, kind, **options)

    monkeypatch.setattr(Image.Image, "save", saved)
    hr = draw(0, 64, 64)
    for k in range(400):
        Degradation()(hr, 2, k)
    assert all(280 < count < 360 for count in counts.values())
    assert len(qualities) == 400
    assert (min(qualities), max(qualities)) == pytest.approx((30, 90), abs=1)


def test_noise_grows_with_light() -> None:
    """In linear light the noise of a bright area is the larger, in grey levels of a dark one too."""
    rng = np.random.default_rng(0)
    dark, bright = (
        np.mean(
            [degrade._noise(np.full((32, 32, 3), level, np.uint8), rng).std() for _ in range(50)]
        )
        for level in (20, 200)
    )
    assert dark > bright > 0.5
