"""Pictures side by side: every pixel of every picture is where it belongs."""

from __future__ import annotations

import numpy as np

from idrn_trt.quality.grid import contact_sheet, grid


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """A random uint8 RGB picture."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_grid_holds_its_pictures() -> None:
    """Rows and columns hold the pictures as they are; a small one is enlarged pixel by pixel."""
    small, large, other = picture(0, 10, 12), picture(1, 40, 48), picture(2, 40, 48)
    sheet = grid(("a", "b"), [("one", [small, large]), ("two", [other, large])])
    assert sheet.shape == (16 + 2 * (40 + 20), 2 * 52 + 4, 3)
    assert np.array_equal(sheet[16:56, 4:52], small.repeat(4, 0).repeat(4, 1))
    assert np.array_equal(sheet[16:56, 56:104], large)
    assert np.array_equal(sheet[76:116, 4:52], other)
    # Headings and captions are written, in black on white.
    assert sheet[:16].min() < 100
    assert sheet[56:76].min() < 100


def test_a_contact_sheet_fits_every_picture() -> None:
    """Each picture is shrunk into its cell with its proportions; small ones stay as they are."""
    small, wide = picture(0, 20, 30), np.full((50, 200, 3), 7, np.uint8)
    sheet = contact_sheet([small, wide, small], columns=2, side=40)
    assert sheet.shape == (2 * 44 + 4, 2 * 44 + 4, 3)
    assert np.array_equal(sheet[4:24, 4:34], small)
    assert (sheet[4:14, 48:88] == 7).all()
    assert (sheet[14:44, 48:88] == 255).all()
    assert np.array_equal(sheet[48:68, 4:34], small)
    assert (sheet[48:, 48:] == 255).all()
