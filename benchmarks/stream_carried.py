"""How like the network's own pictures those are that carry its detail, at a camera's pace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pipeline_report import row
from stream_rows import Difference, Rows, bicubic, ran

from idrn_trt.engines.base import Engine
from idrn_trt.faces.window import CONTEXT_PX
from idrn_trt.types import StreamResult
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.sources.file import FileSource

UInt8 = npt.NDArray[np.uint8]

# Of one in so many frames the faces are made afterwards, to be compared.
SAMPLED = 5


def carried(clips: list[Path], engine: Engine, seconds: float, detector: str) -> Rows:
    """Clips played at their own pace, against the network's picture of the same pixels.

    Whole pictures count, as in the row on reuse; and, for what is behind them, the part of the windows
    that is ever shown, at the model's scale.
    """
    upscaler = Upscaler(engine=engine, detector=detector)
    pictures, windows, plain = Difference(), Difference(), Difference()
    faces = all_faces = 0
    for clip in clips:
        sampled: list[StreamResult] = []

        def keep(result: StreamResult, into: list[StreamResult] = sampled) -> None:
            if result.number % SAMPLED == 0 and any(face.carried for face in result.faces):
                into.append(result)

        source = FileSource(str(clip), VideoOptions(threads=1))
        stats = ran([source], upscaler, keep, realtime=True, carry=True, duration_s=seconds)
        faces += stats.sources[0].carried
        all_faces += stats.sources[0].faces
        for result in sampled:
            made = [
                replace(face, sr=upscaler.enlarge([face.window], [face.lr])[0])
                for face in result.faces
            ]
            if result.picture is not None:
                pictures.add(result.picture, upscaler.compose(result.frame, made))
            for face, own in zip(result.faces, made, strict=True):
                if face.carried:
                    windows.add(_shown(face.sr), _shown(own.sr))
                    plain.add(_shown(bicubic(face.lr, own.sr)), _shown(own.sr))
    yield row(
        "carried detail: 60 dB less the PSNR against the network's", 60 - pictures.psnr, "dB", 20.0,
        psnr_dB=round(pictures.psnr, 2), windows_psnr_dB=round(windows.psnr, 2),
        bicubic_windows_psnr_dB=round(plain.psnr, 2), faces=all_faces,
        carried_percent=round(100 * faces / max(1, all_faces), 1), clips=len(clips),
    )  # fmt: skip


def _shown(picture: UInt8) -> UInt8:
    """Without the network's context at the edges of the window, at four times its size."""
    edge = 4 * CONTEXT_PX
    return picture[edge:-edge, edge:-edge]
