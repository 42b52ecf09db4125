"""Choosing a precision by measurement, and remembering it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idrn_trt.engines import _probe, open_engine
from idrn_trt.engines._probe import choose, probes, remember, remembered
from idrn_trt.types import Precision

KEY = {"engine": "openvino", "version": "1", "threads": 2, "files": {"fp32": "00"}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "idrn_trt"


@pytest.mark.parametrize(
    ("times_ms", "chosen"),
    [
        ({"fp32": 10.0, "bf16": 5.0, "int8": 3.0}, "int8"),
        ({"fp32": 10.0, "bf16": 9.5}, "fp32"),  # not worth the loss
        ({"fp32": 10.0, "bf16": 5.0, "int8": 4.8}, "bf16"),
        ({"fp32": 10.0, "bf16": 30.0, "int8": 8.0}, "int8"),
        ({"int8": 1.0}, "int8"),
    ],
)
def test_choice(times_ms: dict[Precision, float], chosen: str) -> None:
    """A less exact precision is taken where it is at least a tenth faster than the choice so far."""
    assert choose(times_ms) == chosen


def test_remembered_for_this_key_only() -> None:
    """A choice is found again for the same key, not for another one nor among other candidates."""
    assert remembered(KEY, ["fp32", "bf16"]) is None
    assert remember(KEY, {"fp32": 2.0, "bf16": 1.0}, "bf16")
    assert remembered(KEY, ["fp32", "bf16"]) == "bf16"
    assert remembered(KEY, ["fp32"]) is None
    assert remembered({**KEY, "threads": 1}, ["fp32", "bf16"]) is None
    assert [probe["times_ms"] for probe in probes()] == [{"fp32": 2.0, "bf16": 1.0}]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": 1}', "[" * 100_000, "\udcff"])
def test_a_damaged_memory_is_none(cache: Path, text: str) -> None:
    """Whatever stands in the file, the choice is merely made anew."""
    remember(KEY, {"fp32": 1.0}, "fp32")
    (file,) = (cache / "probes").glob("*.json")
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert remembered(KEY, ["fp32"]) is None
    assert probes() == []


def test_another_keys_content_is_not_believed(cache: Path) -> None:
    """A file under the right name that speaks of another key counts as none."""
    remember(KEY, {"fp32": 1.0}, "fp32")
    (file,) = (cache / "probes").glob("*.json")
    saved = json.loads(file.read_text())
    saved["key"]["version"] = "2"
    file.write_text(json.dumps(saved))
    assert remembered(KEY, ["fp32"]) is None


def test_measured_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first opening measures every precision the model has files for, the second none."""
    measured = []
    measure = _probe.measure

    def spy(engines: dict[Precision, object]) -> dict[Precision, float]:
        measured.append(list(engines))
        return measure(engines)  # type: ignore[arg-type]

    monkeypatch.setattr(_probe, "measure", spy)
    first = open_engine(tiny_model, engine="onnxruntime", threads=1)
    second = open_engine(tiny_model, engine="onnxruntime", threads=1)
    assert measured == [["fp32", "fp16", "int8"]]
    assert first.spec == second.spec
    (probe,) = probes()
    assert probe["chosen"] == first.spec.precision
    assert set(probe["times_ms"]) == {"fp32", "fp16", "int8"}
    first.close()
    second.close()


def test_without_a_cache_it_is_measured_and_said(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nowhere to remember is no error: the engine opens and its notes say what that costs."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    engine = open_engine(tiny_model, engine="onnxruntime", threads=1)
    assert any("measured at every opening" in note for note in engine.notes)
    engine.close()
