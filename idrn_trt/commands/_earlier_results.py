"""Results of an earlier `idrn-trt upscale` that its inputs' folders hold: they are not upscaled again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from idrn_trt.video.find import Input

_ENDINGS = (".png", ".mp4", ".thumb.jpg")


def without_results(
    found: Sequence[Input], named: Sequence[str], output: str | None
) -> list[Input]:
    """The inputs without what an earlier run of the same command wrote among them.

    named: the command's inputs; a file that is one of them is kept whatever it is called. output: its -o.
    Results are what the other inputs' own would be called there, a clip's thumbnail included: below
    `output`, or without it NAME.sr.png and the like beside an input NAME, its ending left out or not.
    """
    asked = {_place(text) for text in named}
    out = None if output is None else _place(output)
    old: set[Path] = set()
    for item in found:
        path = _place(item.source.path)
        if out is None:
            old |= set(_results(path, ".sr"))
        elif out not in path.parents:
            old |= set(_results(out / item.source.relative, ""))
    return [
        item for item in found if (path := _place(item.source.path)) not in old or path in asked
    ]


def _results(path: Path, more: str) -> Iterator[Path]:
    for ending in _ENDINGS:
        yield path.with_suffix(more + ending)
        yield path.with_name(path.name + more + ending)


def _place(path: str | Path) -> Path:
    """Absolute, and without "..": Path.absolute keeps those."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (for that)
