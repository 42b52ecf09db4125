"""Results of an earlier `idrn-trt upscale` that its inputs' folders hold: they are not upscaled again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from idrn_trt.video.find import Input

_RESULTS = (".sr.png", ".sr.mp4")


def without_results(
    found: Sequence[Input], named: Sequence[str], output: str | None
) -> list[Input]:
    """The inputs without what an earlier run of the same command wrote among them.

    named: the command's inputs; a file that is one of them is kept whatever it is called. output: its -o.
    With it, results are what lies below it where it is itself below a folder that was searched; without,
    NAME.sr.png and NAME.sr.mp4 beside another input NAME, its ending left out or not.
    """
    asked = {Path(text).absolute() for text in named}
    if output is not None:
        out = Path(output).absolute()
        old = {item.source.path for item in found if _is_below(item, out)}
    else:
        paths = [item.source.path for item in found]
        stems = {*paths, *(path.with_suffix("") for path in paths)}
        old = {item.source.path for item in found if _is_beside(item.source.path, stems)}
    return [
        item
        for item in found
        if item.source.path not in old or item.source.path.absolute() in asked
    ]


def _is_below(item: Input, out: Path) -> bool:
    path = item.source.path.absolute()
    searched = path.parents[len(item.source.relative.parts) - 1]
    return out in path.parents and searched in out.parents


def _is_beside(path: Path, stems: set[Path]) -> bool:
    """stems: the inputs' paths, with their endings and without."""
    return path.name.endswith(_RESULTS) and path.with_suffix("").with_suffix("") in stems
