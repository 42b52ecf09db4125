"""Runs of two processes, one after another: how each ended goes to DIR/outcomes-RANK.json.

The names of a process's threads before and after the end of the group go to DIR/threads-RANK.json.
Fabric starts this file once more for the second process. Started by test_distribute.py.
Usage: two_processes.py DIR, with the cases in DIR/cases.json
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from idrn_trt.errors import IdrnError
from idrn_trt.options import TrainOptions
from idrn_trt.toolchain.distribute import Ranks
from idrn_trt.toolchain.run import Losses
from idrn_trt.toolchain.train import Trainer


def train_options(fields: dict[str, Any]) -> TrainOptions:
    """Options from JSON values."""
    paths = {name: Path(fields[name]) for name in ("out", "init") if name in fields}
    return TrainOptions(**{**fields, **paths, "lr_sizes": tuple(fields.get("lr_sizes", ()))})


def train(case: dict[str, Any], ranks: Ranks) -> None:
    """One run.

    "second" are options of the second process only; it gets Ctrl-C after step "press_after". The disk
    is full for the first one where "full_disk" says so.
    """
    fields = {**case["options"], **(case.get("second", {}) if ranks.rank else {})}
    trainer = Trainer(train_options(fields), ranks)
    step = trainer._step

    def stepping(batch: Sequence[torch.Tensor]) -> Losses:
        losses = step(batch)
        if ranks.rank and trainer.step == case.get("press_after"):
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    trainer._step = stepping  # type: ignore[method-assign]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if case.get("full_disk") and ranks.first:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def outcome(case: dict[str, Any], ranks: Ranks) -> str:
    """How a run ended, in words."""
    try:
        with ranks.one_voice():
            train(case, ranks)
    except (IdrnError, KeyboardInterrupt, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def main(folder: Path) -> None:
    """Every case, and its outcomes."""
    cases = json.loads((folder / "cases.json").read_text())
    with contextlib.closing(Ranks(train_options(cases["whole"]["options"]))) as ranks:
        found = {name: outcome(case, ranks) for name, case in cases.items()}
        before = threads()
    (folder / f"threads-{ranks.rank}.json").write_text(json.dumps([before, threads()]))
    (folder / f"outcomes-{ranks.rank}.json").write_text(json.dumps(found))


def threads() -> list[str]:
    """The names of this process's threads."""
    return [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
