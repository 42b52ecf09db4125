"""What benchmarks/stream.py measures, a function a row (or a few that share a run)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from pipeline_report import row

from idrn_trt.engines.base import Engine
from idrn_trt.faces.find import Finder
from idrn_trt.faces.layout import background
from idrn_trt.streaming.options import StreamOptions
from idrn_trt.streaming.stats import StreamStats
from idrn_trt.streaming.stream import Stream
from idrn_trt.types import Box, StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sinks.file import Null
from idrn_trt.video.sources.base import Source, SourceFrame
from idrn_trt.video.sources.file import FileSource

UInt8 = npt.NDArray[np.uint8]
Rows = Iterator[dict[str, Any]]

NOISE_SIGMA = 2.0
SMALL_FACE_PX = 24
RANDOM = np.random.default_rng(0)


class Frames:
    """A source of given pictures, over and over, `count` in all, each with noise of sigma or none."""

    live = False

    def __init__(self, pictures: list[UInt8], count: int, sigma: float = 0.0) -> None:
        self.name = "pictures"
        self._pictures = pictures
        self._count = count
        self._sigma = sigma
        self._number = 0
        self._random = np.random.default_rng(0)

    def open(self) -> None:
        """See Source."""
        self._number = 0
        self._random = np.random.default_rng(0)

    def read(self) -> SourceFrame | None:
        """See Source."""
        if self._number == self._count:
            return None
        picture = self._picture(self._number)
        if self._sigma:
            noise = self._random.normal(0, self._sigma, picture.shape)
            picture = np.clip(picture + noise, 0, 255).round().astype(np.uint8)
        self._number += 1
        return SourceFrame(picture.copy(), Fraction(self._number, 30))

    def _picture(self, number: int) -> UInt8:
        return self._pictures[number % len(self._pictures)]

    def close(self) -> None:
        """See Source."""


class Appears(Frames):
    """A still scene in which a small face comes up, now here, now there: at each place for SHOWN_FRAMES.

    begins: the frame at which it comes up at each place. places: its left and top there.
    """

    SHOWN_FRAMES = 45

    def __init__(self, scene: UInt8, face: UInt8, count: int) -> None:
        self.places: list[tuple[int, int]] = []
        self.begins: list[int] = []
        end = 30
        for _ in range(count):
            self.begins.append(end + int(RANDOM.integers(30)))  # anywhere in a round of looking
            end = self.begins[-1] + self.SHOWN_FRAMES
            right, bottom = scene.shape[1] - face.shape[1], scene.shape[0] - face.shape[0]
            self.places.append((int(RANDOM.integers(right)), int(RANDOM.integers(bottom))))
        super().__init__([scene], end)
        self._face = face

    def _picture(self, number: int) -> UInt8:
        picture = super()._picture(number).copy()
        for begin, (x, y) in zip(self.begins, self.places, strict=True):
            if begin <= number < begin + self.SHOWN_FRAMES:
                picture[y : y + self._face.shape[0], x : x + self._face.shape[1]] = self._face
        return picture


class Difference:
    """How far pictures of any size differ, all together."""

    def __init__(self) -> None:
        self._squares = 0
        self._values = 0

    def add(self, one: UInt8, other: UInt8) -> None:
        """Count two pictures of one shape."""
        self._squares += int((cv2.absdiff(one, other).astype(np.int64) ** 2).sum())
        self._values += one.size

    @property
    def psnr(self) -> float:
        """Their PSNR in dB; 99 where nothing differs."""
        return 10 * math.log10(255**2 * self._values / self._squares) if self._squares else 99.0


def ran(
    sources: list[Source], upscaler: Upscaler, on_result: Callable[[StreamResult], None] | None = None,
    **options: Any,
) -> StreamStats:  # fmt: skip
    """A stream of these to its end."""
    stream = Stream(sources, [Null()], upscaler=upscaler, options=StreamOptions(**options))
    return stream.run(on_result)


def pictures_of(clip: Path, threads: int, count: int) -> list[UInt8]:
    """A clip's first frames."""
    source = FileSource(str(clip), VideoOptions(threads=threads))
    source.open()
    frames = itertools.islice(iter(source.read, None), count)
    pictures = [frame.rgb for frame in frames if frame is not None]
    source.close()
    return pictures


def every_third(clip: Path, folder: Path) -> Path:
    """A clip of 30 frames/s as a camera of 10 gives it, H.264 too."""
    target = folder / clip.name
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        stream = sink.add_stream("libx264", rate=10, options={"crf": "16", "bf": "0"})
        size = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number % 3 == 0:
                kept = frame.reformat(format="yuv420p")
                kept.pts, kept.time_base = number // 3, Fraction(1, 10)
                sink.mux(stream.encode(kept))
        sink.mux(stream.encode(None))
    return target


