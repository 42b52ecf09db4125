"""An experiment's result as the JSON document from which its Markdown and plots are made."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _published import (
    DATA_KINDS,
    EPOCHS,
    HARDWARE,
    STEPS,
    TABLE_3,
    TESTED_ON,
    TRAINED_ON,
    Published,
)  # fmt: skip
from _report import FORMAT, KIND
from _runs import Arm, Result, Runs, Settings

import idrn_trt
from idrn_trt.bench.machine import cpu, git_revision, gpus, versions
from idrn_trt.options import RECIPES
from idrn_trt.toolchain.sources import parse_specs

# What a picture set's figures are, as by_group names them.
METRICS = (
    "psnr_y_db", "psnr_rgb_db", "psnr_y_pooled_db", "ssim_y", "ssim_rgb", "ssim_y_paper",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row of the result and what the paper has for it; arm is None for bicubic."""

    label: str
    scale: int
    arm: Arm | None
    published: Published | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """One table or figure of the paper.

    says: (label, label that it is above) where the paper has words and curves only; where it has figures the
    comparisons follow from them. compares: pairs that the paper says nothing about. notes: what else
    differs from the paper. curves: the plot shows the course of training, not its end. equal_steps: see
    Runs.
    """

    name: str
    place: str
    title: str
    lines: Sequence[Line]
    says: Sequence[tuple[str, str]] = ()
    compares: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    curves: bool = False
    equal_steps: bool = False

    @property
    def arms(self) -> list[Arm]:
        """What is trained."""
        return [line.arm for line in self.lines if line.arm is not None]


def run(experiment: Experiment, settings: Settings, recipe: str) -> tuple[dict[str, Any], Runs]:
    """Do what is not done yet, and return the document and the runs."""
    runs = Runs(settings, experiment.arms, equal_steps=experiment.equal_steps)
    done = {arm: [runs.complete(arm, seed) for seed in settings.seeds] for arm in experiment.arms}
    return document(experiment, settings, recipe, done), runs


def document(
    experiment: Experiment, settings: Settings, recipe: str, done: dict[Arm, list[Result]]
) -> dict[str, Any]:
    """Everything that is reported. No path of this machine is in it."""
    rows = [_row(line, settings.seeds, done) for line in experiment.lines]
    machine = {**cpu(), "gpus": gpus(), "threads": settings.threads}
    found: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "experiment": experiment.name,
        "place": experiment.place,
        "title": experiment.title,
        "curves": experiment.curves,
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine,
        "versions": versions("idrn-trt", "numpy", "pillow", "torch"),
        "revision": git_revision(Path(idrn_trt.__file__).parent),
        "data": _data(settings, done),
        "budget": {k: v for k, v in _budget(settings).items() if v is not None},
        "equal_steps": experiment.equal_steps,
        "recipe": recipe,
        "seeds": list(settings.seeds),
        "rows": rows,
        "comparisons": _comparisons(experiment),
    }
    found["differs"] = [*_differs(found, settings, done), *experiment.notes]
    return found


def _row(line: Line, seeds: Sequence[int], done: dict[Arm, list[Result]]) -> dict[str, Any]:
    results = _of_line(line, done)
    runs = [
        {"seed": seed, **_run(line, result)} for seed, result in zip(seeds, results, strict=True)
    ]
    row: dict[str, Any] = {"label": line.label, "scale": line.scale}
    if line.arm is not None:
        steps = [result["steps"] for result in results]
        row |= {
            "network": line.arm.network,
            "recipe": line.arm.recipe,
            "changes": dict(line.arm.changes),
            "parameters": results[0]["parameters"],
            "steps": max(steps),
            "epochs": round(max(result["epochs"] for result in results), 2),
        }
    whole = [run["groups"] for run in runs if not run.get("diverged")]
    row |= {"runs": runs, "mean": _over(whole, np.mean), "spread": _over(whole, np.ptp)}
    if line.published is not None:
        p = line.published
        row["paper"] = {"place": p.place, "psnr_y_db": p.psnr_db, "ssim_y": p.ssim}
        row["paper"]["bicubic_psnr_y_db"] = TABLE_3["bicubic", line.scale].psnr_db
    return row


def _of_line(line: Line, done: dict[Arm, list[Result]]) -> list[Result]:
    """A line's results; bicubic's were measured beside any network of its scale that came to an end."""
    if line.arm is not None:
        return done[line.arm]
    of_scale = [results for arm, results in done.items() if arm.scale == line.scale]
    return [
        next((r for r in results if not r["diverged"]), results[0])
        for results in zip(*of_scale, strict=True)
    ]


def _run(line: Line, result: Result) -> dict[str, Any]:
    if line.arm is None:
        groups = result.get("groups", {})
        return {
            "groups": {
                name: {
                    "count": group["count"],
                    **{metric: group[f"bicubic_{metric}"] for metric in METRICS},
                    "gain_db": 0.0,
                }
                for name, group in groups.items()
            }
        }
    if result["diverged"]:
        kept = {"diverged": result["diverged"], "groups": {}}
    else:
        names = ("count", *METRICS, "gain_db", "gain_worst_decile_db")
        kept = {
            "groups": {
                group: {name: figures[name] for name in names}
                for group, figures in result["groups"].items()
            }
        }
    return {**kept, "seconds": result["seconds"], "curve": result["curve"]}


