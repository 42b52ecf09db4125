"""The boxes in a network's answer."""

from __future__ import annotations

import numpy as np
import pytest

from idrn_trt.faces.grid import STRIDES, VALUES, decode


def silence(height: int = 6, width: int = 9) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An answer in which no cell sees a face."""
    return np.full((len(STRIDES) * VALUES, height, width), -9, np.float32)


def test_nothing_seen_is_no_box() -> None:
    """Cells below the score give empty arrays of the right shapes."""
    boxes, scores = decode(silence(), 0.5)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize(("level", "stride"), list(enumerate(STRIDES)))
def test_a_cell_says_where_its_face_is(level: int, stride: int) -> None:
    """Centre and size are in the level's strides, from the middle of a cell of 8 pixels."""
    answer = silence()
    answer[level * VALUES :, 2, 5][:VALUES] = (2.0, 0.5, -0.25, np.log(3), np.log(4))
    boxes, scores = decode(answer, 0.5)
    x, y = (5 + 0.5) * 8 + 0.5 * stride, (2 + 0.5) * 8 - 0.25 * stride
    expected = [x - 1.5 * stride, y - 2 * stride, 3 * stride, 4 * stride]
    np.testing.assert_allclose(boxes, [expected], rtol=1e-6)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2))], rtol=1e-6)


def test_the_least_score_is_the_border() -> None:
    """A cell counts when its score is above the least one, not below."""
    answer = silence()
    answer[0, 0, 0], answer[0, 1, 1] = np.log(0.61 / 0.39), np.log(0.59 / 0.41)
    _, scores = decode(answer, 0.6)
    np.testing.assert_allclose(scores, [0.61], rtol=1e-5)


def test_absurd_sizes_stay_finite() -> None:
    """A logarithm beyond every frame is cut, so that no box is infinite."""
    answer = silence()
    answer[:VALUES, 0, 0] = (5.0, 0.0, 0.0, 1e4, 1e4)
    boxes, _ = decode(answer, 0.5)
    assert np.isfinite(boxes).all()
