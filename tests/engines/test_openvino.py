"""What is particular to the OpenVINO engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_models import pointwise, quantised, tiny

from idrn_trt.engines import open_engine
from idrn_trt.errors import ModelError, OptionError

openvino = pytest.importorskip("idrn_trt.engines.openvino")


def saved(tmp_path: Path, model: object) -> Path:
    """The model as a bare file."""
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())  # type: ignore[attr-defined]
    return path


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_levels_are_scaled_clipped_and_rounded(tmp_path: Path, name: str) -> None:
    """Every level through known weights gives the nearest level, 0 below and 255 above."""
    weights = np.array(
        [[1, 0.3, 0.777, 1.9], [0.61, -0.5, 2.5, 0.999], [0.1, 0.2, 0.4, 1.25]], np.float32
    )
    path = saved(tmp_path, pointwise(weights, bias=0.013))
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    exact = levels[:, :, None, :, None].astype(float)  # (1, 16, 1, 16, 1, 3)
    subpixel = weights.reshape(3, 2, 2).transpose(1, 2, 0).astype(float)  # (2, 2, 3)
    exact = levels[:, :, None, :, None, :] * subpixel[None, None, :, None, :, :] + 0.013 * 255
    expected = np.rint(exact.clip(0, 255)).reshape(1, 32, 32, 3).astype(np.uint8)
    engine = open_engine(path, engine=name, precision="fp32")
    np.testing.assert_array_equal(engine.run(levels), expected)
    engine.close()


def test_a_half_goes_to_the_even_level(tmp_path: Path) -> None:
    """Exact halves, which float32 hits for these levels, are rounded to even as NumPy does."""
    # lr = 0: sr is the bias alone, k + 0.5 levels.
    for level, expected in ((100.5, 100), (101.5, 102)):
        path = saved(tmp_path, pointwise(np.zeros((3, 4), np.float32), bias=level / 255))
        assert np.float32(level / 255) * np.float32(255) == level
        engine = open_engine(path, engine="openvino", precision="fp32")
        assert engine.run(np.zeros((1, 8, 8, 3), np.uint8)).max() == expected
        engine.close()


def test_signed_activations_are_refused(tmp_path: Path) -> None:
    """A file for TensorRT, which OpenVINO would compute wrongly without a word, is a ModelError."""
    path = saved(tmp_path, quantised(tiny(), signed=True))
    with pytest.raises(ModelError, match=r"is int8-trt, expected int8-cpu"):
        open_engine(path, engine="openvino", precision="int8")


def test_graphs_are_kept_and_bounded(tiny_model: Path) -> None:
    """A shape is compiled once, and the oldest are let go beyond the limit."""
    engine = open_engine(tiny_model, engine="openvino", precision="fp32", threads=1)
    graphs = engine._graphs  # type: ignore[attr-defined]
    kept = graphs[1, 32, 32]
    for side in range(8, 8 + openvino._MOST_GRAPHS - 1):
        engine.run(np.zeros((1, side, 9, 3), np.uint8))
    assert len(graphs) == openvino._MOST_GRAPHS
    engine.run(np.zeros((1, 32, 32, 3), np.uint8))
    assert graphs[1, 32, 32] is kept
    engine.run(np.zeros((1, 100, 9, 3), np.uint8))
    assert len(graphs) == openvino._MOST_GRAPHS
    assert (1, 8, 9) not in graphs
    assert (1, 32, 32) in graphs
    engine.close()


def test_a_batch_is_run_in_pieces_that_the_cache_holds(tiny_model: Path) -> None:
    """Graphs of small windows take several, those of large ones one; the answers are those of each."""
    engine = open_engine(tiny_model, engine="openvino", precision="fp32", threads=1)
    rng = np.random.default_rng(0)
    for side in (32, 64, 96):
        batch = rng.integers(0, 256, (11, side, side, 3), np.uint8)
        together = engine.run(batch).copy()
        for window, answer in zip(batch, together, strict=True):
            np.testing.assert_array_equal(engine.run(window[None])[0], answer)
    pieces = {(side, count) for count, side, _ in engine._graphs}  # type: ignore[attr-defined]
    assert pieces == {(32, 8), (32, 2), (32, 1), (64, 2), (64, 1), (96, 1)}
    engine.close()


def test_the_model_cache_is_filled_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file and precision leaves one entry however often it is opened, and answers the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    batch = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    results = []
    for precision in ("fp32", "int8") * 2:
        engine = open_engine(tiny_model, engine="openvino", precision=precision)
        results.append(engine.run(batch).copy())
        engine.close()
    assert len(list((tmp_path / "idrn_trt" / "openvino").glob("*-fp32/*.blob"))) == 1
    assert len(list((tmp_path / "idrn_trt" / "openvino").glob("*-int8/*.blob"))) == 1
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])


@pytest.mark.parametrize("damage", ["cut", "one bit", "empty"])
def test_a_damaged_model_cache_is_made_anew(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """An entry that was cut short or altered changes nothing but the time to open."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    batch = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    engine = open_engine(tiny_model, engine="openvino", precision="fp32")
    expected = engine.run(batch).copy()
    engine.close()
    (entry,) = (tmp_path / "idrn_trt").rglob("*.blob")
    data = bytearray(entry.read_bytes())
    entry.unlink()
    if damage == "one bit":
        data[len(data) // 2] ^= 4
    entry.write_bytes({"cut": data[:-500], "one bit": data, "empty": b""}[damage])
    engine = open_engine(tiny_model, engine="openvino", precision="fp32")
    np.testing.assert_array_equal(engine.run(batch), expected)
    engine.close()


def test_without_a_cache_folder(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be kept the engine opens all the same."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    engine = open_engine(tiny_model, engine="openvino", precision="fp32")
    assert engine.run(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 128, 128, 3)
    engine.close()


def test_bf16_only_where_the_processor_has_it(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without bfloat16 in the processor's capabilities it is neither offered nor opened."""

    class Older:
        """The process's Core on a processor without bfloat16; a second Core is not wanted."""

        def __init__(self) -> None:
            self.core = openvino.core()

        def get_property(self, *names: str) -> object:
            found = self.core.get_property(*names)
            return [c for c in found if c != "BF16"] if isinstance(found, list) else found

        def __getattr__(self, name: str) -> object:
            return getattr(self.core, name)

    older = Older()
    monkeypatch.setattr(openvino, "core", lambda: older)
    assert openvino.precisions({"fp32", "int8-cpu"}) == ["fp32", "int8"]
    with pytest.raises(OptionError, match="bfloat16"):
        open_engine(tiny_model, engine="openvino", precision="bf16")