def _over(groups: Sequence[dict[str, dict[str, float]]], of: Any) -> dict[str, dict[str, float]]:
    """`of` the values over seeds, by group and metric, of the groups that all seeds have."""
    if not groups:
        return {}
    shared = [name for name in groups[0] if all(name in other for other in groups)]
    return {
        name: {
            metric: round(float(of([one[name][metric] for one in groups])), 4)
            for metric in groups[0][name]
        }
        for name in shared
    }


def _comparisons(experiment: Experiment) -> list[dict[str, Any]]:
    """Pairs of rows, and how the paper has the first beside the second: by how much, or that it is above."""
    found = []
    for a, b in itertools.combinations(experiment.lines, 2):
        if a.scale == b.scale and a.published is not None and b.published is not None:
            for metric, ours in (("psnr_y_db", "psnr_db"), ("ssim_y", "ssim")):
                difference = getattr(b.published, ours) - getattr(a.published, ours)
                found.append(_pair(b, a, metric, {"paper_difference": round(difference, 4)}))
    lines = {line.label: line for line in experiment.lines}
    for above, below in experiment.says:
        found.append(_pair(lines[above], lines[below], "psnr_y_db", {"paper_says_above": True}))
    for first, second in experiment.compares:
        found.append(_pair(lines[first], lines[second], "psnr_y_db", {}))
    return found


def _pair(a: Line, b: Line, metric: str, paper: dict[str, Any]) -> dict[str, Any]:
    return {"a": a.label, "b": b.label, "scale": a.scale, "metric": metric, **paper}


def _data(settings: Settings, done: dict[Arm, list[Result]]) -> dict[str, Any]:
    scales = {}
    for arm, results in done.items():
        scales[str(arm.scale)] = {
            "sha256": results[0]["data_sha256"],
            "trained_on": results[0]["trained_on"],
            "test_sha256": results[0]["test"]["sha256"],
            "tested_on": results[0]["test"]["pictures"],
        }
    drawn = f"{settings.test_count} drawn from them"
    return {
        "train": spec_name(settings.data),
        "test": spec_name(settings.val_data) if settings.val_data else drawn,
        "scales": scales,
    }


def spec_name(spec: str) -> str:
    """A data specification with the last part of each folder's path only."""
    return ",".join(f"{kind}:{root.name}" for kind, root in parse_specs(spec))


def _budget(settings: Settings) -> dict[str, Any]:
    budget = settings.budget
    return {"epochs": budget.epochs, "steps": budget.steps, "minutes": budget.minutes}


def _differs(
    found: dict[str, Any], settings: Settings, done: dict[Arm, list[Result]]
) -> Iterable[str]:
    kinds = {kind for kind, _ in parse_specs(settings.data)}
    sizes = next(iter(found["data"]["scales"].values()))
    if not kinds <= DATA_KINDS or sizes["trained_on"] != TRAINED_ON:
        yield (
            f"data: {sizes['trained_on']:,} pictures of {found['data']['train']}; "
            f"the paper has {TRAINED_ON:,} of FDDB and AFLW, so absolute figures do not compare"
        )
    if sizes["tested_on"] != TESTED_ON or settings.val_data:
        yield f"test: {sizes['tested_on']} pictures; the paper has {TESTED_ON}, drawn at random"
    steps = [result["steps"] for results in done.values() for result in results]
    if min(steps) < STEPS:
        few, most = f"{min(steps):,}", f"{max(steps):,}"
        length = few if few == most else f"{few} to {most}"
        yield f"budget: {length} steps a network; the paper has {STEPS:,} ({EPOCHS} epochs)"
    machine = found["machine"]
    cards = ", ".join(card["name"] for card in machine["gpus"])
    yield f"hardware: {cards or machine['model']}; the paper has a {HARDWARE}"
    yield from _recipe_differs(done)
    yield "measure: luma, mean of the pictures; the paper does not say (docs/paper.md, readings 9 to 11)"


def _recipe_differs(done: dict[Arm, list[Result]]) -> Iterable[str]:
    """Options of the recipe that are not section 3.1's, unless the experiment is about them."""
    plain = {arm: results for arm, results in done.items() if not arm.recipe.startswith("paper")}
    if not plain:
        return
    arm, results = next(iter(plain.items()))
    used = results[0]["recipe"]
    skipped = {"epochs", "steps", "test_count", "val_data", "warmup_steps", "decay_epochs"}
    parts = [
        f"{name} {used[name]} ({wanted})"
        for name, wanted in RECIPES["paper"].items()
        if name not in skipped and used[name] != wanted
    ]
    yield f"recipe: {arm.recipe}; in brackets the paper's: {', '.join(parts)}"
