"""A data set at a glance: how many crops of which size, what was left out, and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from idrn_trt.images import write_image
from idrn_trt.quality.grid import contact_sheet
from idrn_trt.toolchain.crops import Crops, open_crops
from idrn_trt.toolchain.duplicates import near_duplicates
from idrn_trt.toolchain.split import split_test

_COLUMNS, _ROWS, _SIDE_PX = 12, 8, 96


def check(
    spec: str,
    smallest_px: int,
    sheet: Path,
    *,
    test_count: int = 0,
    seed: int = 0,
    cache: Path | None = None,
) -> Iterator[str]:
    """Lines of a report on the crops of `spec`; the contact sheet is written to `sheet`.

    Raises what `open_crops` raises, and TrainingError for a split that cannot be made.
    """
    crops = open_crops(spec, smallest_px, cache)
    sides = np.array([min(e.height, e.width) for e in crops.entries])
    low, middle, high = np.quantile(sides, [0.1, 0.5, 0.9]).round().astype(int)
    groups = len({e.group for e in crops.entries})
    yield f"{len(crops)} crops in {groups} groups, sha256 {crops.digest}"
    yield f"shorter side: {middle} px (median), a tenth under {low}, a tenth over {high}"
    yield f"{_alike(crops)} crops look like an earlier one"
    yield from (f"left out: {line}" for line in crops.problems.lines())
    if test_count:
        split = split_test(crops, test_count, seed)
        yield (
            f"split with seed {seed}: {len(split.test)} to test on, {len(split.train)} to train on, "
            f"{split.dropped} dropped because they look like a test picture"
        )
    write_image(sheet, _sheet(crops))
    yield f"contact sheet: {sheet}"


def _alike(crops: Crops) -> int:
    looks = [entry.look for entry in crops.entries]
    block = 1024  # so that the table of all pairs is never whole
    found = 0
    for start in range(0, len(looks), block):
        part = looks[start : start + block]
        earlier = near_duplicates(part, looks[:start])
        found += sum(
            near or near_duplicates([look], part[:k])[0]
            for k, (look, near) in enumerate(zip(part, earlier, strict=True))
        )
    return found


def _sheet(crops: Crops) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    count = min(len(crops), _COLUMNS * _ROWS)
    places = np.linspace(0, len(crops) - 1, count).round().astype(int).tolist()
    return contact_sheet([crops[i] for i in places], _COLUMNS, _SIDE_PX)
