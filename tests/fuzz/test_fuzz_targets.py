"""A short and always the same round of fuzzing; benchmarks/fuzz.py is the long one."""

from __future__ import annotations

import io
import warnings

import fuzz_images
import pytest
from fuzz_damage import PNG, with_checksums
from fuzz_target import Target
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_case_is_taken_or_refused(target: Target) -> None:
    """Nothing that a target makes raises anything but the error that is meant for it."""
    outcomes = []

    # No shrinking: it takes minutes where a case is a file, and the case is printed whole.
    @settings(
        max_examples=target.examples, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(target.cases())
    def holds(case: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcomes.append(target.check(case))

    holds()
    assert len(outcomes) >= target.examples // 2
    assert {True, False} == set(outcomes), "a target that takes all or nothing tries nothing"


def test_undamaged_pictures_are_all_taken() -> None:
    """The pictures that the damage starts from are good ones, of every format that is read."""
    assert all(map(fuzz_images.check, fuzz_images.seeds()))


def test_checksums_are_made_right() -> None:
    """A PNG with another size in its header and new checksums is a picture of that size."""
    data = bytearray(next(seed for seed in fuzz_images.seeds() if seed.startswith(PNG)))
    data[len(PNG) + 8 + 3] = 5
    assert Image.open(io.BytesIO(with_checksums(bytes(data)))).width == 5


def test_a_damaged_avif_is_refused() -> None:
    """What is wrong with an AVIF's coded pixels, Pillow says as a RuntimeError; here it is a SourceError."""
    for seed in fuzz_images.seeds():
        if seed[4:8] == b"ftyp":
            data = seed.index(b"mdat") + 4
            assert not fuzz_images.check(seed[:data] + b"\xff" * 4 + seed[data + 4 :])
