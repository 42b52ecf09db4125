"""Times: which part of a clip is wanted, where its tracks stand in it, and whether its end is missing.

Times are kept as they are in the file, in its own units. Two clocks are shifted, all tracks alike: that
of an MPEG transport or program stream, which starts anywhere and may jump, and that of a part cut out by
start_s, whose first frame is put at 0.
"""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from idrn_trt.video.clock import SteadyClock
from idrn_trt.video.options import VideoOptions

_MICROSECOND = Fraction(1, 1_000_000)
# Formats whose clock may start anywhere and jump, and that have no index to seek by.
_OWN_CLOCK = frozenset({"mpegts", "mpeg"})
# Formats that say when a frame is decoded, not when it is shown.
_DECODING_ORDER = frozenset({"avi", "mpegvideo"})
# A header may count the last frame, or another track's last packet, longer than the packets say.
_SLACK_S = Fraction(1, 4)
# Decoders of sound want packets ahead of the first sample heard, Opus most: RFC 7845, 4.6.
_PREROLL_S = Fraction(8, 100)
# FFmpeg counts in 64 bits; times of damaged packets come close to that.
_MOST_TICKS = 2**62
# Tracks are interleaved within about this much.
_INTERLEAVED_S = 1
# Formats whose header, or last packet, says how long the clip is.
_TELL_DURATION = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "mxf", "rm"})


