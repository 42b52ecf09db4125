"""What the network added to a face, carried onto a later picture of it: clear faces between two of its runs.

A face made by the network is its plain enlargement and what the network added to that. Where the network
cannot run on every frame, the next ones are enlarged plainly and what was added last is moved along with
the face: by the optical flow from the new low-resolution window to the one that the network was shown
(Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search"; OpenCV's). Where that window, moved so,
does not look like the new one, as around a mouth that opens, less of it is added and at last nothing.

How close that comes to the network's own picture is measured in docs/decisions/037.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# `Detail.added` of a pixel to which nothing was added.
NOTHING = 128
# How far two windows may lie apart around a pixel, in grey levels, for all that was added to be carried
# there, and from where on nothing is; in between a part of it.
ALIKE_LEVELS = 5.0
UNLIKE_LEVELS = 12.0
# Around a pixel: in a square with this side.
AROUND_PX = 3
# Patches of 8 px overlap by half; flow at full resolution, since a lip moves by parts of a pixel.
PATCH_STRIDE_PX = 4
DESCENT_STEPS = 12


@dataclass(frozen=True, slots=True)
class Detail:
    """What the network added to a window.

    lr and grey: what it was shown, uint8 (h, w, 3) and (h, w). added: its picture less lr's bicubic
    enlargement plus NOTHING, uint8 (s*h, s*w, 3); differences beyond a byte are cut off.
    """

    lr: UInt8
    grey: UInt8
    added: UInt8


def detail_of(lr: UInt8, sr: UInt8) -> Detail:
    """What makes sr, uint8 (s*h, s*w, 3), out of lr, uint8 (h, w, 3)."""
    added = cv2.addWeighted(sr, 1, _enlarged(lr, sr.shape), -1, NOTHING)
    return Detail(lr, _grey(lr), np.asarray(added, np.uint8))


class Carrier:
    """Carries details onto later pictures. For one thread at a time: OpenCV's flow keeps buffers."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._flow.setFinestScale(0)
        self._flow.setPatchStride(PATCH_STRIDE_PX)
        self._flow.setGradientDescentIterations(DESCENT_STEPS)
        self._flow.setVariationalRefinementIterations(0)

    def onto(self, detail: Detail, lr: UInt8) -> UInt8:
        """lr, uint8 (h, w, 3) and of the shape of the detail's, enlarged and with the detail: (s*h, s*w, 3).

        The picture is the caller's own.
        """
        height, width = detail.added.shape[:2]
        scale = height // lr.shape[0]
        still = np.zeros((*lr.shape[:2], 2), np.float32)  # where the search begins
        flow = self._flow.calc(_grey(lr), detail.grey, still)
        there = _taken(detail.lr, _places(*lr.shape[:2]) + flow)
        share = _share(np.asarray(cv2.absdiff(there, lr), np.uint8))
        finer = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        added = _taken(detail.added, cv2.addWeighted(finer, scale, _places(height, width), 1, 0))
        if share.min() < 1:
            part = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
            added = cv2.blendLinear(added, np.full_like(added, NOTHING), part, 1 - part)
        plain = _enlarged(lr, detail.added.shape)
        return np.asarray(cv2.addWeighted(plain, 1, added, 1, -NOTHING), np.uint8)


def _taken(picture: UInt8, places: cv2.typing.MatLike) -> cv2.typing.MatLike:
    """The picture's pixels at those places, by x and y; beyond its edge, those of the edge."""
    no_y = np.empty(0, np.float32)  # it is beside x
    return cv2.remap(picture, places, no_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _share(differences: UInt8) -> Float32:
    """How much of the detail is carried to each pixel, 0 to 1, float32 (h, w)."""
    apart = cv2.blur(_grey(differences).astype(np.float32), (AROUND_PX, AROUND_PX))
    share = (UNLIKE_LEVELS - apart) / (UNLIKE_LEVELS - ALIKE_LEVELS)
    return np.asarray(np.clip(share, 0, 1), np.float32)


def _grey(picture: UInt8) -> UInt8:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _enlarged(lr: UInt8, shape: tuple[int, ...]) -> UInt8:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(lr, size, interpolation=cv2.INTER_CUBIC), np.uint8)


@lru_cache(maxsize=32)
def _places(height: int, width: int) -> Float32:
    """Each pixel's own x and y, float32 (height, width, 2)."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack((x, y)).astype(np.float32)
