"""Scores of an engine on crops: against the metrics themselves, and summed up by group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idrn_trt.engines.base import Engine
from idrn_trt.engines.bicubic import BicubicEngine
from idrn_trt.errors import OptionError, SourceError
from idrn_trt.quality.evaluate import (
    Figures,
    Score,
    by_group,
    comparison,
    evaluate,
    evaluate_pictures,
    figures,
    folder_pictures,
    ranked,
)
from idrn_trt.quality.metrics import luma, psnr, psnr_y, ssim
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The one engine that needs no model file, at x4."""
    with closing(BicubicEngine(4)) as engine:
        yield engine


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Three noisy pictures of two groups, one of them in a folder below."""
    (tmp_path / "more").mkdir()
    rng = np.random.default_rng(0)
    for name in ("ann_1.png", "more/bob_1.png", "ann_2.png"):
        coarse = rng.integers(0, 256, (20, 22, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((110, 100)).save(tmp_path / name)
    return tmp_path


def test_scores_are_the_metrics_of_each_picture(engine: Engine, crops: Path) -> None:
    """Every picture is scored once, in name order, each figure by the metric it is named after."""
    scores = evaluate(engine, crops, 16)
    assert [s.file for s in scores] == ["ann_1.png", "ann_2.png", "bob_1.png"]
    lr, hr = evaluation_pair(np.asarray(Image.open(crops / "ann_2.png")), 4, 16)
    sr = engine.run(lr[None])[0].copy()
    ours, floor = scores[1].ours, scores[1].bicubic
    assert ours.psnr_y_db == psnr_y(sr, hr)
    assert ours.psnr_rgb_db == psnr(sr, hr)
    assert (ours.ssim_y, ours.ssim_rgb) == (ssim(luma(sr), luma(hr)), ssim(sr, hr))
    assert floor == figures(bicubic_up(lr, 4), hr)
    assert scores[1].gain_db == ours.psnr_y_db - floor.psnr_y_db


def test_a_border_is_cropped_when_asked(engine: Engine) -> None:
    """With crop_px the figures are those of the inside; an error at the border no longer counts."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (whole,) = evaluate_pictures(engine, [("a", pixels)], 16)
    (inside,) = evaluate_pictures(engine, [("a", pixels)], 16, crop_px=4)
    lr, hr = evaluation_pair(pixels, 4, 16)
    assert inside.bicubic == figures(bicubic_up(lr, 4)[4:-4, 4:-4], hr[4:-4, 4:-4])
    assert inside.bicubic != whole.bicubic


def test_a_degradation_replaces_bicubic(engine: Engine) -> None:
    """`degrade` is given HR, the scale and the picture's place, and its LR goes to both methods."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = []

    def every_fourth(hr: np.ndarray, scale: int, place: int) -> np.ndarray:
        seen.append((hr.shape, place))
        return hr[::scale, ::scale]

    scores = evaluate_pictures(engine, [("a", pixels), ("b", pixels)], 16, degrade=every_fourth)
    assert seen == [((64, 64, 3), 0), ((64, 64, 3), 1)]
    lr = pixels[::4, ::4]
    assert scores[0].bicubic == figures(bicubic_up(lr, 4), pixels)
    assert scores[0].ours == figures(engine.run(np.ascontiguousarray(lr)[None])[0], pixels)


def test_a_folder_without_pictures_is_a_source_error(engine: Engine, tmp_path: Path) -> None:
    """Nothing to measure on is an error, not an empty table."""
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match="no picture below"):
        evaluate(engine, tmp_path)


def score(file: str, ours_db: float, bicubic_db: float) -> Score:
    """A score with these PSNR-Y and nothing else of interest."""
    return Score(file, Figures(ours_db, 1, 0.5, 0.5, 0.5), Figures(bicubic_db, 1, 0.25, 0.5, 0.5))


def test_groups_are_the_letters_that_names_start_with() -> None:
    """Each group's count and means are its own; a name without letters is in "other"."""
    scores = [
        score("ann_1", 30, 28),
        score("ann_2", 32, 28),
        score("bob1", 20, 25),
        score("7", 1, 1),
    ]
    groups = by_group(scores)
    assert list(groups) == ["all", "ann", "bob", "other"]
    assert [g["count"] for g in groups.values()] == [4, 2, 1, 1]
    ann = groups["ann"]
    assert (ann["psnr_y_db"], ann["bicubic_psnr_y_db"], ann["gain_db"]) == (31, 28, 3)
    assert (ann["ssim_y"], ann["bicubic_ssim_y"]) == (0.5, 0.25)
    assert ann["gain_worst_decile_db"] == pytest.approx(2.2)
    assert ann["psnr_y_worst_decile_db"] == pytest.approx(30.2)
    # 10 lg of the mean of 10^3.0 and 10^3.2, by hand.
    assert ann["psnr_y_pooled_db"] == pytest.approx(30.886, abs=1e-3)


def test_best_median_and_worst_are_by_gain() -> None:
    """The three pictures for the eye are chosen by what was gained, not by the PSNR reached."""
    scores = [score("a", 40, 40), score("b", 20, 15), score("c", 30, 32), score("d", 31, 30)]
    assert ranked(scores) == {"best": 1, "median": 3, "worst": 2}


def test_the_comparison_shows_what_was_scored(engine: Engine, crops: Path) -> None:
    """The picture of best, median and worst holds each one's truth, bicubic and reconstruction."""
    scores = evaluate(engine, crops, 16)
    sheet = comparison(engine, folder_pictures(crops), scores, 16)
    for name, pixels in folder_pictures(crops):
        lr, hr = evaluation_pair(pixels, 4, 16)
        for part in (hr, bicubic_up(lr, 4), engine.run(lr[None])[0]):
            assert any(
                np.array_equal(sheet[y : y + 64, x : x + 64], part)
                for y in range(sheet.shape[0] - 63)
                for x in range(4, sheet.shape[1] - 63, 68)
                if sheet[y, x, 0] == part[0, 0, 0]
            ), name


@pytest.mark.parametrize(("lr_px", "crop_px"), [(2, 0), (16, 27)])
def test_too_little_to_measure_on_is_an_option_error(
    engine: Engine, lr_px: int, crop_px: int
) -> None:
    """A picture that SSIM's window does not fit into is refused before anything is computed."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(OptionError, match="expected at least 11"):
        evaluate_pictures(engine, [("a", pixels)], lr_px, crop_px=crop_px)
