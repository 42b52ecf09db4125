"""The journal: a line, a picture, and TensorBoard's curves a validation."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idrn_trt.errors import SinkError
from idrn_trt.toolchain import journal
from idrn_trt.toolchain.journal import Journal

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_lines_are_added_and_pictures_named_by_step(tmp_path: Path) -> None:
    """Each call adds a line of JSON and a picture; a later journal goes on in the same files."""
    for step in (5, 10):
        with closing(Journal(tmp_path)) as one:
            one.write({"step": step, "loss": 1 / step}, PICTURE)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [5, 10]
    names = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert names == ["step-0000005.png", "step-0000010.png"]
    with Image.open(tmp_path / "pictures" / names[0]) as image:
        assert np.array_equal(np.asarray(image), PICTURE)


def test_curves_are_tensorboards(tmp_path: Path) -> None:
    """Where TensorBoard is installed its own reader finds every number at its step."""
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with closing(Journal(tmp_path)) as one:
        for step in (5, 10):
            one.write({"step": step, "loss": 1 / step, "psnr_y_db": 30.0}, PICTURE)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "psnr_y_db"}
    assert [e.step for e in events.Scalars("loss")] == [5, 10]
    assert [e.value for e in events.Scalars("loss")] == pytest.approx([0.2, 0.1])


def test_nothing_needs_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it lines and pictures are written all the same."""
    monkeypatch.setattr(journal, "_tensorboard", lambda *_, **__: None)
    with closing(Journal(tmp_path)) as one:
        one.write({"step": 1, "loss": 1.0}, PICTURE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.jsonl", "pictures"]


def test_a_log_that_cannot_be_written_is_a_sink_error(tmp_path: Path) -> None:
    """A folder in the log's place is a SinkError that names it."""
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(SinkError, match=r"log\.jsonl"):
        Journal(tmp_path).write({"step": 1}, PICTURE)
