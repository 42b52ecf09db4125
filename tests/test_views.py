"""What of a result is shown."""

from __future__ import annotations

import numpy as np

from idrn_trt.types import Result
from idrn_trt.views import GREY, compose


def test_split_has_interpolation_left_and_the_result_right() -> None:
    """Both halves are at their places, with a line of two columns between them."""
    frame = np.full((20, 30, 3), 50, np.uint8)
    result = Result(np.full((40, 60, 3), 200, np.uint8), [])
    shown = compose("split", frame, result)
    assert shown is not None
    assert (shown[:, :29] == 50).all()
    assert (shown[:, 29:31] == GREY).all()
    assert (shown[:, 31:] == 200).all()
    assert (result.frame == 200).all()
