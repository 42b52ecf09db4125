"""Memory of the process's own over a clip of many frames."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from pipeline_report import row
from tqdm import tqdm

from idrn_trt.engines import open_engine
from idrn_trt.faces.window import WINDOW_SHAPES_PX
from idrn_trt.memory import give_frames_back
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import FrameDone, upscale_clip
from idrn_trt.video.reader import Reader

FRAME_PX = (160, 120)
# So often memory is looked at.
LOOKS = 100


def memory_row(clip: Path, model: str, threads: int, count: int) -> dict[str, Any]:
    """What memory grows by after the first tenth of the frames, in a process of its own.

    What an allocator keeps depends on all that a process did before. Written is Matroska: an MP4 keeps an
    entry for each frame until it is finished, 2 MB in all.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, clip, model, threads, count).result()


def _measured(clip: Path, model: str, threads: int, count: int) -> dict[str, Any]:
    give_frames_back()  # as the program does first
    warnings.simplefilter("ignore")
    engine = open_engine(model, threads=threads)
    seen_mib: list[float] = []
    for shape, number in itertools.product(WINDOW_SHAPES_PX, (1, 2)):  # one face, now and then two
        engine.run(np.zeros((number, *shape, 3), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        write_long_clip(clip, long, count)
        with tqdm(total=count, unit="frame", disable=None, leave=False) as bar:

            def look(frame: FrameDone) -> None:
                bar.update()
                if frame.number % max(1, count // LOOKS) == 0:
                    seen_mib.append(own_memory_mib())

            report = upscale_clip(
                long, Path(folder) / "out.mkv", Upscaler(engine=engine),
                VideoOptions(threads=threads), on_frame=look,
            )  # fmt: skip
    if report.interrupted:
        raise KeyboardInterrupt
    warm = seen_mib[len(seen_mib) // 10]
    return row(
        f"memory over {report.frames:,} frames after warm-up",
        max(0.0, statistics.median(seen_mib[-5:]) - warm), "MiB", 2.0,
        after_a_tenth_MiB=round(warm, 2), at_the_end_MiB=round(seen_mib[-1], 2),
        most_MiB=round(max(seen_mib), 2), faces=report.faces,
    )  # fmt: skip


def write_long_clip(clip: Path, target: Path, count: int) -> None:
    """The clip's frames, shrunk, over and over until there are `count`."""
    with Reader(clip, VideoOptions(duration_s=2)) as reader:
        pictures = [
            cv2.resize(step.picture.rgb, FRAME_PX, interpolation=cv2.INTER_AREA)
            for step in reader
            if step.picture is not None
        ]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *FRAME_PX, "yuv420p"
        for picture in itertools.islice(itertools.cycle(pictures), count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def own_memory_mib() -> float:
    """Resident memory that is not backed by a file (proc(5))."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system's /proc/self/status has no RssAnon: the memory row needs it")