def paced(clips: list[Path], engine: Engine, threads: int, seconds: float, detector: str) -> Rows:
    """Clips at their own pace: one at 30 frames/s as a camera, and four at 10."""
    with TemporaryDirectory() as folder:
        slower = [every_third(clip, Path(folder)) for clip in clips[:4]]
        yield from _paced(clips[:1], slower, engine, threads, seconds, detector)


def _paced(
    one: list[Path], four: list[Path], engine: Engine, threads: int, seconds: float, detector: str
) -> Rows:
    cases: list[tuple[str, list[Path], float, dict[str, Any], dict[str, Any]]] = [
        ("one camera at 30 fps, --view faces", one, 70, {"view": "faces"}, {}),
        ("one camera at 30 fps, 1280x720 out", one, 100, {}, {"out_size": (1280, 720)}),
        ("four cameras at 10 fps", four, math.inf, {}, {}),
    ]
    for what, files, most_age_ms, view, sizes in cases:
        options = {"realtime": True, "loop": True, "carry": True, **view}
        upscaler = Upscaler(engine=engine, detector=detector, threads=threads, **sizes)
        sources = [FileSource(str(clip), VideoOptions(threads=1)) for clip in files]
        ran(list(sources), upscaler, duration_s=3.0, **options)  # warm up
        stats = ran(list(sources), upscaler, duration_s=seconds, **options)
        taken = sum(source.frames - source.passed_over for source in stats.sources)
        lost = sum(source.dropped for source in stats.sources) + stats.sinks[0].dropped
        ages = stats.sinks[0].age
        faces = sum(source.faces for source in stats.sources)
        carried = sum(source.carried for source in stats.sources)
        parts = {
            "frames": taken,
            "faces": faces,
            "carried_percent": round(100 * carried / max(1, faces), 1),
            "made_per_s": round(stats.engine_windows / seconds, 1),
            "frames_per_s": round(taken / seconds, 2),
            "age_p50_ms": round(ages.percentile(50), 1),
            "stages_p50_ms": {
                name: round(times.percentile(50), 2) for name, times in stats.stages.items()
            },
        }
        yield row(
            f"{what}: frames lost", 100 * lost / taken, "%", 1.0 if files == one else 0.0, **parts
        )
        if math.isfinite(most_age_ms):
            yield row(f"{what}: age p95", ages.percentile(95), "ms", most_age_ms)


