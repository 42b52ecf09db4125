"""Clips and pictures from files and folders, frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction

from idrn_trt.errors import SourceError
from idrn_trt.images import read_image
from idrn_trt.video.find import Input, find_inputs
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.reader import Reader
from idrn_trt.video.sources.base import SourceFrame

# Pictures have no times of their own.
PICTURE_S = Fraction(1, 25)


class FileSource:
    """A clip, a picture, or the clips and pictures of a folder or pattern, one after another.

    Their times are strung together. Raises OptionError for a folder or pattern without any.
    """

    live = False

    def __init__(self, text: str, options: VideoOptions) -> None:
        self.name = text
        self._inputs = find_inputs([text])
        self.paths = [item.source.path for item in self._inputs]
        self._options = options
        self._frames = self._all()

    def open(self) -> None:
        """Start with the first file; whether it can be read is known at the first `read`."""
        self._frames = self._all()

    def read(self) -> SourceFrame | None:
        """See Source. Raises SourceError also at the end of a clip that is cut off or damaged."""
        return next(self._frames, None)

    def close(self) -> None:
        """See Source."""
        self._frames.close()

    def _all(self) -> Generator[SourceFrame, None, None]:
        begin = Fraction(0)
        for item in self._inputs:
            end = begin
            for frame, until in self._one(item):
                end = begin + until
                yield SourceFrame(frame.rgb, begin + (frame.time or 0))
            begin = end

    def _one(self, item: Input) -> Iterator[tuple[SourceFrame, Fraction]]:
        """A file's frames, and until when each is shown, from the file's beginning."""
        if not item.video:
            rgb = read_image(item.source.path, self._options.max_pixels)
            yield SourceFrame(rgb, Fraction(0)), PICTURE_S
            return
        with closing(Reader(item.source.path, self._options)) as reader:
            for step in reader:
                if (picture := step.picture) is not None:
                    time = picture.pts * reader.time_base
                    frame = SourceFrame(picture.rgb, time)
                    yield frame, time + picture.duration * reader.time_base
            if reader.damage:
                raise SourceError(reader.damage)
