"""What a frame costs around detection and the engine: the sheet of faces, compositing, many faces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from pipeline_known import Known, Recorded
from pipeline_ratio import ratio_row
from pipeline_report import row

from idrn_trt.bench.end_to_end import frame_with_faces
from idrn_trt.bench.measure import CONTROL, Case, Samples, interleave
from idrn_trt.engines.base import Engine
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.colour import FromRgb, ToRgb, colour_of, output_colour
from idrn_trt.video.sheet import Canvas

UInt8 = npt.NDArray[np.uint8]

OUT_PX = (1920, 1080)
FACE_WINDOW_PX = 64
# Input (width, height) for OUT_PX: at the scale of an x4 model, and below it.
SHOWN_PX = ((480, 270), (640, 360))
MANY = 20
# A face does not stand still: it is put back at another place each time, this many pixels on.
STEP_PX = 7
# At most: an interval of a median wants some dozens.
ROUNDS = 60


def measured(
    engine: Engine, threads: int, seconds: float
) -> Iterator[tuple[dict[str, Any], float]]:
    """Row by row, and how much the control varied meanwhile; each row's cases take turns by themselves.

    seconds: for all of it, most of them for the row of many faces, whose calls are the longest.
    """
    turns = partial(interleave, threads=threads)
    taken = turns(sheet_cases(engine), rounds=12, budget_s=seconds / 10)
    yield sheet_row(taken), taken[CONTROL].spread
    for size in SHOWN_PX:
        taken = turns(compositing_cases(engine, size), rounds=ROUNDS, budget_s=seconds / 5)
        yield compositing_row(taken, size), taken[CONTROL].spread
    taken = turns(crowd_cases(engine), rounds=ROUNDS, budget_s=seconds / 2)
    yield crowd_row(taken), taken[CONTROL].spread


def sheet_cases(engine: Engine) -> dict[str, Case]:
    """A sheet of one face of a 640x480 frame, and the conversions beside it."""
    frame, faces = frame_with_faces(1, FACE_WINDOW_PX)
    upscaler = Upscaler(engine=Recorded(engine), detector=Known(faces))
    canvas = Canvas("faces", engine.spec.scale)
    to_rgb, from_rgb, decoded = conversions(frame)

    def sheet() -> UInt8 | None:
        return canvas.show(frame, upscaler.upscale(frame, whole=False))

    shown = sheet()
    return {
        "sheet": sheet,
        "to rgb": lambda: to_rgb(decoded),
        "from rgb": lambda: from_rgb(shown),
    }


def sheet_row(taken: dict[str, Samples]) -> dict[str, Any]:
    """A frame's time beside decoding, detection, the engine and encoding."""
    return row(
        "640x480, one face, --view faces: all but decode, detection, engine, encode",
        taken["sheet"].p50, "ms a frame", 1.0, p90_ms=round(taken["sheet"].percentile(90), 4),
        frame_to_RGB_ms=round(taken["to rgb"].p50, 4),
        sheet_from_RGB_ms=round(taken["from rgb"].p50, 4),
    )  # fmt: skip


def conversions(frame: UInt8) -> tuple[ToRgb, FromRgb, av.VideoFrame]:
    """Both ways between a decoded frame and RGB, and such a frame."""
    plain = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p")
    colour, _ = colour_of(plain)
    height, width = frame.shape[:2]
    return (
        ToRgb(colour, width, height, 1),
        FromRgb(output_colour(colour, width, height), "yuv420p", 1),
        plain,
    )


def compositing_cases(engine: Engine, size: tuple[int, int]) -> dict[str, Case]:
    """Background and a face that moves, and one resize of the same frame."""
    width, height = size
    frame, faces = frame_with_faces(1, FACE_WINDOW_PX)
    small = frame[:height, :width].copy()
    upscaler = Upscaler(engine=Recorded(engine), detector=Known(faces), out_size=OUT_PX)
    face = upscaler.upscale(small).faces[0]
    span = min(size) - FACE_WINDOW_PX - 1
    places = range(1, span, STEP_PX)
    moved = itertools.cycle(replace(face, window=replace(face.window, x=at, y=at)) for at in places)

    def compose() -> UInt8:
        return upscaler.compose(small, [next(moved)])

    return {
        name_of("compose", size): compose,
        name_of("resize", size): partial(cv2.resize, small, OUT_PX, interpolation=cv2.INTER_CUBIC),
    }


def name_of(what: str, size: tuple[int, int]) -> str:
    """A case's name."""
    return f"{what} {size[0]}x{size[1]}"


def compositing_row(taken: dict[str, Samples], size: tuple[int, int]) -> dict[str, Any]:
    """Both against each other."""
    compose, plain = (taken[name_of(what, size)] for what in ("compose", "resize"))
    return ratio_row(
        f"--view frame, {size[0]}x{size[1]} shown at 1920x1080: compositing against one cv2.resize",
        compose.blocks / plain.blocks, 1.15,
        compositing_ms=round(compose.p50, 4), resize_ms=round(plain.p50, 4),
    )  # fmt: skip


def crowd_cases(engine: Engine) -> dict[str, Case]:
    """One frame with none, one and many of its faces known, by the real engine."""
    frame, faces = frame_with_faces(MANY, FACE_WINDOW_PX)
    return {
        f"{n} faces": partial(Upscaler(engine=engine, detector=Known(faces[:n])).upscale, frame)
        for n in (0, 1, MANY)
    }


def crowd_row(taken: dict[str, Samples]) -> dict[str, Any]:
    """What a face adds to a frame without any."""
    none, one, many = (taken[f"{n} faces"].blocks for n in (0, 1, MANY))
    first, each = one - none, (many - none) / MANY
    return ratio_row(
        f"{MANY} faces in a frame: time a face against one face", each / first, 0.95,
        one_face_ms=round(float(np.median(first)), 4),
        **{f"each_of_{MANY}_ms": round(float(np.median(each)), 4)},
    )  # fmt: skip
