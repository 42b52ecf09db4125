"""The video encoders that can be asked for, what their options are called, and the containers for them."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from idrn_trt.errors import OptionError

# Ending -> FFmpeg's name of the muxer. All of them hold any frame's time; AVI, for one, does not.
CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}

# What a pipe is written as: nothing in it is changed once it is written.
PIPE_CONTAINER = "matroska"

_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of FFmpeg's encoders.

    name: FFmpeg's. quality: the options that take crf. crf, most_crf: its default and largest number.
    speed: the option that takes preset; presets: its values, fastest first; preset: the default.
    always: options given whatever is asked for. pix_fmt: what frames are converted to. tag: the
    container's code for the codec where FFmpeg's own choice is played by fewer players.
    """

    name: str
    quality: tuple[str, ...] = ()
    crf: int = 0
    most_crf: int = 51
    speed: str = ""
    presets: tuple[str, ...] = ()
    preset: str = ""
    always: Mapping[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    tag: str = ""

    def options(self, crf: int | None, preset: str | None) -> dict[str, str]:
        """FFmpeg's options for these wishes. Raises OptionError for what the encoder does not take."""
        if crf is not None and not self.quality:
            raise OptionError(f"encoder {self.name!r} is lossless: leave --crf out")
        if crf is not None and not 0 <= crf <= self.most_crf:
            raise OptionError(f"{self.name} takes a crf from 0 to {self.most_crf}, got {crf!r}")
        if preset is not None and preset not in self.presets:
            known = ", ".join(self.presets) or "no preset at all"
            raise OptionError(f"{self.name} has no preset {preset!r}; it takes {known}")
        chosen = dict(self.always)
        chosen.update(dict.fromkeys(self.quality, str(self.crf if crf is None else crf)))
        if self.speed:
            chosen[self.speed] = preset or self.preset
        return chosen


_NVENC = {
    "quality": ("cq",), "crf": 21, "speed": "preset", "preset": "p4",
    "presets": ("p1", "p2", "p3", "p4", "p5", "p6", "p7"), "always": {"rc": "vbr", "b": "0"},
}  # fmt: skip
_QSV = {
    "quality": ("global_quality",), "crf": 21, "speed": "preset", "preset": "veryfast",
    "presets": ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"),
    "pix_fmt": "nv12",
}  # fmt: skip
_AMF = {
    "quality": ("qp_i", "qp_p"), "crf": 21, "speed": "quality", "preset": "balanced",
    "presets": ("speed", "balanced", "quality"), "always": {"rc": "cqp"},
}  # fmt: skip

# The software encoders' defaults are about the fastest that still keep a face's detail. Hardware
# encoders are written after FFmpeg's documentation (https://ffmpeg.org/ffmpeg-codecs.html).
ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("libx264", ("crf",), 18, 51, "preset", _X26X_PRESETS, "veryfast"),
        Encoder(
            "libx265", ("crf",), 20, 51, "preset", _X26X_PRESETS, "veryfast",
            always={"x265-params": "log-level=none"}, tag="hvc1",
        ),
        Encoder(
            "libsvtav1", ("crf",), 28, 63, "preset", tuple(str(k) for k in range(13, -1, -1)), "10",
        ),
        Encoder(
            "libvpx-vp9", ("crf",), 28, 63, "cpu-used", tuple(str(k) for k in range(8, -1, -1)), "6",
            always={"b": "0", "deadline": "realtime", "row-mt": "1"},
        ),
        Encoder("ffv1", pix_fmt="bgr0"),
        Encoder("h264_nvenc", **_NVENC),  # type: ignore[arg-type]
        Encoder("hevc_nvenc", **_NVENC, tag="hvc1"),  # type: ignore[arg-type]
        Encoder("av1_nvenc", **_NVENC),  # type: ignore[arg-type]
        Encoder("h264_qsv", **_QSV),  # type: ignore[arg-type]
        Encoder("hevc_qsv", **_QSV, tag="hvc1"),  # type: ignore[arg-type]
        Encoder("av1_qsv", **_QSV),  # type: ignore[arg-type]
        Encoder("h264_amf", **_AMF),  # type: ignore[arg-type]
        Encoder("hevc_amf", **_AMF, tag="hvc1"),  # type: ignore[arg-type]
    )
}  # fmt: skip

# What FFmpeg's muxer for .mov refuses only once the file is begun.
_NOT_IN_MOV = frozenset({"vp9", "av1"})

CODECS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
# What "hardware" tries, in this order; all H.264, which plays everywhere.
HARDWARE = ("h264_nvenc", "h264_qsv", "h264_amf")


def quieten() -> None:
    """Keep SVT-AV1's banner off the terminal; it takes no other orders than this variable's.

    Anyone who has set the variable keeps it.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors only


def container_of(path: Path) -> str:
    """The muxer for a file of this name. Raises OptionError for an ending that is none of CONTAINERS."""
    form = CONTAINERS.get(path.suffix.lower())
    if form is None:
        raise OptionError(
            f"cannot write a video named {str(path)!r}: expected one of the endings "
            f"{', '.join(sorted(CONTAINERS))}"
        )
    return form


def choose_encoder(codec: str, container: str) -> tuple[Encoder, list[str]]:
    """The encoder for what was asked, and notes on the choice.

    codec: "auto" (H.264, in WebM VP9), "hardware", a name of CODECS or of ENCODERS. Raises OptionError
    for another name and for one that does not go into the container.
    """
    if codec == "hardware":
        name = next((name for name in HARDWARE if opens(ENCODERS[name])), "")
        if not name:
            return ENCODERS["libx264"], ["no hardware encoder works here: encoded by libx264"]
        return ENCODERS[name], []
    if codec == "auto":
        codec = "vp9" if container == "webm" else "h264"
    name = CODECS.get(codec, codec)
    if name not in ENCODERS:
        known = [*CODECS, "hardware", *ENCODERS]
        near = difflib.get_close_matches(codec.lower(), known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"no codec {codec!r}.{hint} There are: {', '.join(known)}.")
    encoder = ENCODERS[name]
    _check_fits(encoder, container)
    return encoder, []


def opens(encoder: Encoder) -> bool:
    """Whether this encoder works on this machine, found out by opening it on a small picture."""
    import av

    try:
        context = av.CodecContext.create(encoder.name, "w")
        context.width, context.height, context.pix_fmt = 640, 480, encoder.pix_fmt  # type: ignore[attr-defined]
        context.time_base = Fraction(1, 25)
        context.options = encoder.options(None, None)
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _check_fits(encoder: Encoder, container: str) -> None:
    import av

    try:
        with av.open(io.BytesIO(), "w", format=container) as probe:
            stream = probe.add_stream(encoder.name, rate=25)
            if container == "mov" and stream.codec.canonical_name in _NOT_IN_MOV:
                raise ValueError(stream.codec.canonical_name)
    except av.codec.codec.UnknownCodecError as error:
        raise OptionError(f"encoder {encoder.name!r} is not part of this PyAV") from error
    except ValueError as error:
        raise OptionError(
            f"{container} cannot hold what {encoder.name!r} makes: take another ending or --codec"
        ) from error
