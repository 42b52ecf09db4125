"""The Engine protocol, run on every engine and precision that is usable here."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from make_models import evaluate, halved, quantised, tiny, with_weight, write_folder

from idrn_trt.engines import describe_engines, open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.errors import DeviceError, EngineMismatch, ModelError
from idrn_trt.types import Precision
from idrn_trt.zoo import DEFAULT_MODEL, find_model

UInt8 = npt.NDArray[np.uint8]

USABLE = [
    pytest.param((status.name, precision), id=f"{status.name}-{precision}")
    for status in describe_engines()
    for precision in status.precisions
    if status.usable
]
WINDOWS = [(32, 32), (48, 48), (64, 64), (96, 96), (128, 128), (24, 56), (65, 33), (8, 8)]

# Largest difference in grey levels between one window run alone and the same one in a batch, where
# another kernel may sum in another order. Measured: 0 throughout.
BATCH_LEVELS = {
    "fp32": 1,  # a tie in rounding decided otherwise
    "fp16": 2,  # the same, with sums of 11 bits
    "bf16": 2,  # the same, with sums of 8 bits
    "int8": 2,  # the same, moving an activation by a whole step
}
# Least PSNR in dB against the float32 network computed without any rewriting.
PARITY_DB = {
    "fp32": 80.0,  # measured 98 and more: a few ties
    "fp16": 58.0,  # measured 63.6
    "bf16": 52.0,  # measured 57.5
    "int8": 48.0,  # measured 52.5, the same in OpenVINO and ONNX Runtime
}
# The same for a trained network on pictures it has not been calibrated on.
TRAINED_PARITY_DB = {**PARITY_DB, "fp16": 50.0, "bf16": 42.0, "int8": 36.0}


@pytest.fixture(params=USABLE)
def case(request: pytest.FixtureRequest) -> tuple[str, Precision]:
    """(engine, precision)."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def opener(case: tuple[str, Precision], tiny_model: Path) -> Callable[[], Engine]:
    """Opens this case's engine on the tiny model with two threads."""
    name, precision = case
    return lambda: open_engine(tiny_model, engine=name, precision=precision, threads=2)


@pytest.fixture
def engine(opener: Callable[[], Engine]) -> Iterator[Engine]:
    """The engine of this case, closed at the end."""
    opened = opener()
    yield opened
    opened.close()


def pictures(count: int, height: int, width: int, seed: int = 0) -> UInt8:
    """Smooth shades under some noise, uint8 (count, height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    phase = rng.random((count, 1, 1, 3)) * 6
    shade = 127 + 90 * np.sin(4 * (x + y)[None, :, :, None] + phase)
    noise = rng.normal(0, 12, (count, height, width, 3))
    return (shade + noise).clip(0, 255).astype(np.uint8)


def fitting(engine: Engine, height: int, width: int) -> tuple[int, int]:
    """That window, or the smallest that holds it of an engine that takes certain windows only."""
    windows = engine.spec.windows
    if windows is None:
        return height, width
    return min((w for w in windows if w[0] >= height and w[1] >= width), default=max(windows))


def int8_kind(name: str) -> str:
    """Which of a model's int8 files this engine computes."""
    return "int8-trt" if name == "tensorrt" else "int8-cpu"


def levels_apart(a: UInt8, b: UInt8) -> int:
    """The largest difference in grey levels."""
    return int(np.abs(a.astype(int) - b).max())


