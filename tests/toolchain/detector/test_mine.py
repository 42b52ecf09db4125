"""Backgrounds in which a network sees faces."""

from __future__ import annotations

import numpy as np
import torch

from idrn_trt.toolchain.detector.mine import hard_negatives
from idrn_trt.toolchain.detector.network import DetectorConfig, FaceDetector
from idrn_trt.toolchain.detector.pictures import Picture

NOTHING = np.empty((0, 4), np.float32)


def brightness_detector() -> FaceDetector:
    """A network that takes every bright place for a face, and nothing dark."""
    net = FaceDetector(DetectorConfig()).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
        for answer in net.answers:
            answer.conv.bias.fill_(-2.0)  # type: ignore[union-attr,operator]  # an Answer
    return net


def test_backgrounds_with_a_face_for_the_network_are_named() -> None:
    """Of a bright and a dark picture, neither of them of multiples of 32, the bright one is named."""
    bright = Picture("bright.png", np.full((50, 70, 3), 255, np.uint8), NOTHING)
    dark = Picture("dark.png", np.zeros((50, 70, 3), np.uint8), NOTHING)
    assert hard_negatives(brightness_detector(), [dark, bright]) == ["bright.png"]
