"""An experiment's document as text: tables, what was shown and what was not. Standard library only.

A difference is claimed only where at least LEAST_SEEDS seeds agree on its sign and its mean is larger than
its spread over the seeds (the largest less the smallest).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idrn_trt.bench import document as bench_document
from idrn_trt.bench.report import markdown_table
from idrn_trt.errors import SourceError
from idrn_trt.tables import table

KIND = "idrn_trt paper experiment"
FORMAT = 1
LEAST_SEEDS = 3
# The paper trains 120 epochs. A network that saw fewer than these is far from what it can do.
FEW_EPOCHS = 10
_METRICS = {"psnr_y_db": ("PSNR-Y", " dB", 2), "ssim_y": ("SSIM-Y", "", 4)}

Document = Mapping[str, Any]
Cells = list[tuple[str, ...]]


def dumps(document: Document) -> str:
    """The document as JSON text; NaN and infinity are refused."""
    return bench_document.dumps(document)


def check(document: Document) -> None:
    """Raise ValueError, KeyError or TypeError unless it is a result in this format that can be shown."""
    if document["kind"] != KIND or document["format"] != FORMAT:
        raise ValueError(f"kind {document['kind']!r}, format {document['format']!r}")
    markdown(document)


def read(path: Path) -> dict[str, Any]:
    """The document in a file. Raises SourceError for anything else."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        check(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path.name!r} is no result of benchmarks/paper/ in format {FORMAT}: {error}"
        ) from error
    return found


def markdown(document: Document) -> str:
    """The result as Markdown, below a heading of the caller's own."""
    parts = [
        document["title"],
        f"```text\n{heading(document)}\n```",
        markdown_table(*main_table(document)),
        _legend(document),
    ]
    if "faces" in document:
        parts.append(markdown_table(*faces_table(document)))
    if document["comparisons"]:
        parts.append(markdown_table(*comparison_table(document)))
    parts += verdicts(document)
    parts.append("What differs from the paper:\n\n" + _bullets(document["differs"]))
    return "\n\n".join(parts) + "\n"


def plain(document: Document) -> str:
    """The same for a terminal."""
    parts = [document["title"], heading(document), table(*main_table(document))]
    if "faces" in document:
        parts.append(table(*faces_table(document)))
    if document["comparisons"]:
        parts.append(table(*comparison_table(document)))
    parts += [*verdicts(document), _bullets(document["differs"])]
    return "\n\n".join(parts)


def heading(document: Document) -> str:
    """Where, with what and for how long, in a few lines."""
    machine, data = document["machine"], document["data"]
    sets = " ".join(machine["instruction_sets"])
    cards = "".join(f"\ngpu         {card['name']}" for card in machine["gpus"])
    cores = f"{machine['usable_cores']} of {machine['cores']} cores"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    pictures = "; ".join(
        f"x{scale}: {s['trained_on']} ({s['sha256'][:12]}), test {s['tested_on']} ({s['test_sha256'][:12]})"
        for scale, s in data["scales"].items()
    )
    return (
        f"processor   {machine['model']}, {cores}, {sets}{cards}\n"
        f"versions    {versions}; {document['revision'] or 'installed package'}\n"
        f"data        {data['train']}, test {data['test']}; {pictures}\n"
        f"budget      {_budget(document)}\n"
        f"seeds       {', '.join(map(str, document['seeds']))}; {document['date']}"
    )


def _budget(document: Document) -> str:
    given = document["budget"]
    length = "; ".join(f"{value:g} {name}" for name, value in given.items()) or "the recipe's own"
    equal = ", all as many steps as the slowest makes in it" if document["equal_steps"] else ""
    recipe = f", recipe {document['recipe']}" if document["recipe"] else ""
    return f"{length} a network{equal if 'minutes' in given else ''}{recipe}"


