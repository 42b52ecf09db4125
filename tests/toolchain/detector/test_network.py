"""The detector's network before and after its normalisation is folded in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from idrn_trt.errors import ModelError, OptionError
from idrn_trt.faces.grid import STRIDES, VALUES
from idrn_trt.toolchain.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from idrn_trt.toolchain.detector.network import DetectorConfig, FaceDetector, fused

LARGEST = 150_000


def warmed(config: DetectorConfig) -> FaceDetector:
    """A seeded network whose normalisation saw a few batches."""
    torch.manual_seed(0)
    net = FaceDetector(config).train()
    for _ in range(3):
        net(torch.rand(4, 3, 64, 64))
    return net.eval()


@pytest.fixture(scope="module")
def net() -> FaceDetector:
    """The network that is shipped, untrained."""
    return warmed(DetectorConfig())


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 160), (96, 32)])
def test_every_size_of_multiples_of_32(net: FaceDetector, height: int, width: int) -> None:
    """The answer is on a grid of 8 pixels for all levels."""
    answer = net(torch.rand(2, 3, height, width))
    assert answer.shape == (2, len(STRIDES) * VALUES, height // 8, width // 8)


def test_it_is_small(net: FaceDetector) -> None:
    """At most 150,000 parameters, as it is trained and as it is shipped."""
    for form in (net, fused(net)):
        assert sum(p.numel() for p in form.parameters()) <= LARGEST


@torch.no_grad()
def test_folding_changes_nothing(net: FaceDetector) -> None:
    """The folded network is equal within rounding, and the one it came from stays as it was."""
    x = torch.rand(1, 3, 96, 64)
    before = net(x)
    torch.testing.assert_close(fused(net)(x), before, rtol=1e-4, atol=1e-4)
    assert torch.equal(net(x), before)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused(net).modules())


@torch.no_grad()
def test_nearly_no_cell_is_a_face_at_the_start() -> None:
    """The first scores are about one in a hundred, so that training need not learn that first."""
    scores = warmed(DetectorConfig())(torch.rand(1, 3, 64, 64)).unflatten(1, (3, VALUES))[:, :, 0]
    assert 0.005 < scores.sigmoid().mean() < 0.02


@pytest.mark.parametrize("widths", [(8, 8), (0, 8, 8, 8, 8), (8, 8, 8, 8, 1000), (8.0, 8, 8, 8, 8)])
def test_widths_that_are_none(widths: tuple[int, ...]) -> None:
    """Another number of widths, or one that is none, is an OptionError that shows them."""
    with pytest.raises(OptionError, match="five of 1 to 256"):
        DetectorConfig(widths=widths)


def test_a_checkpoint_gives_the_detector_back(tmp_path: Path, net: FaceDetector) -> None:
    """Weights go through a checkpoint unchanged; asked for as an IDRN they are refused."""
    path = tmp_path / "detector.safetensors"
    save_checkpoint(Checkpoint(net.config, dict(net.state_dict()), {}, {}, {}), path)
    saved = load_checkpoint(path)
    assert saved.config == net.config
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(saved.module()(x), net(x))
    with pytest.raises(ModelError, match="--scenes"):
        saved.network()