def psnr(a: UInt8, b: UInt8) -> float:
    """PSNR in dB over all channels."""
    error = float(np.mean((a.astype(float) - b) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def reference(model: onnx.ModelProto, batch: UInt8) -> UInt8:
    """What the network answers in float32, clipped and rounded."""
    lr = batch.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    sr = np.rint(np.clip(evaluate(model, lr) * 255, 0, 255)).astype(np.uint8)
    return sr.transpose(0, 2, 3, 1)


def test_spec_says_what_was_opened(engine: Engine, case: tuple[str, Precision]) -> None:
    """The spec names the engine, precision and scale, and a network's file by its sha256."""
    assert (engine.spec.engine, engine.spec.precision, engine.spec.scale) == (*case, 4)
    assert len(engine.spec.model_sha256) == (0 if case[0] == "bicubic" else 64)
    assert engine.spec.max_batch >= 16
    assert engine.notes == []


@pytest.mark.parametrize("window", WINDOWS, ids=lambda w: f"{w[0]}x{w[1]}")
def test_every_window(engine: Engine, window: tuple[int, int]) -> None:
    """Square or not, a window comes back four times its size, as a picture of something, or is refused."""
    height, width = window
    if fitting(engine, *window) != window:
        with pytest.raises(EngineMismatch, match=f"got {height}x{width}"):
            engine.run(pictures(2, height, width))
        return
    result = engine.run(pictures(2, height, width))
    assert result.dtype == np.uint8
    assert result.shape == (2, 4 * height, 4 * width, 3)
    assert result.flags.c_contiguous
    assert result.std() > 5


def test_every_batch_from_1_to_16_is_its_windows_one_by_one(
    engine: Engine, case: tuple[str, Precision]
) -> None:
    """A window's result does not depend on its company in the batch, for every N from 1 to 16."""
    windows = pictures(16, 32, 32)
    singles = np.concatenate([engine.run(window[None]).copy() for window in windows])
    for count in range(1, 17):
        batch = engine.run(windows[:count])
        assert batch.shape == (count, 128, 128, 3)
        assert levels_apart(batch, singles[:count]) <= BATCH_LEVELS[case[1]]


def test_the_largest_batch(engine: Engine) -> None:
    """As many windows as the spec allows are taken in one call."""
    count = engine.spec.max_batch
    height, width = fitting(engine, 16, 16)
    shape = (count, 4 * height, 4 * width, 3)
    assert engine.run(pictures(count, height, width)).shape == shape


def test_parity_with_the_float_network(engine: Engine, case: tuple[str, Precision]) -> None:
    """The picture is the float32 network's: within 1 grey level in fp32, close by PSNR otherwise."""
    if case[0] == "bicubic":
        pytest.skip("bicubic computes no network")
    batch = pictures(3, *fitting(engine, 40, 56), seed=5)
    expected = reference(tiny(), batch)
    result = engine.run(batch)
    assert psnr(result, expected) >= PARITY_DB[case[1]]
    if case[1] == "fp32":
        assert levels_apart(result, expected) <= 1


def test_colours_keep_their_places(engine: Engine, case: tuple[str, Precision]) -> None:
    """Rows, columns and channels are where they were; a network's parity above shows the same."""
    if case[0] != "bicubic":
        pytest.skip("an untrained network does not keep colours")
    batch = np.zeros((1, 16, 24, 3), np.uint8)
    batch[0, :4, -4:, 0] = 200
    result = engine.run(batch)[0]
    assert result[2, -3].tolist() == [200, 0, 0]
    assert result[-3, 2].tolist() == [0, 0, 0]


BAD_BATCHES = {
    "a list": [[1]],
    "float32": np.zeros((1, 32, 32, 3), np.float32),
    "int8": np.zeros((1, 32, 32, 3), np.int8),
    "no batch axis": np.zeros((32, 32, 3), np.uint8),
    "NCHW": np.zeros((1, 3, 32, 32), np.uint8),
    "four channels": np.zeros((1, 32, 32, 4), np.uint8),
    "grey": np.zeros((1, 32, 32, 1), np.uint8),
    "empty": np.zeros((0, 32, 32, 3), np.uint8),
    "no rows": np.zeros((1, 0, 32, 3), np.uint8),
}


@pytest.mark.parametrize("kind", BAD_BATCHES)
def test_a_wrong_batch_is_refused(engine: Engine, kind: str) -> None:
    """Anything but uint8 RGB (N, h, w, 3) is an EngineMismatch, and the engine goes on working."""
    with pytest.raises(EngineMismatch, match=engine.spec.engine):
        engine.run(BAD_BATCHES[kind])  # type: ignore[arg-type]
    assert engine.run(pictures(1, 32, 32)).shape == (1, 128, 128, 3)


def test_limits_of_the_spec_are_kept(engine: Engine) -> None:
    """One window more, or one pixel less, than the spec allows is refused."""
    spec = engine.spec
    with pytest.raises(EngineMismatch, match=str(spec.max_batch + 1)):
        engine.run(np.zeros((spec.max_batch + 1, 16, 16, 3), np.uint8))
    limit = f"{spec.min_window_px} px" if spec.windows is None else r"h x w.*, got"
    with pytest.raises(EngineMismatch, match=limit):
        engine.run(np.zeros((1, 16, spec.min_window_px - 1, 3), np.uint8))


def test_out_is_written_in_place(engine: Engine) -> None:
    """With out the result is there, out itself is returned, and the next run leaves it alone."""
    first, second = pictures(3, 32, 32, seed=1), pictures(3, 32, 32, seed=2)
    out = np.zeros((3, 128, 128, 3), np.uint8)
    assert engine.run(first, out) is out
    kept = out.copy()
    assert not np.array_equal(engine.run(second), kept)
    np.testing.assert_array_equal(out, kept)
    np.testing.assert_array_equal(engine.run(first), kept)


def _read_only() -> UInt8:
    out = np.zeros((1, 128, 128, 3), np.uint8)
    out.flags.writeable = False
    return out


BAD_OUTS: dict[str, Callable[[], object]] = {
    "a list": list,
    "float32": lambda: np.zeros((1, 128, 128, 3), np.float32),
    "the input's shape": lambda: np.zeros((1, 32, 32, 3), np.uint8),
    "one window more": lambda: np.zeros((2, 128, 128, 3), np.uint8),
    "strided": lambda: np.zeros((1, 128, 256, 3), np.uint8)[:, :, ::2],
    "read only": _read_only,
}


@pytest.mark.parametrize("kind", BAD_OUTS)
def test_a_wrong_out_is_refused_untouched(engine: Engine, kind: str) -> None:
    """An out that does not fit is an EngineMismatch and nothing is written to it."""
    out = BAD_OUTS[kind]()
    with pytest.raises(EngineMismatch, match="out must be"):
        engine.run(pictures(1, 32, 32), out)  # type: ignore[arg-type]
    assert not np.any(out)


def test_without_out_the_next_run_overwrites_the_result(engine: Engine) -> None:
    """The result is the engine's own buffer: valid until the next run, as `run` says."""
    first = engine.run(pictures(1, 32, 32, seed=1))
    kept = first.copy()
    second = engine.run(pictures(1, 32, 32, seed=2))
    assert np.shares_memory(first, second)
    assert not np.array_equal(first, kept)


def test_a_result_outlives_the_engine(opener: Callable[[], Engine]) -> None:
    """Closing gives no memory away that a caller still looks at."""
    engine = opener()
    result = engine.run(pictures(1, 32, 32))
    kept = result.copy()
    engine.close()
    del engine
    gc.collect()
    np.testing.assert_array_equal(result, kept)


def test_the_batch_is_only_read(engine: Engine) -> None:
    """A read-only batch is taken and stays as it was."""
    batch = pictures(2, *fitting(engine, 32, 48))
    kept = batch.copy()
    batch.flags.writeable = False
    engine.run(batch)
    np.testing.assert_array_equal(batch, kept)


@pytest.mark.parametrize("view", ["mirrored", "every second column", "BGR", "transposed"])
def test_a_strided_batch(engine: Engine, view: str) -> None:
    """A view with any strides gives what its contiguous copy gives."""
    height, width = fitting(engine, 64, 32)
    big = pictures(2, height, 2 * width)
    small = big[:, :, width:]
    batch = {
        "mirrored": small[:, :, ::-1],
        "every second column": big[:, :, ::2],
        "BGR": small[..., ::-1],
        "transposed": pictures(2, width, height).transpose(0, 2, 1, 3),
    }[view]
    assert not batch.flags.c_contiguous
    expected = engine.run(np.ascontiguousarray(batch)).copy()
    np.testing.assert_array_equal(engine.run(batch), expected)


def test_a_result_can_be_the_next_batch(engine: Engine) -> None:
    """The engine's own buffer is a good input although the result goes into it as well."""
    if engine.spec.windows is not None:
        pytest.skip("the results of this engine are no windows that it takes")
    expected = engine.run(engine.run(pictures(1, 16, 16)).copy()).copy()
    np.testing.assert_array_equal(engine.run(engine.run(pictures(1, 16, 16))), expected)


def test_two_threads(engine: Engine) -> None:
    """Calls from two threads wait for each other and each gets its own result."""
    # Of one shape: an engine that ran both at once would mix them up.
    batches = [pictures(2, 32, 32, seed=seed) for seed in (1, 2)]
    expected = [engine.run(batch).copy() for batch in batches]
    wrong: list[str] = []

    def work(number: int) -> None:
        out = np.empty_like(expected[number])
        for _ in range(30):
            engine.run(batches[number], out)
            if not np.array_equal(out, expected[number]):
                wrong.append(f"thread {number}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_use_after_close(opener: Callable[[], Engine]) -> None:
    """A closed engine says so, with its name; closing again is no error."""
    engine = opener()
    engine.run(pictures(1, 32, 32))
    engine.close()
    engine.close()
    with pytest.raises(DeviceError, match=f"'{engine.spec.engine}'.*closed"):
        engine.run(pictures(1, 32, 32))


# In an interpreter of its own, where no other test's memory comes and goes.
OPEN_AND_CLOSE = """
import gc, os, sys
import numpy as np
from idrn_trt.engines import open_engine

def cycles(count):
    for _ in range(count):
        engine = open_engine(sys.argv[1], engine=sys.argv[2], precision=sys.argv[3], threads=1)
        engine.run(np.zeros((1, 32, 32, 3), np.uint8))
        engine.close()
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

settled = cycles(20)
print(cycles(80) - settled)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_opening_100_times_leaks_nothing(case: tuple[str, Precision], tiny_model: Path) -> None:
    """Memory after opening, using and closing 100 times is what it was after the first 20."""
    model = DEFAULT_MODEL if case[0] == "bicubic" else str(tiny_model)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AND_CLOSE, model, *case],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 4  # MiB; 50 KiB an opening would show


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("weight", ["head.weight", "conv2.bias", "tail.weight"])
def test_weights_that_are_no_numbers_are_refused(
    case: tuple[str, Precision], tmp_path: Path, weight: str, value: float
) -> None:
    """A NaN or infinite weight anywhere is a ModelError at opening, wherever a ReLU might hide it."""
    name, precision = case
    if name == "bicubic":
        pytest.skip("bicubic has no weights")
    model = with_weight(tiny(), weight, value)
    if precision == "int8":
        if weight.endswith("weight"):
            pytest.skip("quantised weights are integers")
        signed = name == "tensorrt"
        files = {int8_kind(name): with_weight(quantised(tiny(), signed=signed), weight, value)}
    else:
        files = {"fp32": model, "fp16": halved(model)}
    folder = write_folder(tmp_path / "broken", files)
    with pytest.raises(ModelError, match="NaN, infinite"):
        open_engine(folder, engine=name, precision=precision)


def test_a_network_gone_astray_is_refused(case: tuple[str, Precision], tmp_path: Path) -> None:
    """Finite weights that make everything white or overflow are a ModelError at opening."""
    name, precision = case
    if name == "bicubic":
        pytest.skip("bicubic has no weights")
    base = quantised(tiny(), signed=name == "tensorrt") if precision == "int8" else tiny()
    model = base
    for channel in range(3):
        model = _with_bias(model, channel, 9.0)
    kind = int8_kind(name) if precision == "int8" else "fp32"
    files = {kind: model} if precision == "int8" else {"fp32": model, "fp16": halved(model)}
    folder = write_folder(tmp_path / "astray", files)
    with pytest.raises(ModelError, match="grey ramp"):
        open_engine(folder, engine=name, precision=precision)


def _with_bias(model: onnx.ModelProto, channel: int, value: float) -> onnx.ModelProto:
    weight = next(w for w in model.graph.initializer if w.name == "tail.bias")
    array = onnx.numpy_helper.to_array(weight).copy()
    array[channel] = value
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    return model


def test_the_default_model(case: tuple[str, Precision]) -> None:
    """The shipped model runs in this engine and precision and agrees with its float32 file."""
    name, precision = case
    try:
        model = find_model(DEFAULT_MODEL)
    except ModelError:
        pytest.skip("the default model is not here")
    kind = int8_kind(name) if precision == "int8" else "fp32"
    if precision == "fp16":
        kind = "fp16"
    if name == "bicubic" or not model.has(kind):
        pytest.skip(f"the default model has no file for {precision} in {name}")
    engine = open_engine(model, engine=name, precision=precision)
    batch = pictures(3, *fitting(engine, 32, 48), seed=7)
    expected = reference(onnx.load(model.file("fp32")), batch)
    result = engine.run(batch).copy()
    engine.close()
    assert psnr(result, expected) >= TRAINED_PARITY_DB[precision]
    if precision == "fp32":
        assert levels_apart(result, expected) <= 1
