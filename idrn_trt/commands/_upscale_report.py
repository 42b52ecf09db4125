"""What `idrn-trt upscale` says of its results: JSON for a program, tables for a person."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from idrn_trt.tables import printable, table

if TYPE_CHECKING:
    from idrn_trt.images import Source
    from idrn_trt.types import Result
    from idrn_trt.upscaler import Upscaler
    from idrn_trt.video.find import Input
    from idrn_trt.video.pipeline import ClipReport, FrameDone

STAGES = ("detect", "window", "engine", "paste", "total")


class Report:
    """Collects results, pictures and videos alike, and writes them out at the end.

    json_file: where the JSON goes, "-" is standard output, None is nowhere. tables: where the tables go
    unless the JSON goes to standard output. Frames of videos are kept in a temporary file, so that memory
    does not grow with them.
    """

    def __init__(self, json_file: str | None, tables: IO[str]) -> None:
        self._json_file = json_file
        self._tables = tables
        self._frames: IO[str] | None = None
        if json_file is not None:
            self._frames = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (__exit__)
        self._pictures: list[dict[str, Any]] = []
        self._clips: list[dict[str, Any]] = []

    def __enter__(self) -> Report:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        if self._frames is not None:
            self._frames.close()

    def picture(self, entry: dict[str, Any]) -> list[str]:
        """A picture that is done; the lines to show about it."""
        self._pictures.append(entry)
        self._add_frame(entry)
        name = printable(Path(entry["input"]).name)
        return [f"note: {name}: {note}" for note in entry["notes"]]

    def failed(self, index: int, item: Input, error: Exception) -> None:
        """An input of which nothing was written."""
        entry = {"input": str(item.source.path), "output": None, "error": str(error)}
        if item.video:
            self._clips.append(
                {**entry, "frames": 0, "faces": 0, "without_face": 0, "too_large": 0}
            )
        else:
            nothing: dict[str, Any] = {"faces": [], "times_ms": {}, "notes": []}
            self.picture({"index": index, "time_s": 0.0, **entry, **nothing})

    def frame(self, source: Source, target: Path, frame: FrameDone) -> None:
        """A frame of a video that is upscaled."""
        if self._frames is None:
            return
        entry = {
            "index": frame.number,
            "time_s": round(frame.time_s, 6),
            "input": str(source.path),
            "output": str(target),
            "size": list(frame.size),
            **faces_entry(frame.result),
        }
        self._add_frame(entry)

    def clip(self, done: ClipReport, thumbnail: Path | None) -> list[str]:
        """A video of which something may be written; the lines to show about it."""
        name = printable(done.source.name)
        entry = {
            "input": str(done.source),
            "output": str(done.target) if done.output_size else None,
            "frames": done.frames,
            "faces": done.faces,
            "without_face": done.without_face,
            "too_large": done.too_large,
            "size": done.size,
            "output_size": done.output_size,
            "seconds": round(done.seconds, 3),
            "frames_per_s": round(done.frames / done.seconds, 2) if done.seconds else 0.0,
            "encoder": done.encoder,
            "tracks": done.tracks,
            "notes": done.notes,
            "thumbnail": None if thumbnail is None else str(thumbnail),
            "interrupted": done.interrupted,
        }
        lines = [f"note: {name}: {note}" for note in done.notes]
        if done.damage:
            entry["error"] = f"{done.damage}; {_kept(done)}"
            lines.append(f"idrn-trt: {entry['error']}")
        elif done.output_size is None:
            lines.append(f"note: {name}: no face found, so there is none to show: nothing written")
        self._clips.append(entry)
        return lines

    def _add_frame(self, entry: dict[str, Any]) -> None:
        if self._frames is not None:
            self._frames.write(json.dumps(entry) + "\n")

    def summary(self, upscaler: Upscaler, inputs: list[Input], seconds: float) -> dict[str, Any]:
        """All in all."""
        spec = upscaler.engine.spec
        done = [*self._pictures, *self._clips]
        failed = sum("error" in entry for entry in done)
        interrupted = sum(entry.get("interrupted", False) for entry in done)
        return {
            "pictures": sum(not item.video for item in inputs),
            "videos": sum(item.video for item in inputs),
            "done": len(done) - failed - interrupted,
            "failed": failed,
            "not_started": len(inputs) - len(done),
            "faces": sum(len(p["faces"]) for p in self._pictures)
            + sum(c["faces"] for c in self._clips),
            "without_face": sum(
                not ("error" in p or p["faces"] or p["too_large"]) for p in self._pictures
            )
            + sum(c["without_face"] for c in self._clips),
            "too_large": sum(entry.get("too_large", 0) for entry in done),
            "seconds": round(seconds, 3),
            "model": spec.model,
            "engine": spec.engine,
            "precision": spec.precision,
            "detector": upscaler.detector.name,
            "notes": upscaler.notes,
            "clips": self._clips,
        }

    def write(self, summary: dict[str, Any]) -> None:
        """The JSON where it is wanted; the tables on standard output unless the JSON goes there."""
        if self._json_file == "-":
            for piece in self._document(summary):
                print(piece, end="")
            return
        if self._json_file is not None:
            from idrn_trt.files import replacing

            with (
                replacing(Path(self._json_file), "file") as part,
                part.open("w", encoding="utf-8") as file,
            ):
                file.writelines(self._document(summary))
        print(self._text(summary), file=self._tables)

    def _document(self, summary: dict[str, Any]) -> Iterator[str]:
        """One JSON object, in pieces: the summary, and one line a picture or frame.

        In ASCII: a name that is not UTF-8 is then JSON all the same, and any terminal's encoding will do.
        """
        yield f'{{\n"summary": {json.dumps(summary, indent=1)},\n"frames": ['
        if self._frames is not None:
            self._frames.seek(0)
            for number, line in enumerate(self._frames):
                yield (",\n" if number else "\n") + line.rstrip("\n")
        yield "\n]\n}\n"

    def _text(self, summary: dict[str, Any]) -> str:
        lines = [*_pictures_table(self._pictures), *_clips_table(self._clips)]
        if summary["faces"]:
            lines.append(
                "engine ms includes compiling where a window size comes up for the first time"
            )
        what = "files" if summary["pictures"] and summary["videos"] else "videos"
        what = what if summary["videos"] else "pictures"
        lines.append(
            f"{summary['done']} of {summary['pictures'] + summary['videos']} {what}, "
            f"{summary['faces']} faces, by {summary['model']} on {summary['engine']} "
            f"{summary['precision']}, faces found by {summary['detector']}"
        )
        if summary["without_face"]:
            frames = " frames" if summary["videos"] else ""
            lines.append(
                f"{summary['without_face']}{frames} without a face found: upscaled by interpolation "
                "only (a smaller --min-face-px or another --detector may find more)"
            )
        if summary["too_large"]:
            lines.append(
                f"{summary['too_large']} faces larger than the largest window left as they are"
            )
        if summary["failed"]:
            lines.append(f"{summary['failed']} failed, see above")
        return "\n".join(lines)


def faces_entry(result: Result) -> dict[str, Any]:
    """A frame's faces and stage times, for the JSON."""
    return {
        "faces": [
            {
                "box": [round(v, 2) for v in (f.box.x, f.box.y, f.box.w, f.box.h)],
                "score": round(f.score, 4),
                "window": [f.window.x, f.window.y, f.window.w, f.window.h],
            }
            for f in result.faces
        ],
        "too_large": len(result.too_large),
        "times_ms": {stage: round(ms, 3) for stage, ms in result.times_ms.items()},
    }