def main_table(document: Document) -> tuple[tuple[str, ...], Cells]:
    """Every row: means over the seeds with their spread, and the paper's figures."""
    rows = document["rows"]
    groups = _groups(rows)
    heads = (
        "scale", "variant", "network", "parameters", "steps", "epochs", "PSNR-Y dB", "spread",
        "gain dB", *(f"{group}, gain dB" for group in groups), "Eq. 3 dB", "SSIM-Y", "spread",
        "Eq. 4", "paper PSNR", "paper gain", "paper SSIM",
    )  # fmt: skip
    return heads, [_cells(row, groups) for row in rows]


def _groups(rows: Sequence[Document]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row["mean"] if name != "all")
    return list(names) if len(names) > 1 else []


def _cells(row: Document, groups: Sequence[str]) -> tuple[str, ...]:
    mean, spread = row["mean"].get("all", {}), row["spread"].get("all", {})
    paper = row.get("paper", {})
    gain = paper["psnr_y_db"] - paper["bicubic_psnr_y_db"] if paper else None
    steps = "-" if "steps" not in row else f"{row['steps']:,}"
    return (
        f"x{row['scale']}", row["label"], row.get("network", "-"),
        f"{row['parameters']:,}" if "parameters" in row else "-", steps,
        _number(row.get("epochs"), ".1f"),
        _number(mean.get("psnr_y_db")), _number(spread.get("psnr_y_db")),
        _number(mean.get("gain_db"), "+.2f"),
        *(_number(row["mean"].get(group, {}).get("gain_db"), "+.2f") for group in groups),
        _number(mean.get("psnr_y_pooled_db")),
        _number(mean.get("ssim_y"), ".4f"), _number(spread.get("ssim_y"), ".4f"),
        _number(mean.get("ssim_y_paper"), ".4f"),
        _number(paper.get("psnr_y_db")), _number(gain, "+.2f"), _number(paper.get("ssim_y"), ".3f"),
    )  # fmt: skip


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else f"{value:{form}}"


def _legend(document: Document) -> str:
    words = (
        "Means over the seeds; spread is the largest less the smallest of them. Gain is above bicubic on the "
        "same pictures; Eq. 3 and Eq. 4 are the paper's formulas as printed."
    )
    diverged = [
        f"{row['label']}, seed {run['seed']}: {run['diverged']}."
        for row in document["rows"]
        for run in row["runs"]
        if run.get("diverged")
    ]
    return "\n\n".join([words, *_short(document), *diverged])


def _short(document: Document) -> list[str]:
    """A warning that names the rows that saw fewer than FEW_EPOCHS."""
    short = [row["label"] for row in document["rows"] if 0 < row.get("epochs", 0) < FEW_EPOCHS]
    if not short:
        return []
    return [
        (
            f"Trained for fewer than {FEW_EPOCHS} epochs (the paper: 120): {', '.join(short)}. What is said "
            f"of "
            "these below is the order after so little training, in which small networks lead, and no "
            "verdict on "
            "the methods."
        )
    ]


