"""A stream's pictures as a video file, and as nothing at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from idrn_trt.files import replacing
from idrn_trt.types import StreamResult
from idrn_trt.video.colour import BT709, Colour, output_colour
from idrn_trt.video.encoders import choose_encoder, container_of
from idrn_trt.video.fit import fitted
from idrn_trt.video.hud import Hud
from idrn_trt.video.writer import Plan, Writer

# The times of every common frame rate are whole numbers of this.
TIME_BASE = Fraction(1, 90_000)
# A millisecond, which is what Matroska counts in: two pictures are at least so far apart.
_LEAST_STEP = 90
# A picture is taken to last as long as the one before it, but not the minute that a camera was off.
_LONGEST_STEP = 90_000
# For the encoder's rate control only; each picture has its own time.
RATE = Fraction(30)


class VideoFile:
    """One source's pictures in a file whose ending names the container (encoders.CONTAINERS).

    The file begins with the first picture, at time 0, and has its size; pictures of another size are
    fitted into it. It appears when it is closed. codec, crf and preset: see encoders. hud: drawn into
    the pictures. Raises OptionError.
    """

    pictures = True

    def __init__(
        self,
        path: Path,
        source: int | None = None,
        *,
        codec: str = "auto",
        crf: int | None = None,
        preset: str | None = None,
        threads: int | None = None,
        hud: Hud | None = None,
    ) -> None:
        self.name = str(path)
        self.source = source
        self._path = path
        self._container = container_of(path)
        self._encoder, self.notes = choose_encoder(codec, self._container)
        self._options = self._encoder.options(crf, preset)
        self._threads = threads
        self._hud = hud
        self._stack = contextlib.ExitStack()
        self._writer: Writer | None = None
        self._size = (0, 0)
        self._begin = Fraction(0)
        self._last_pts = -_LEAST_STEP

    def write(self, result: StreamResult) -> None:
        """See Sink."""
        if result.picture is None:
            return
        picture = result.picture if self._hud is None else self._hud.drawn(result)
        with self._failing():
            if self._writer is None:
                self._size = (picture.shape[1], picture.shape[0])
                self._begin = result.time
                self._writer = self._opened()
            pts = max(round((result.time - self._begin) / TIME_BASE), self._last_pts + _LEAST_STEP)
            step = pts - self._last_pts if self._last_pts >= 0 else round(1 / RATE / TIME_BASE)
            self._writer.picture(fitted(picture, self._size), pts, min(step, _LONGEST_STEP))
            self._last_pts = pts

    def close(self) -> None:
        """See Sink."""
        with self._failing():
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._stack.close()

    def _opened(self) -> Writer:
        part = self._stack.enter_context(replacing(self._path, "video"))
        colour = output_colour(Colour(BT709, full=False, assumed=True), *self._size)
        return Writer(
            part,
            Plan(
                container=self._container,
                encoder=self._encoder,
                options=self._options,
                size=self._size,
                rate=RATE,
                time_base=TIME_BASE,
                colour=colour,
                threads=self._threads,
            ),
        )

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """On an error nothing is left of the file, and the error is a SinkError."""
        try:
            yield
        except BaseException as error:
            if self._writer is not None:
                self._writer.abandon()
                self._writer = None
            stack = self._stack.pop_all()
            if not stack.__exit__(type(error), error, error.__traceback__):
                raise


class Null:
    """Takes everything and keeps nothing."""

    name = "null"
    pictures = True
    source = None

    def write(self, result: StreamResult) -> None:
        """See Sink."""

    def close(self) -> None:
        """See Sink."""
