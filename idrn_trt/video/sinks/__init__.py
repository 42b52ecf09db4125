"""Where a stream's results go: files, windows, virtual cameras, addresses, folders of faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from idrn_trt.errors import OptionError
from idrn_trt.video.hud import Hud
from idrn_trt.video.sinks.base import Sink
from idrn_trt.video.sources.redact import redacted


@dataclass(frozen=True, kw_only=True, slots=True)
class SinkOptions:
    """What sinks made from a text are like.

    codec, crf, preset, threads: for encoders. hud: whether words are drawn into pictures, None for in
    windows only; engine: what computes, for those words.
    """

    codec: str = "auto"
    crf: int | None = None
    preset: str | None = None
    threads: int | None = None
    hud: bool | None = None
    engine: str = ""

    def words(self, *, window: bool = False) -> Hud | None:
        """What draws them for one sink."""
        return Hud(self.engine) if self.hud or (self.hud is None and window) else None


def open_sinks(text: str, sources: int, options: SinkOptions | None = None) -> list[Sink]:
    """The sinks that a text stands for, in a stream of so many sources.

    "null", "-" (JSON lines on standard output), "window" (one for each source), "virtualcam" or its
    /dev/videoN, an address to send to, or the name of a video file. What takes one source only is given
    once for each when it has {} in it, which becomes the source's number. Raises OptionError, and
    BackendUnavailable where a window or virtual camera cannot be had.
    """
    options = options or SinkOptions()
    if text == "null":
        from idrn_trt.video.sinks.file import Null

        return [Null()]
    if text == "-":
        from idrn_trt.video.sinks.lines import JsonLines

        return [JsonLines()]
    if text == "window":
        text = "window {}"
    if sources > 1 and "{}" not in text:
        raise OptionError(
            f"{redacted(text)!r} takes one source, and there are {sources}: put {{}} where its number "
            "is to be"
        )
    texts = [text.replace("{}", str(number)) for number in range(sources)]
    return [_one(text, number, options) for number, text in enumerate(texts)]


def _one(text: str, source: int, options: SinkOptions) -> Sink:
    if text.startswith("window "):
        from idrn_trt.video.sinks.window import WindowSink

        return WindowSink(source, options.words(window=True))
    if text == "virtualcam" or text.startswith("/dev/"):
        from idrn_trt.video.sinks.virtualcam import VirtualCamera

        device = None if text == "virtualcam" else text
        return VirtualCamera(source, device, hud=options.words())
    if "://" in text:
        from idrn_trt.video.sinks.push import Push

        return Push(text, source, hud=options.words(), threads=options.threads)
    from idrn_trt.video.sinks.file import VideoFile

    return VideoFile(
        Path(text),
        source,
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        threads=options.threads,
        hud=options.words(),
    )
