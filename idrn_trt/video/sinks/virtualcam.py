"""A camera for other programs (Zoom, Teams, OBS, browsers), by pyvirtualcam."""

from __future__ import annotations

from typing import Any

from idrn_trt.errors import BackendUnavailable, SinkError
from idrn_trt.types import StreamResult
from idrn_trt.video.fit import fitted
from idrn_trt.video.hud import Hud

# What is told to programs that ask; pictures are sent as they come.
_FPS = 30
_HOW = (
    "On Linux load the v4l2loopback module: "
    "`sudo modprobe v4l2loopback exclusive_caps=1 card_label=idrn-trt`; elsewhere install OBS"
)


class VirtualCamera:
    """One source's pictures as a camera, of the first picture's size; others are fitted into it.

    device: /dev/videoN, None for the first virtual camera found. Raises BackendUnavailable without
    pyvirtualcam.
    """

    pictures = True

    def __init__(
        self, source: int | None = None, device: str | None = None, *, hud: Hud | None = None
    ) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise BackendUnavailable(
                'virtual cameras need pyvirtualcam: pip install "idrn-trt[virtualcam]"'
            ) from error
        self._library = pyvirtualcam
        self.name = device or "virtual camera"
        self.source = source
        self._device = device
        self._hud = hud
        self._camera: Any = None

    def write(self, result: StreamResult) -> None:
        """See Sink."""
        if result.picture is None:
            return
        picture = result.picture if self._hud is None else self._hud.drawn(result)
        if self._camera is None:
            self._camera = self._opened(picture.shape[1], picture.shape[0])
        self._camera.send(fitted(picture, (self._camera.width, self._camera.height)))

    def close(self) -> None:
        """See Sink."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _opened(self, width: int, height: int) -> Any:
        try:
            return self._library.Camera(width, height, _FPS, device=self._device)
        except (RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise SinkError(f"cannot open {self.name!r}: {reason}. {_HOW}") from error
