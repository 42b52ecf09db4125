"""Face pictures as published data sets have them: which file, where in it, and whose face.

A specification names one or more sources: "folder:DIR", "scenes:DIR", "fddb:DIR", "aflw:DIR", or
several joined by commas. A reader lists faces without opening a picture; crops.py cuts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from idrn_trt.errors import OptionError
from idrn_trt.toolchain.sources.aflw import read_aflw
from idrn_trt.toolchain.sources.face import Listing
from idrn_trt.toolchain.sources.fddb import read_fddb
from idrn_trt.toolchain.sources.folder import read_folder, read_scenes

READERS: dict[str, Callable[[Path], Listing]] = {
    "folder": read_folder,
    "scenes": read_scenes,
    "fddb": read_fddb,
    "aflw": read_aflw,
}
EXPECTED = "folder:DIR, scenes:DIR, fddb:DIR or aflw:DIR, several joined by commas"


def parse_specs(text: str) -> list[tuple[str, Path]]:
    """(kind, folder) of every source in a specification. Raises OptionError.

    A comma separates only in front of a kind, so a folder's name may hold one.
    """
    kinds = "|".join(READERS)
    sources = []
    for spec in re.split(rf",(?=(?:{kinds}):)", text):
        kind, _, place = spec.partition(":")
        if kind not in READERS or not place:
            raise OptionError(f"face pictures {spec!r} not understood: expected {EXPECTED}")
        root = Path(place)
        if not root.is_dir():
            raise OptionError(f"face pictures {spec!r}: {place!r} is not a folder")
        sources.append((kind, root))
    return sources


def list_faces(text: str) -> Listing:
    """Every face that a specification's sources name, in the order given.

    What is wrong with single lines, rows or files is in the listing's `problems`. Raises OptionError
    for a specification not understood, SourceError for a source that cannot be read at all.
    """
    sources = parse_specs(text)
    listings = [READERS[kind](root) for kind, root in sources]
    if len(listings) == 1:
        return listings[0]
    together = Listing()
    for number, listing in enumerate(listings):
        together.add(listing, prefix=f"{number}:{sources[number][0]}/")
    return together
