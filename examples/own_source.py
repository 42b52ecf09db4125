"""A source and a sink of one's own: pictures of a program, and counts of faces.

Usage: `python examples/own_source.py PHOTO`. A source has a name, says whether it is live, and opens, reads
and closes; a sink has a name, says what it wants, writes and closes. Nothing is inherited.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from idrn_trt import IdrnError, Stream, StreamResult
from idrn_trt.images import read_image
from idrn_trt.video.sources.base import SourceFrame


class Pan:
    """A photograph that a camera pans over, 50 frames at 25 a second."""

    live = False

    def __init__(self, photo: Path) -> None:
        self.name = photo.name
        self._photo = photo
        self._frame = 0

    def open(self) -> None:
        """Read the photograph; a SourceError of `read_image` ends this source only."""
        self._picture = read_image(self._photo)
        self._frame = 0

    def read(self) -> SourceFrame | None:
        """The next frame, an array of its own, and its time."""
        if self._frame == 50:
            return None
        time = Fraction(self._frame, 25)
        self._frame += 1
        return SourceFrame(np.roll(self._picture, -self._frame, axis=1), time)

    def close(self) -> None:
        """Nothing to let go of."""


class Census:
    """Counts faces."""

    name = "census"
    pictures = False  # so that no frame is composed for it
    source = None  # of all sources

    def __init__(self) -> None:
        self.tracks: set[tuple[int, int]] = set()

    def write(self, result: StreamResult) -> None:
        """Note who is there."""
        self.tracks.update((result.source, face.track) for face in result.faces)

    def close(self) -> None:
        """Nothing to finish."""


def main() -> int:
    """Count the faces of a photograph; an error is one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    census = Census()
    try:
        Stream([Pan(parser.parse_args().photo)], [census]).run()
    except IdrnError as error:
        print(f"own_source: {error}", file=sys.stderr)
        return 1
    print(f"{len(census.tracks)} faces were followed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