def _kept(done: ClipReport) -> str:
    if done.output_size is None:
        return "nothing is written"
    return f"the {done.frames} frames that could be read are in {str(done.target)!r}"


def _pictures_table(pictures: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            frame["input"], _size(frame["size"]), _size(frame["output_size"]),
            len(frame["faces"]),
            ",".join(_size(f["window"][2:]) for f in frame["faces"][:4]) or "-",
            *(f"{frame['times_ms'][stage]:.1f}" for stage in STAGES),
            frame["output"] or "-",
        )
        for frame in pictures
        if "error" not in frame
    ]  # fmt: skip
    times = (f"{stage} ms" for stage in STAGES)
    heads = ("picture", "size", "out", "faces", "windows px", *times, "result")
    return [table(heads, rows)] if rows else []


def _clips_table(clips: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            clip["input"], _size(clip["size"]), _size(clip["output_size"]), clip["frames"],
            clip["faces"], f"{clip['frames_per_s']:.1f}", clip["encoder"],
            len(clip["tracks"]), clip["output"] or "-",
        )
        for clip in clips
        if clip["frames"]
    ]  # fmt: skip
    heads = ("video", "size", "out", "frames", "faces", "frames/s", "encoder", "tracks", "result")
    return [table(heads, rows)] if rows else []


def _size(size: Any) -> str:
    return "x".join(map(str, size)) if size else "-"
