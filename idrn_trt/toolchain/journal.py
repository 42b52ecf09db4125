"""What a run tells while it goes on: log.jsonl, pictures, and TensorBoard's files where installed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from idrn_trt.errors import SinkError
from idrn_trt.images import write_image

UInt8 = npt.NDArray[np.uint8]

LOG = "log.jsonl"
PICTURES = "pictures"
TENSORBOARD = "tensorboard"


class Journal:
    """Writes one line, one picture and one point of every curve a validation. Raises SinkError."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._writer: Any = None
        self._looked = False

    def write(self, line: dict[str, Any], picture: UInt8) -> None:
        """line: JSON values with "step"; its numbers are TensorBoard's curves."""
        step = int(line["step"])
        path = self.out / LOG
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise SinkError(f"cannot write training log {str(path)!r}: {error}") from error
        write_image(self.out / PICTURES / f"step-{step:07}.png", picture)
        self._draw(line, step)

    def close(self) -> None:
        """Write what TensorBoard's writer still holds."""
        if self._writer is not None:
            self._writer.close()
            self._writer, self._looked = None, False

    def _draw(self, line: dict[str, Any], step: int) -> None:
        if not self._looked:
            self._looked = True
            # What comes after `step` was written by a part of the run that was lost.
            self._writer = _tensorboard(self.out / TENSORBOARD, purge_step=step)
        if self._writer is None:
            return
        for name, value in line.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)
        self._writer.flush()


def _tensorboard(folder: Path, purge_step: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return None
        return SummaryWriter(str(folder), purge_step=purge_step)
