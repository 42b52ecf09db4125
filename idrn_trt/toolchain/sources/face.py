"""What every reader of a data set gives: faces, and what was wrong with those it does not give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from idrn_trt.types import Box

# So many of a kind of problem are named; the rest is only counted.
NAMED = 5


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """A face to cut from a picture: box in its pixels, or None for a picture that is a crop already.

    name: unique within the listing. group: what must not be torn apart between training and test,
    such as the picture or, where it is known, the person. margin: side of the crop over the longer
    side of the box.
    """

    file: Path
    name: str
    box: Box | None
    group: str
    margin: float = 1.0


@dataclass(slots=True)
class Problems:
    """What was left out: kind of problem -> how often, with the first few named."""

    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, where: str) -> None:
        """Count one problem of a kind."""
        self.counts[kind] += 1
        examples = self.named.setdefault(kind, [])
        if len(examples) < NAMED:
            examples.append(where)

    def add(self, other: Problems) -> None:
        """Count the problems of another list too."""
        self.counts += other.counts
        for kind, examples in other.named.items():
            kept = self.named.setdefault(kind, [])
            kept += examples[: NAMED - len(kept)]

    def lines(self) -> list[str]:
        """One line a kind: how many, and the first few."""
        return [
            f"{count} {kind}: {', '.join(self.named[kind])}"
            + (", ..." if count > len(self.named[kind]) else "")
            for kind, count in sorted(self.counts.items())
        ]


@dataclass(slots=True)
class Listing:
    """The faces of one source or several, before any picture was opened."""

    faces: list[LabelledFace] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    def add(self, other: Listing, prefix: str) -> None:
        """Take over another listing; its names and groups are put behind `prefix`."""
        self.faces += [
            replace(f, name=prefix + f.name, group=prefix + f.group) for f in other.faces
        ]
        self.problems.add(other.problems)


def inside(root: Path, relative: str) -> Path | None:
    """The path root / relative, or None where that text from a data set would lead out of `root`.

    Links are followed: one that leaves the folder is None too.
    """
    pure = PurePosixPath(relative)
    bad = "\0" in relative or "\\" in relative or ".." in pure.parts
    if not relative or pure.is_absolute() or bad:
        return None
    try:
        path = root / pure
        return path if path.resolve().is_relative_to(root.resolve()) else None
    except (OSError, RuntimeError):  # too long a name, a ring of links
        return None
