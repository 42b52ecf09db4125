"""Faces over time: which face of this frame is which of the last, and a window that stays still."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from idrn_trt.faces.window import CONTEXT_PX, centred, window_for
from idrn_trt.types import Box, Face, Window

# Two boxes of consecutive looks are the same face from this intersection over union on.
SAME_IOU = 0.3
# A box that lies in another for more than this share of the smaller one is no second face.
SAME_SHARE = 0.5
# A face that was looked for and not found is kept for so long, and for so many looks.
KEPT_S = 0.5
KEPT_LOOKS = 3
# The window stays while the face, this much enlarged, is inside of the part that is shown.
KEEP_MARGIN = 1.06
# It becomes smaller only when a face this much larger would fit into the smaller one.
SHRINK_MARGIN = 1.08


@dataclass(slots=True)
class Track:
    """One followed face. window is None for a face that no window holds."""

    number: int
    face: Face
    window: Window | None
    found_s: float
    looked_s: float
    missed: int = 0


class Tracker:
    """The faces of one source. Times are the source's own, in s; frame_size is (width, height)."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._numbers = 0

    def found(self, track: Track, face: Face, time_s: float, frame_size: tuple[int, int]) -> None:
        """The face of `track` has been found again."""
        track.face = face
        track.window = follow(track.window, face.box, frame_size)
        track.found_s = track.looked_s = time_s
        track.missed = 0

    def missed(self, track: Track, time_s: float) -> None:
        """It has been looked for in vain; it is forgotten once that happens often enough."""
        track.looked_s = time_s
        track.missed += 1

    def match(self, face: Face) -> Track | None:
        """The track that this face belongs to."""
        best = max(self.tracks, key=lambda track: iou(track.face.box, face.box), default=None)
        if best is not None and iou(best.face.box, face.box) >= SAME_IOU:
            return best
        return None

    def is_new(self, face: Face) -> bool:
        """Whether no track shows this face, or one that it is mistaken for."""
        boxes = (track.face.box for track in self.tracks)
        return all(shared(box, face.box) <= SAME_SHARE for box in boxes)

    def begin(self, face: Face, time_s: float, frame_size: tuple[int, int]) -> Track:
        """A new track."""
        self._numbers += 1
        window = follow(None, face.box, frame_size)
        track = Track(self._numbers, face, window, time_s, time_s)
        self.tracks.append(track)
        return track

    def forget(self, time_s: float) -> None:
        """Drop the faces that are gone, and of two tracks that run into one the newer."""
        kept: list[Track] = []
        for track in self.tracks:  # the oldest first
            gone = track.missed >= KEPT_LOOKS and time_s - track.found_s > KEPT_S
            if not gone and not _overlaps(track, kept):
                kept.append(track)
        self.tracks = kept


def follow(window: Window | None, box: Box, frame_size: tuple[int, int]) -> Window | None:
    """The window for a face that was in `window` before: the same one for as long as it can be.

    It does not move for a detector's jitter: only when the face comes near the edge of what is shown. It
    is then centred anew, however far the face has gone, and becomes larger only if the face is near the
    edge even so. None for a face that no window holds.
    """
    width, height = frame_size
    wanted = window_for(box, height, width)
    if window is None or wanted is None:
        return wanted
    if not holds(window, box, frame_size):
        moved = centred(box, window.shape, height, width)
        return moved if wanted.pixels > window.pixels and holds(moved, box, frame_size) else wanted
    if wanted.pixels < window.pixels:
        larger = window_for(_enlarged(box, SHRINK_MARGIN), height, width)
        if larger is not None and larger.pixels < window.pixels:
            return wanted
    return window


def holds(window: Window, box: Box, frame_size: tuple[int, int]) -> bool:
    """Whether a face, with KEEP_MARGIN, is inside the shown part of a window, as far as the frame goes."""
    grown = _enlarged(box, KEEP_MARGIN)
    spans = (
        (grown.x, grown.w, window.x, window.w, frame_size[0]),
        (grown.y, grown.h, window.y, window.h, frame_size[1]),
    )
    return all(
        (start <= 0 or low >= start + CONTEXT_PX)
        and (start + room >= size or low + length <= start + room - CONTEXT_PX)
        for low, length, start, room, size in spans
    )


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    common = _common(a, b)
    return common / (a.w * a.h + b.w * b.h - common)


def shared(a: Box, b: Box) -> float:
    """The overlap of two boxes over the smaller one's area."""
    return _common(a, b) / min(a.w * a.h, b.w * b.h)


def _common(a: Box, b: Box) -> float:
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return max(w, 0.0) * max(h, 0.0)


def _enlarged(box: Box, by: float) -> Box:
    w, h = box.w * by, box.h * by
    return Box(box.x + (box.w - w) / 2, box.y + (box.h - h) / 2, w, h)


def _overlaps(track: Track, others: Iterable[Track]) -> bool:
    return any(shared(track.face.box, other.face.box) > SAME_SHARE for other in others)