def faces_table(document: Document) -> tuple[tuple[str, ...], Cells]:
    """Single faces: PSNR-Y and SSIM-Y by every method."""
    labels = list(document["faces"][0]["figures"])
    return ("face", *labels), [
        (face["name"], *(
            f"{f['psnr_y_db']:.2f} dB, {f['ssim_y']:.4f}"
            for f in (face["figures"][label] for label in labels)
        ))
        for face in document["faces"]
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """A compared with b: the differences by seed, what they show, and what the paper has.

    sign: 1 or -1 where a difference may be claimed, 0 with the reason where not. paper: the sign of the
    paper's difference, or 0.
    """

    a: str
    b: str
    scale: int
    metric: str
    differences: list[float]
    sign: int
    reason: str
    paper: int
    paper_text: str

    @property
    def contradicts(self) -> bool:
        """A difference is shown, and the paper has the opposite."""
        return self.sign * self.paper < 0


def judged(document: Document) -> list[Verdict]:
    """Every comparison of the document."""
    rows = {(row["label"], row["scale"]): row for row in document["rows"]}
    return [_verdict(c, rows) for c in document["comparisons"]]


def _verdict(comparison: Document, rows: Mapping[tuple[str, int], Document]) -> Verdict:
    metric, scale = comparison["metric"], comparison["scale"]
    a, b = (rows[comparison[side], scale] for side in ("a", "b"))
    pairs = zip(_values(a, metric), _values(b, metric), strict=True)
    differences = [_difference(x, y) for x, y in pairs]
    sign, reason = claim(differences)
    paper = comparison.get("paper_difference")
    if paper is None:
        said = comparison.get("paper_says_above", False)
        paper_sign, text = (1, "above") if said else (0, "-")
    else:
        paper_sign = int(paper > 0) - int(paper < 0)
        text = f"{paper:+.{2 if metric == 'psnr_y_db' else 3}f}"
    return Verdict(
        comparison["a"], comparison["b"], scale, metric, differences, sign, reason, paper_sign, text
    )


def _values(row: Document, metric: str) -> list[float]:
    """By seed; a run that diverged is below everything."""
    return [
        -math.inf if run.get("diverged") else run["groups"]["all"][metric] for run in row["runs"]
    ]


def _difference(x: float, y: float) -> float:
    return 0.0 if x == y else x - y  # two that diverged are alike


def claim(differences: Sequence[float]) -> tuple[int, str]:
    """(1 or -1, "") for a difference that may be claimed, else (0, why not)."""
    if len(differences) < LEAST_SEEDS:
        return 0, f"{len(differences)} seed(s), {LEAST_SEEDS} are needed"
    signs = {int(d > 0) - int(d < 0) for d in differences}
    if len(signs) > 1 or signs == {0}:
        return 0, "the seeds disagree"
    if all(map(math.isfinite, differences)):
        mean = math.fsum(differences) / len(differences)
        if abs(mean) <= max(differences) - min(differences):
            return 0, "not above the spread"
    return signs.pop(), ""


def comparison_table(document: Document) -> tuple[tuple[str, ...], Cells]:
    """Every comparison with the differences of all seeds."""
    heads = ("scale", "compared", "in", "by seed", "paper", "shown here")
    cells: Cells = []
    for v in judged(document):
        name, _, digits = _METRICS[v.metric]
        by_seed = ", ".join(_signed(d, digits) for d in v.differences)
        cells.append((f"x{v.scale}", f"{v.a} less {v.b}", name, by_seed, v.paper_text, _shown(v)))
    return heads, cells


def _signed(difference: float, digits: int) -> str:
    if math.isinf(difference):
        return "the second diverged" if difference > 0 else "the first diverged"
    return f"{difference:+.{digits}f}"


def _shown(verdict: Verdict) -> str:
    if not verdict.sign:
        return f"nothing: {verdict.reason}"
    word = "above" if verdict.sign > 0 else "below"
    if not verdict.paper:
        return word
    return f"{word}, against the paper" if verdict.contradicts else f"{word}, as in the paper"


def verdicts(document: Document) -> Iterator[str]:
    """How many comparisons are as in the paper, and each that contradicts it."""
    found = [v for v in judged(document) if v.paper]
    if not found:
        return
    agree = sum(v.sign * v.paper > 0 for v in found)
    against = [v for v in found if v.contradicts]
    yield (
        f"Of {len(found)} differences that the paper has, {agree} are shown here, {len(against)} are "
        f"contradicted and {len(found) - agree - len(against)} are neither, on these pictures and at this "
        "budget."
    )
    if against:
        yield _bullets(map(_contradiction, against))


def _contradiction(v: Verdict) -> str:
    name, unit, digits = _METRICS[v.metric]
    high, low = (v.b, v.a) if v.sign < 0 else (v.a, v.b)
    by_seed = ", ".join(_signed(d, digits) for d in v.differences)
    paper = v.paper_text if v.paper_text == "above" else f"{v.paper_text}{unit}"
    return (
        f"Contradicts the paper at x{v.scale}: {high} is above {low} in {name}; {v.a} less {v.b} is "
        f"{by_seed}{unit} here, and {paper} there."
    )


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)
