"""The product in one class: detect the faces, cut their windows, run the network, paste back. No threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from idrn_trt.engines import open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.errors import DeviceError, OptionError
from idrn_trt.faces.detect import Detector, check_detector, open_detector
from idrn_trt.faces.layout import background, check_output, output_size
from idrn_trt.faces.network import DETECTOR_ENGINES
from idrn_trt.faces.paste import paste, paste_order
from idrn_trt.faces.window import cut, group_by_shape, window_for
from idrn_trt.types import Face, FaceResult, Result, Window
from idrn_trt.zoo import DEFAULT_DETECTOR, DEFAULT_MODEL, Model

UInt8 = npt.NDArray[np.uint8]


class Upscaler:
    """Frames in, frames with clear faces out.

    model: a name of the zoo, a model folder, or an .onnx file. engine: a registry name, "auto", or an
    opened Engine, which then stays the caller's to close and makes model, precision and threads moot.
    detector: "cnn", "haar", "yunet" (with detector_model, its file), or a Detector. min_face_px: the smallest
    face worth finding, in frame pixels; detect_upscaled lets the detector enlarge the frame for it.
    out_size: (width, height) of the result in pixels; frame_scale: 1, 2 or 4 times the input; with
    neither, as large as the model's scale allows within 1920x1080, and never smaller than the input.

    Threads that share one object wait for each other at the detector and at the engine; for more speed, give
    each its own. Raises OptionError, ModelError, BackendUnavailable or DeviceError.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT_MODEL,
        engine: str | Engine = "auto",
        *,
        precision: str = "auto",
        threads: int | None = None,
        detector: str | Detector = DEFAULT_DETECTOR,
        detector_model: Path | None = None,
        min_face_px: int = 24,
        detect_upscaled: bool = False,
        out_size: tuple[int, int] | None = None,
        frame_scale: int | None = None,
    ) -> None:
        check_output(out_size, frame_scale)
        if isinstance(detector, str):  # before an engine is opened, which may take minutes
            check_detector(detector, min_face_px, detector_model)
        self.out_size = out_size
        self.frame_scale = frame_scale
        self._detecting = threading.Lock()
        self._closed = False
        self._owns_engine = isinstance(engine, str)
        if isinstance(engine, str):
            engine = open_engine(model, engine=engine, precision=precision, threads=threads)
        self.engine = engine
        if isinstance(detector, str):
            # In what was opened, not in what was asked for: "auto" may have found one library only.
            beside = engine.spec.engine
            try:
                detector = open_detector(
                    detector,
                    min_face_px=min_face_px,
                    model_file=detector_model,
                    upscale=detect_upscaled,
                    engine=beside if beside in DETECTOR_ENGINES else "openvino",
                    threads=threads,
                )
            except BaseException:  # Ctrl-C too: nobody else could close the engine
                self.close()
                raise
        self.detector = detector

    @property
    def notes(self) -> list[str]:
        """Why a slower path was taken, one sentence each."""
        return list(self.engine.notes)

    def upscale(self, frame: UInt8, *, whole: bool = True) -> Result:
        """The frame at its output size with every face made by the network.

        frame: uint8 RGB (H, W, 3); OpenCV's pictures are BGR: pass `bgr[..., ::-1]`. It is read only
        and not kept. whole: False makes the faces only, and the result's frame is the one given.
        Raises OptionError for anything else, and DeviceError when the device fails or this is closed.
        """
        if self._closed:
            raise DeviceError("this upscaler is closed: make another one")
        frame = _checked(frame)
        clock = _Clock()
        with clock.stage("detect"), self._detecting:
            faces = self.detector.detect(frame)
        with clock.stage("window"):
            placed, too_large = _place(faces, frame)
            crops = [cut(frame, window) for _, window in placed]
        with clock.stage("engine"):
            pictures = self.enlarge([window for _, window in placed], crops)
        results = [
            FaceResult(face.box, face.score, window, lr, sr)
            for (face, window), lr, sr in zip(placed, crops, pictures, strict=True)
        ]
        with clock.stage("paste"):
            picture = self.compose(frame, results) if whole else frame
        return Result(picture, results, too_large, clock.times_ms())

    def enlarge(self, windows: Sequence[Window], crops: Sequence[UInt8]) -> list[UInt8]:
        """Every window's pixels through the network, one engine call for all windows of one shape.

        crops: uint8 RGB (h, w, 3), one for each window; the pictures, in that order, are the
        caller's own.
        """
        scale, step = self.engine.spec.scale, self.engine.spec.max_batch
        pictures: list[UInt8] = [np.empty(0, np.uint8)] * len(crops)
        for (h, w), places in group_by_shape(windows).items():
            for first in range(0, len(places), step):
                some = places[first : first + step]
                # Not the engine's own buffer: another thread may use the engine too.
                out = np.empty((len(some), scale * h, scale * w, 3), np.uint8)
                self.engine.run(np.stack([crops[i] for i in some]), out)
                for place, picture in zip(some, out, strict=True):
                    pictures[place] = picture
        return pictures

    def compose(self, frame: UInt8, faces: Sequence[FaceResult]) -> UInt8:
        """The frame at its output size by interpolation, with these faces pasted in."""
        height, width = frame.shape[:2]
        scale = self.engine.spec.scale
        out_w, out_h = output_size(
            width, height, out_size=self.out_size, frame_scale=self.frame_scale, model_scale=scale
        )
        picture = background(frame, out_w, out_h)
        for place in paste_order([face.window for face in faces]):
            paste(picture, faces[place].window, faces[place].sr, scale, (width, height))
        return picture

    def close(self) -> None:
        """Release the engine if it is ours; may be called more than once.

        `upscale` is refused from then on.
        """
        self._closed = True
        if self._owns_engine:
            self.engine.close()

    def __enter__(self) -> Upscaler:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Clock:
    """Wall time of named stages."""

    def __init__(self) -> None:
        self._start = time.perf_counter_ns()
        self._times_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter_ns()
        yield
        self._times_ms[name] = (time.perf_counter_ns() - start) / 1e6

    def times_ms(self) -> dict[str, float]:
        return {**self._times_ms, "total": (time.perf_counter_ns() - self._start) / 1e6}


def _checked(frame: object) -> UInt8:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise OptionError(f"a frame must be a uint8 array, got {kind}")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise OptionError(f"a frame must be RGB of shape (H, W, 3), got {frame.shape}")
    return np.ascontiguousarray(frame)


def _place(faces: Sequence[Face], frame: UInt8) -> tuple[list[tuple[Face, Window]], list[Face]]:
    """Faces with their windows, and the faces that no window holds."""
    height, width = frame.shape[:2]
    placed: list[tuple[Face, Window]] = []
    too_large: list[Face] = []
    for face in faces:
        window = window_for(face.box, height, width)
        if window is None:
            too_large.append(face)
        else:
            placed.append((face, window))
    return placed, too_large
