"""Perceptual hashes tell the same picture, saved again, from another one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from drawings import draw
from PIL import Image

from idrn_trt.toolchain.duplicates import BITS, NEAR_BITS, near_duplicates, perceptual_hash

UNRELATED = [perceptual_hash(draw(k, 90, 90)) for k in range(100, 160)]


def saved_again(image: Image.Image) -> Image.Image:
    """The picture at another size, in a lossy file."""
    data = io.BytesIO()
    image.resize((61, 67)).save(data, "JPEG", quality=60)
    return Image.open(data).convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        saved_again,
        lambda i: i.point(lambda v: min(255, v * 1.2 + 5)),
        lambda i: i.resize((300, 300)),
    ],
    ids=["lossy", "brighter", "larger"],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_picture_is_near(change: object, seed: int) -> None:
    """A picture saved again, made brighter or larger is a near-duplicate; others are not."""
    picture = draw(seed, 128, 128)
    changed = np.asarray(change(Image.fromarray(picture)))  # type: ignore[operator]
    look = perceptual_hash(changed)
    assert near_duplicates([look], [perceptual_hash(picture)]) == [True]
    assert near_duplicates([look], UNRELATED) == [False]


def test_nearness_is_counted_in_bits() -> None:
    """Up to NEAR_BITS differing bits are near, one more is not; the nearest of all decides."""
    look = UNRELATED[0]
    edge = look ^ ((1 << NEAR_BITS) - 1)
    beyond = look ^ ((1 << (NEAR_BITS + 1)) - 1) << 100
    opposite = look ^ ((1 << BITS) - 1)
    assert near_duplicates([edge, beyond, opposite], [look]) == [True, False, False]
    assert near_duplicates([look], [opposite, edge]) == [True]
    assert near_duplicates([], [look]) == []
    assert near_duplicates([look], []) == [False]


def test_hashes_fit_their_size() -> None:
    """A hash is a number of at most 256 bits, about half of them set, whatever the picture."""
    assert all(0 <= look < 1 << BITS for look in UNRELATED)
    assert all(BITS * 0.4 < look.bit_count() < BITS * 0.6 for look in UNRELATED)
    assert 0 <= perceptual_hash(np.zeros((5, 3, 3), np.uint8)) < 1 << BITS