def appears(clip: Path, engine: Engine, seconds: float, detector: str) -> Rows:
    """How long after it comes up a face of 24 px is found in a scene of 1920x1080 at 30 frames/s."""
    (picture,) = pictures_of(clip, 1, 1)
    upscaler = Upscaler(engine=engine, detector=detector, min_face_px=SMALL_FACE_PX)
    scene = np.asarray(cv2.resize(picture, (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)
    face = _shrunk_face(picture, upscaler.detector.detect(picture)[0].box)
    source = Appears(scene, face, max(1, round(seconds / 2)))
    met: dict[int, int] = {}

    def note(result: StreamResult) -> None:
        for place, (x, y) in enumerate(source.places):
            since = result.number - source.begins[place]
            if 0 <= since < source.SHOWN_FRAMES and any(
                0 <= found.box.x + found.box.w / 2 - x < face.shape[1]
                and 0 <= found.box.y + found.box.h / 2 - y < face.shape[0]
                for found in result.faces
            ):
                met.setdefault(place, since + 1)

    stats = ran([source], upscaler, note, realtime=True)
    # One that is not found counts as found when it goes.
    after_s = [met.get(place, source.SHOWN_FRAMES) / 30 for place in range(len(source.places))]
    yield row(
        "a face of 24 px in 1920x1080 at 30 fps: found after, the longest", max(after_s), "s", 1.0,
        median_s=round(float(np.median(after_s)), 2), places=len(after_s),
        missed=len(after_s) - len(met), frames_dropped=stats.sources[0].dropped,
    )  # fmt: skip


def _shrunk_face(picture: UInt8, box: Box) -> UInt8:
    """The face with its surroundings, twice its size, SMALL_FACE_PX large."""
    longer = max(box.w, box.h)
    left, top = (max(0, round(v)) for v in (box.x + box.w / 2 - longer, box.y + box.h / 2 - longer))
    part = picture[top : top + round(2 * longer), left : left + round(2 * longer)]
    shrink = SMALL_FACE_PX / longer
    size = (round(part.shape[1] * shrink), round(part.shape[0] * shrink))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def overhead(clip: Path, engine: Engine, threads: int, count: int, detector: str) -> Rows:
    """Processor time of a stream beside that of its parts run bare on the same frames."""
    upscaler = Upscaler(engine=engine, detector=detector, threads=threads, out_size=(1280, 720))
    pictures = pictures_of(clip, threads, count)
    lists: list[StreamResult] = []
    options = {"reuse": False, "batch_wait_ms": 0.0}
    ran([FileSource(str(clip), VideoOptions(threads=threads))], upscaler, lists.append, **options)
    lists = lists[:count]

    def stream() -> None:
        ran([FileSource(str(clip), VideoOptions(threads=threads))], upscaler, **options)

    def detect() -> None:
        finder = Finder(upscaler.detector, live=False)
        for number, picture in enumerate(pictures):
            finder.find(picture, number / 30, lambda _: False)

    def network() -> None:
        for result in lists:
            faces = result.faces
            upscaler.enlarge([face.window for face in faces], [face.lr for face in faces])

    parts = {
        "decode": lambda: pictures_of(clip, threads, count),
        "detect": detect,
        "engine": network,
        "resize": lambda: [background(picture, 1280, 720) for picture in pictures],
    }
    whole_s = _cpu_s(stream)
    bare_s = {name: _cpu_s(part) for name, part in parts.items()}
    yield row(
        "processor time outside decode, detection, engine and resize",
        100 * max(0.0, whole_s - sum(bare_s.values())) / whole_s, "%", 15.0,
        whole_s=round(whole_s, 2), **{name: round(s, 2) for name, s in bare_s.items()},
    )  # fmt: skip


def _cpu_s(work: Callable[[], object]) -> float:
    begin_s = time.process_time()
    work()
    return time.process_time() - begin_s


def still(clip: Path, engine: Engine, count: int, detector: str) -> Rows:
    """A still picture with noise: how often the engine runs, and how the result trembles without reuse."""
    (picture,) = pictures_of(clip, 1, 1)
    upscaler = Upscaler(engine=engine, detector=detector)
    stats = ran([Frames([picture], count, NOISE_SIGMA)], upscaler)
    yield row(
        "still scene: engine calls", 100 * stats.engine_windows / count, "% of frames", 20.0,
        faces=stats.sources[0].faces, reused=stats.sources[0].reused,
    )  # fmt: skip
    results: list[StreamResult] = []
    ran([Frames([picture], min(count, 100), NOISE_SIGMA)], upscaler, results.append, reuse=False)
    pairs = [
        (a.faces[0], b.faces[0])
        for a, b in itertools.pairwise(results)
        if a.faces and b.faces and a.faces[0].window == b.faces[0].window
    ]
    ours = np.mean([cv2.absdiff(a.sr, b.sr).mean() for a, b in pairs])
    plain = np.mean(
        [cv2.absdiff(bicubic(a.lr, a.sr), bicubic(b.lr, b.sr)).mean() for a, b in pairs]
    )
    yield row(
        "still scene: consecutive results differ, over bicubic's", float(ours / plain), "x", 1.25,
        ours=round(float(ours), 3), bicubic=round(float(plain), 3), pairs=len(pairs),
        windows_moved=len(results) - 1 - len(pairs),
    )  # fmt: skip


def bicubic(lr: UInt8, sr: UInt8) -> UInt8:
    """The window enlarged plainly to the size of its picture."""
    return np.asarray(cv2.resize(lr, sr.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def reuse(clips: list[Path], engine: Engine, detector: str) -> Rows:
    """Moving clips with reuse against the same without: the noise that reuse adds, as 60 - PSNR in dB."""
    difference = Difference()
    reused = faces = 0
    for clip in clips:
        kept: list[list[UInt8]] = []
        for on in (False, True):
            pictures: list[UInt8] = []

            def keep(result: StreamResult, into: list[UInt8] = pictures) -> None:
                if result.picture is not None:
                    into.append(result.picture)

            upscaler = Upscaler(engine=engine, detector=detector, frame_scale=1)
            stats = ran([FileSource(str(clip), VideoOptions())], upscaler, keep, reuse=on)
            kept.append(pictures)
        reused += stats.sources[0].reused
        faces += stats.sources[0].faces
        for one, other in zip(*kept, strict=True):
            difference.add(one, other)
    yield row(
        "moving clips: 60 dB less the PSNR of reuse against none", 60 - difference.psnr, "dB", 20.0,
        psnr_dB=round(difference.psnr, 2), saved_percent=round(100 * reused / max(1, faces), 1), faces=faces,
    )  # fmt: skip


def views(clip: Path, engine: Engine, folder: Path, detector: str) -> None:
    """A few frames of a clip in a row, of each view, to be looked at for flicker and seams."""
    results: list[StreamResult] = []
    upscaler = Upscaler(engine=engine, detector=detector)
    ran([FileSource(str(clip), VideoOptions())], upscaler, results.append)
    folder.mkdir(parents=True, exist_ok=True)
    for result in results[:24:3]:
        if result.picture is not None:
            cv2.imwrite(str(folder / f"{result.number:03}.png"), result.picture[..., ::-1])
