"""Audio and subtitle tracks carried over as they are: the same packets at the same times."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import av
from av.packet import Packet

# Set by the writer of a file, about that file.
_OWN_METADATA = frozenset(
    {"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "handler_name", "vendor_id"}
)  # fmt: skip


class Tracks:
    """The tracks of one output file that are copied from another.

    container: an av output container that has not begun. streams: the input's, still open. notes: a
    sentence for each stream that the container cannot hold; copied: the kinds of the others.
    """

    def __init__(self, container: Any, streams: Sequence[Any]) -> None:
        self._container = container
        self._targets: dict[int, Any] = {}
        self._last_dts: dict[int, int] = {}
        self._left_out: dict[int, int] = {}
        self._names = {stream.index: _name(stream) for stream in streams}
        self.notes: list[str] = []
        self.copied: list[str] = []
        for stream in streams:
            self._add(stream)

    def _add(self, stream: Any) -> None:
        name, form = self._names[stream.index], self._container.format.name
        if not holds(form, stream):
            hint = " (-o NAME.mkv can)" if holds("matroska", stream) else ""
            self.notes.append(f"{name} is dropped: {form} cannot hold it{hint} or it is damaged")
            return
        target = self._container.add_stream_from_template(stream, opaque=True)
        target.metadata.update(file_metadata(stream.metadata))
        target.disposition = stream.disposition
        self._targets[stream.index] = target
        self.copied.append(name)

    def write(self, packet: Packet[Any]) -> None:
        """Copy one packet of the input. Raises OSError when the file cannot be written."""
        index = packet.stream_index
        target = self._targets.get(index)
        if target is None:
            return
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None or packet.dts < self._last_dts.get(index, packet.dts):
            self._left_out[index] = self._left_out.get(index, 0) + 1
            return
        self._last_dts[index] = packet.dts
        packet.stream = target
        try:
            self._container.mux_one(packet)
        except OSError:
            raise
        except (av.FFmpegError, ValueError):
            self._left_out[index] = self._left_out.get(index, 0) + 1

    def closing_notes(self) -> list[str]:
        """Sentences on packets that had to be left out."""
        return [
            f"{count} damaged packets of {self._names[index]} are left out"
            for index, count in self._left_out.items()
        ]


def holds(container: str, stream: Any) -> bool:
    """Whether a file of this format can be begun with a copy of the stream, tried out in memory."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as probe:
            probe.add_stream_from_template(stream, opaque=True)
            probe.start_encoding()
    except (av.FFmpegError, ValueError, LookupError):
        return False
    return True


def file_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """A file's or track's metadata without what its writer says of itself."""
    return {key: text for key, text in metadata.items() if key.lower() not in _OWN_METADATA}


def _name(stream: Any) -> str:
    codec = stream.codec_context.codec.canonical_name
    language = stream.language
    known = f", {language}" if language and language != "und" else ""
    return f"{stream.type} track {stream.index} ({codec}{known})"
