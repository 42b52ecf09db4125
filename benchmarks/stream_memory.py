"""How much memory a stream takes over many frames and reconnects."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pipeline_memory import LOOKS, own_memory_mib
from pipeline_report import row
from stream_rows import Frames, Rows, pictures_of

from idrn_trt.engines import open_engine
from idrn_trt.errors import SourceError
from idrn_trt.streaming import backoff
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stream import Stream
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.sinks.file import Null
from idrn_trt.video.sources.base import SourceFrame

UInt8 = npt.NDArray[np.uint8]


class BreaksOff(Frames):
    """A camera that is lost after every `every` frames.

    It gives a frame once the last is dealt with, which `dealt_with` tells it, so that none is dropped.
    """

    live = True

    def __init__(self, pictures: list[UInt8], every: int) -> None:
        super().__init__(pictures, every)
        self.name = "breaks off"
        self.dealt_with = threading.Event()
        self.dealt_with.set()

    def read(self) -> SourceFrame | None:
        """See Source."""
        self.dealt_with.wait()
        frame = super().read()
        if frame is None:
            raise SourceError("broken off")
        self.dealt_with.clear()
        return SourceFrame(frame.rgb)


def memory(
    clip: Path, model: str, threads: int, frames: int, reconnects: int, detector: str
) -> Rows:
    """Memory over many frames and reconnects of a camera, in a process of its own.

    What an allocator keeps depends on all that a process did before.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(_measured, clip, model, threads, frames, reconnects, detector).result()


def _measured(
    clip: Path, model: str, threads: int, frames: int, reconnects: int, detector: str
) -> dict[str, Any]:
    cv2.setNumThreads(threads)
    engine = open_engine(model, threads=threads)
    pictures = [
        np.asarray(cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA), np.uint8)
        for picture in pictures_of(clip, 1, 60)
    ]
    backoff.FIRST_S = backoff.LONGEST_S = 0.001
    source = BreaksOff(pictures, max(1, frames // reconnects))
    upscaler = Upscaler(engine=engine, detector=detector, min_face_px=16)
    stream = Stream([source], [Null()], upscaler=upscaler, options=StreamOptions(carry=True))
    counts = stream.stats.sources[0]
    seen_mib: list[float] = []

    def look(_result: StreamResult) -> None:
        if counts.results % max(1, frames // LOOKS) == 0:
            seen_mib.append(own_memory_mib())
        if counts.results >= frames and counts.reconnects >= reconnects:
            stream.stop()
        source.dealt_with.set()

    stream.run(look)
    warm = seen_mib[len(seen_mib) // 10]
    return row(
        f"memory over {counts.results:,} frames and {counts.reconnects:,} reconnects",
        max(0.0, float(np.median(seen_mib[-5:])) - warm), "MiB", 5.0,
        after_a_tenth_MiB=round(warm, 2), most_MiB=round(max(seen_mib), 2), faces=counts.faces,
    )  # fmt: skip
