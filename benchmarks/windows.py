"""How much of a frame the network has to compute: the windows of the faces in clips.

    python benchmarks/windows.py DATA

DATA holds video/*.mkv. Two lines are printed, for `idrn-trt upscale` (each frame by itself) and for a
stream (faces followed, reuse off): low-resolution pixels in the windows of a frame, of a face, how often
each size came up, and of the frames after a face's first the share in which its window moved. No network
runs, so the figures are the same on every machine, but for what a stream's detector has no time for.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from idrn_trt.faces.detect import open_detector
from idrn_trt.faces.find import Finder
from idrn_trt.faces.window import window_for
from idrn_trt.types import Window
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.reader import Reader
from idrn_trt.zoo import DEFAULT_DETECTOR

RATE = 30


class Tally:
    """The windows of all frames."""

    def __init__(self) -> None:
        self._frames = 0
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._before: dict[int, Window] = {}
        self._seen_again = 0
        self._moved = 0

    def begin(self) -> None:
        """Another clip, whose faces are others."""
        self._before = {}

    def frame(self, windows: dict[int, Window]) -> None:
        """One frame's windows, by the number of their face."""
        self._frames += 1
        self._sizes.update((window.w, window.h) for window in windows.values())
        again = windows.keys() & self._before.keys()
        self._seen_again += len(again)
        self._moved += sum(windows[number] != self._before[number] for number in again)
        self._before.update(windows)

    def line(self) -> str:
        """What it came to."""
        pixels = sum(w * h * count for (w, h), count in self._sizes.items())
        sizes = ", ".join(f"{w}x{h} px {count}" for (w, h), count in sorted(self._sizes.items()))
        moved = f"{self._moved / self._seen_again:.1%}" if self._seen_again else "-"
        return (
            f"{self._frames} frames: {pixels / self._frames:.0f} px a frame, "
            f"{pixels / max(1, self._sizes.total()):.0f} px a face; {sizes}; moved {moved}"
        )


def main() -> None:
    """Print the two lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR, choices=("cnn", "haar"))
    args = parser.parse_args()
    clips = sorted((args.data / "video").glob("*.mkv"))
    if not clips:
        raise SystemExit(f"{args.data} holds no video/*.mkv")
    upscale, streamed = Tally(), Tally()
    for clip in clips:
        detector = open_detector(args.detector, threads=1)
        finder = Finder(detector, live=True)
        upscale.begin()
        streamed.begin()
        for number, frame in enumerate(frames(clip)):
            height, width = frame.shape[:2]
            found = [window_for(face.box, height, width) for face in detector.detect(frame)]
            upscale.frame(dict(enumerate(window for window in found if window is not None)))
            tracks = finder.find(frame, number / RATE, lambda _: False)
            streamed.frame({t.number: t.window for t in tracks if t.window is not None})
    print(f"upscale: {upscale.line()}")
    print(f"stream: {streamed.line()}")


def frames(clip: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """The clip's pictures, uint8 RGB (H, W, 3)."""
    with Reader(clip, VideoOptions()) as reader:
        for step in reader:
            if step.picture is not None:
                yield step.picture.rgb


if __name__ == "__main__":
    main()
