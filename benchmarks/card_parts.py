"""What the cards of all models have in common: whose pictures they learned from, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from idrn_trt.bench.report import markdown_table
from idrn_trt.files import write_text

LICENCE = "Licence of the weights: Apache-2.0, as the project's."
# Name -> source and licence.
SOURCES = {
    "portraits": ("Government Printing Office portraits via jforms/images", "public domain / CC0"),
    "caltech": ('Caltech-101 "Faces"', "CC BY 4.0"),
    "staff": (
        "presidential-innovation-fellows/pif-website and 18F/18f.gsa.gov staff portraits",
        "CC0",
    ),
    "studio": (
        "DeBruine & Jones, Canada set of webmorphR.stim, doi 10.6084/m9.figshare.4220517.v1",
        "CC BY 4.0",
    ),
    "objects": ("Caltech-101, pictures of objects and places", "CC BY 4.0"),
}


def sources(counted: str, counts: Mapping[str, str]) -> str:
    """The table of sources. counts: a name in SOURCES -> how many of what is counted are from it."""
    rows = [
        (source, count, licence)
        for name, count in counts.items()
        for source, licence in [SOURCES[name]]
    ]
    return markdown_table(("source", counted, "licence"), rows)


def keep(wanted: Mapping[Path, str], root: Path, script: str, *, check: bool) -> int:
    """Write the cards that differ from what is wanted, or only tell of them; the exit status."""
    different = [
        (path, text)
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in different:
        if check:
            print(f"{path.relative_to(root)} is not what the results say: run python {script}")
        else:
            write_text(path, text)
            print(f"written: {path.relative_to(root)}")
    return 1 if check and different else 0