class Timeline:
    """The clock of one clip being read. All arguments stay the caller's."""

    def __init__(
        self, container: Any, video: Any, tracks: list[Any], options: VideoOptions
    ) -> None:
        self._container = container
        self._name = container.format.name
        self._tick: Fraction = video.time_base
        self._ticks = {stream.index: stream.time_base for stream in container.streams}
        self._video_index = video.index
        self._starts = {stream.index: stream.start_time or 0 for stream in tracks}
        self._zero = self._clock_start([video, *tracks])
        self._start = self._zero + _as_written(options.start_s)
        self._end = (
            None if options.duration_s is None else self._start + _as_written(options.duration_s)
        )
        # What is subtracted from every time; with start_s it is known once the first frame is.
        self._origin = self._zero if options.start_s == 0 else None
        self._whole = options.whole
        self._last_pts: int | None = None
        self._last_duration = max(1, round(1 / (video.average_rate or 25) / self._tick))
        self._clock = SteadyClock() if self._name in _OWN_CLOCK else None
        self._first_dts: int | None = None
        self._delay: int | None = None
        self._stamped: int | None = None
        self._longest_gap = Fraction(0)
        self._reached = Fraction(0)
        self._video_reached = self._zero
        self._past_end = False
        self._torn_at: Fraction | None = None
        self.skipped = 0
        self._untimed = 0
        self._shifted = 0

    def _clock_start(self, streams: list[Any]) -> Fraction:
        if self._name not in _OWN_CLOCK:
            return Fraction(0)
        starts = [s.start_time * s.time_base for s in streams if s.start_time is not None]
        return min(starts, default=Fraction(0))

    def seek(self) -> None:
        """Go to the last key frame before the wanted part, where the format allows it.

        Where that fails, as in a damaged file, the frames before are decoded and dropped. So they are
        where times are in decoding order: after a key frame reordered frames may be missing, and the
        decoder's delay could not be told.
        """
        if self._start > self._zero and self._name not in _OWN_CLOCK | _DECODING_ORDER:
            time_us = min(int(self._start / _MICROSECOND), _MOST_TICKS)
            with contextlib.suppress(av.FFmpegError):
                self._container.seek(time_us, backward=True)

    def seen(self, packet: Packet[Any]) -> bool:
        """Note a packet's time, mended where the clock jumps; True when all that is wanted is behind it."""
        if self._clock is not None:
            self._clock.mend(packet)
        tick = self._ticks.get(packet.stream_index)
        time = packet.dts if packet.dts is not None else packet.pts
        if tick is None or time is None:
            return False
        if self._first_dts is None and packet.stream_index == self._video_index:
            self._first_dts = packet.dts
        ends = max(packet.pts or time, time) + (packet.duration or 0)
        self._reached = max(self._reached, ends * tick)
        if packet.is_corrupt:
            self._torn_at = self._reached
        if self._name in _DECODING_ORDER and packet.stream_index == self._video_index:
            # The decoder hands it on with the packet's own frame: see stamp.
            packet.pts = packet.dts
        if self._end is None:
            return False
        # Decoding order runs behind the order of presentation, so the video is followed to its frames.
        return self._past_end and time * tick > self._end + _INTERLEAVED_S

    def stamp(self, frame: VideoFrame) -> None:
        """Give a decoded frame its time where the format only tells when it was to be decoded.

        The decoder hands frames over in the order they are shown, each with the decoding time of the
        packet last put in: later than its own by the decoder's delay, which the first frame tells. The
        last frames come without one.
        """
        if self._name not in _DECODING_ORDER:
            return
        if frame.dts is not None:
            if self._delay is None:
                own = frame.pts if frame.pts is not None else self._first_dts or 0
                self._delay = frame.dts - own
            self._stamped = frame.dts - self._delay
        elif self._stamped is None:
            self._stamped = self._first_dts or 0
        else:
            self._stamped += frame.duration or self._last_duration
        frame.pts = self._stamped

    def place(self, frame: VideoFrame) -> tuple[int, int] | None:
        """A frame's (pts, duration) in the video track's units; None outside the wanted part."""
        pts, duration = self._times(frame)
        time = pts * self._tick
        self._video_reached = max(self._video_reached, (pts + duration) * self._tick)
        if time < self._start:
            self.skipped += 1
            return None
        if self._end is not None and time >= self._end:
            self._past_end = True
            return None
        if self._origin is None:
            self._origin = time
        return pts - self._offset(self._tick), duration

    def _times(self, frame: VideoFrame) -> tuple[int, int]:
        scale = (frame.time_base or self._tick) / self._tick
        duration = round((frame.duration or 0) * scale) or self._last_duration
        last, pts = self._last_pts, frame.pts
        if pts is None:
            self._untimed += 1
            pts = 0 if last is None else last + self._last_duration
        else:
            pts = round(pts * scale)
            if last is not None and pts <= last:
                self._shifted += 1
                pts = last + 1
        if last is not None:
            self._longest_gap = max(self._longest_gap, (pts - last) * self._tick)
        self._last_pts, self._last_duration = pts, duration
        return pts, duration

    def may_be_wanted(self, packet: Packet[Any]) -> bool:
        """Whether a packet of another track may reach into the wanted part, whose begin is yet to come."""
        time = packet.pts if packet.pts is not None else packet.dts
        if self._start <= self._zero or time is None:
            return self._start <= self._zero
        return bool(
            (time + (packet.duration or 0)) * self._ticks[packet.stream_index] >= self._start
        )

    def place_packets(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        """Those packets of other tracks that lie in the wanted part, their times shifted as it is."""
        return [packet for packet in packets if self._place_packet(packet)]

    def _place_packet(self, packet: Packet[Any]) -> bool:
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or self._origin is None or abs(time) > _MOST_TICKS:
            return False
        tick = self._ticks[packet.stream_index]
        if packet.is_discard:
            # Cut away by an edit list; a decoder may still need what lies just before the begin.
            early = self._starts[packet.stream_index] - time
            if not 0 < early * tick <= _PREROLL_S:
                return False
        if packet.stream.type == "subtitle" and not self._whole:
            self._cut_to_part(packet, time, tick)
            time = time if packet.pts is None else packet.pts
        if self._start > self._zero and time * tick < self._origin:
            return False
        if self._end is not None and time * tick >= self._end:
            return False
        offset = self._offset(tick)
        if packet.pts is not None:
            packet.pts -= offset
        if packet.dts is not None:
            packet.dts -= offset
        return True

    def _cut_to_part(self, packet: Packet[Any], time: int, tick: Fraction) -> None:
        """Let words that are on show where the part begins begin with it, and none outlast it."""
        begin, end = time, time + (packet.duration or 0)
        if self._start > self._zero and self._origin is not None:
            begin = max(begin, math.ceil(self._origin / tick))
        if self._end is not None:
            end = min(end, math.floor(self._end / tick))
        if begin < end:
            packet.pts = packet.dts = begin
            packet.duration = end - begin

    def _offset(self, tick: Fraction) -> int:
        return round((self._origin or Fraction(0)) / tick)

    def expected_frames(self, told: int, rate: Fraction) -> int:
        """How many frames the wanted part has, as far as the file says; 0 where it does not."""
        if self._whole and told > 0:
            return told
        seconds = self.should_end_at_s() - float(self._start - self._zero)
        if self._end is not None:
            seconds = min(seconds, float(self._end - self._start))
        return max(0, round(seconds * float(rate)))

    def ends_at_s(self) -> float:
        """Where the last frame ended, in seconds from the clip's beginning."""
        return float(self._video_reached - self._zero)

    def should_end_at_s(self) -> float:
        """How long the clip is by what its file says; 0 where it does not."""
        return (self._container.duration or 0) / 1e6

    def cut_off(self) -> bool:
        """Whether the file ends inside a packet, or well before its header says."""
        if self._end is not None:
            return False
        # The packet that is torn need not be the last: tracks end at different places of the file, and
        # what is left of one packet may be cut into several.
        if self._torn_at is not None and self._reached - self._torn_at <= _INTERLEAVED_S:
            return True
        missing = Fraction(self._container.duration or 0) * _MICROSECOND - self._reached
        return self._name in _TELL_DURATION and missing > max(_SLACK_S, 2 * self._longest_gap)

    def notes(self) -> list[str]:
        """Sentences on frames whose times had to be made up."""
        notes = []
        if self._clock is not None and self._clock.jumps:
            notes.append(f"the stream's clock jumps {self._clock.jumps} times: joined there")
        if self._untimed:
            notes.append(f"{self._untimed} frames have no time: placed at the frame rate")
        if self._shifted:
            notes.append(
                f"{self._shifted} frames are not in order of time: each moved behind the last"
            )
        return notes


def _as_written(seconds: float) -> Fraction:
    """The decimal number that was meant: the float 0.2 is a little more, and would miss the frame there."""
    return Fraction(seconds).limit_denominator(1_000_000)
