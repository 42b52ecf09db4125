"""Validation: figures and pictures of whole crops, and any network as an engine."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from drawings import draw

from idrn_trt.quality.metrics import psnr_y
from idrn_trt.quality.pairs import bicubic_up, evaluation_pair
from idrn_trt.toolchain.degrade import Degradation
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.validate import TorchEngine, Validation, upscale


@pytest.fixture
def net() -> IDRN:
    """A small untrained x3 network."""
    torch.manual_seed(0)
    return IDRN(NetConfig.parse("d1-w4-x3")).eval()


def test_upscale_rounds_and_clips(net: IDRN) -> None:
    """`upscale` is the network on [0, 1], times 255, rounded and clipped, from read-only memory."""
    with torch.no_grad():
        net.tail.weight.mul_(20)  # so that values leave [0, 1] on both sides
    lr = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    lr.setflags(write=False)
    with torch.no_grad():
        raw = net(torch.tensor(lr.tolist()).permute(2, 0, 1)[None] / 255)[0].numpy()
    assert raw.min() < 0
    assert raw.max() > 1
    expected = np.round(raw.transpose(1, 2, 0).clip(0, 1) * 255)
    sr = upscale(net, lr)
    assert (sr.shape, sr.dtype) == ((27, 36, 3), np.uint8)
    # A value within float error of .5 may round either way.
    assert np.abs(sr.astype(int) - expected).max() <= 1
    assert (sr == expected).mean() > 0.999


def test_upscale_takes_views(net: IDRN) -> None:
    """A mirrored view, whose strides are negative, is upscaled like its copy."""
    lr = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(upscale(net, lr[:, ::-1]), upscale(net, lr[:, ::-1].copy()))


@pytest.mark.parametrize("degraded", [False, True])
def test_validation_is_the_mean_over_whole_crops(net: IDRN, *, degraded: bool) -> None:
    """The figures are the mean PSNR-Y of the network and of bicubic over the evaluation pairs."""
    images = [draw(k, 60, 70) for k in range(3)]
    pairs = [evaluation_pair(pixels, 3, 16) for pixels in images]
    if degraded:
        pairs = [(Degradation()(hr, 3, k), hr) for k, (_, hr) in enumerate(pairs)]
    validation = Validation(images, 3, 16, degraded)
    for _ in range(2):  # the second time bicubic's figure is remembered
        ours, floor = validation.measure(net)
        assert ours == pytest.approx(np.mean([psnr_y(upscale(net, lr), hr) for lr, hr in pairs]))
        assert floor == pytest.approx(np.mean([psnr_y(bicubic_up(lr, 3), hr) for lr, hr in pairs]))
    assert net.training


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 4), (5, 3), (40, 4)])
def test_the_picture_shows_crops_from_all_over_the_set(net: IDRN, count: int, rows: int) -> None:
    """At most four rows of LR, bicubic, ours and truth; the first row is the first crop's."""
    images = [draw(k, 60, 70) for k in range(count)]
    sheet = Validation(images, 3, 16).picture(net)
    assert sheet.shape == (16 + rows * (48 + 20), 4 * 52 + 4, 3)
    lr, hr = evaluation_pair(images[0], 3, 16)
    columns = [sheet[16:64, x : x + 48] for x in (4, 56, 108, 160)]
    assert np.array_equal(columns[0], lr.repeat(3, 0).repeat(3, 1))
    assert np.array_equal(columns[1], bicubic_up(lr, 3))
    assert np.array_equal(columns[2], upscale(net.eval(), lr))
    assert np.array_equal(columns[3], hr)


def test_a_network_is_an_engine(net: IDRN) -> None:
    """TorchEngine gives each picture of a batch what `upscale` gives, in windows of any size."""
    batch = np.random.default_rng(0).integers(0, 256, (2, 9, 12, 3), dtype=np.uint8)
    with closing(TorchEngine(net.train(), "mine", 3)) as engine:
        sr = engine.run(batch)
        assert engine.spec.scale == 3
        assert all(np.array_equal(sr[k], upscale(net, batch[k])) for k in range(2))
        assert not net.training
