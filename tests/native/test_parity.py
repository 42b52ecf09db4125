"""libidrn gives what Python gives, byte for byte."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.engines import open_engine
from idrn_trt.engines.base import Engine
from idrn_trt.faces.paste import paste, paste_order
from idrn_trt.faces.window import WINDOW_SHAPES_PX, cut, group_by_shape, window_for
from idrn_trt.types import Box

UInt8 = npt.NDArray[np.uint8]

MODEL = Path(__file__).parents[2] / "models" / "idrn-d8-w64-x4-real"
# idrn.h's idrn_precision.
PRECISIONS = {"fp32": "1", "int8": "3"}


class Native:
    """A process of native/tests/parity_tool.cpp. Another one: OpenVINO is not to be in one process twice."""

    def __init__(self, tool: Path, precision: str) -> None:
        command = [str(tool), str(MODEL), PRECISIONS[precision]]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, batch: UInt8) -> UInt8:
        """idrn_run of that batch."""
        count, height, width, _ = batch.shape
        shape = (count, 4 * height, 4 * width, 3)
        return self._answer(f"r {count} {width} {height}\n".encode() + batch.tobytes(), shape)

    def upscale(
        self, frame: UInt8, boxes: list[Box], size: tuple[int, int], under: UInt8 | None
    ) -> UInt8:
        """idrn_upscale to that (width, height), on the background `under` or on the library's own."""
        height, width = frame.shape[:2]
        keep = int(under is not None)
        head = f"u {width} {height} {size[0]} {size[1]} {len(boxes)} {keep}\n"
        rows = "".join(f"{box.x!r} {box.y!r} {box.w!r} {box.h!r}\n" for box in boxes)
        pixels = frame.tobytes() + (b"" if under is None else under.tobytes())
        return self._answer((head + rows).encode() + pixels, (size[1], size[0], 3))

    def _answer(self, request: bytes, shape: tuple[int, ...]) -> UInt8:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request)
        process.stdin.flush()
        answer = np.frombuffer(process.stdout.read(int(np.prod(shape))), np.uint8)
        return answer.reshape(shape)

    def close(self) -> None:
        """End the process and see that it ended well."""
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture(scope="module", params=sorted(PRECISIONS))
def pair(
    request: pytest.FixtureRequest, built: Callable[[str], Path]
) -> Iterator[tuple[Native, Engine]]:
    """The same model opened by both."""
    native = Native(built("tests/parity_tool"), request.param)
    engine = open_engine(MODEL, engine="openvino", precision=request.param, threads=1)
    yield native, engine
    engine.close()
    native.close()


@pytest.fixture(scope="module")
def noise() -> np.random.Generator:
    """Always the same pictures."""
    return np.random.default_rng(10)


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(1, 32, 32), (3, 32, 32), (1, 48, 40), (5, 48, 40), (2, 40, 48), (5, 8, 8)],
)
def test_run_is_byte_identical(
    pair: tuple[Native, Engine], noise: np.random.Generator, count: int, height: int, width: int
) -> None:
    """A batch through the library is what Engine.run makes of it, whatever pieces it falls into."""
    native, engine = pair
    batch = noise.integers(0, 256, (count, height, width, 3), np.uint8)
    np.testing.assert_array_equal(native.run(batch), engine.run(batch))


def _pasted(engine: Engine, frame: UInt8, boxes: list[Box], under: list[UInt8]) -> list[UInt8]:
    """What Upscaler makes of these boxes on each of those backgrounds."""
    height, width = frame.shape[:2]
    windows = [w for w in (window_for(box, height, width) for box in boxes) if w is not None]
    pictures: dict[int, UInt8] = {}
    for places in group_by_shape(windows).values():
        batch = engine.run(np.stack([cut(frame, windows[i]) for i in places]))
        pictures.update(zip(places, batch.copy(), strict=True))
    made = [picture.copy() for picture in under]
    for out in made:
        for place in paste_order(windows):
            paste(out, windows[place], pictures[place], engine.spec.scale, (width, height))
    return made


BOXES = [
    Box(10.25, 12.5, 20.0, 22.0),  # at an edge
    Box(60.0, 40.0, 19.0, 19.0),
    Box(66.0, 44.0, 19.5, 12.0),  # overlaps the last
    Box(100.0, 60.0, 24.0, 33.3),  # an upright window
    Box(20.5, 70.0, 30.0, 14.0),  # one that lies
    Box(0.0, 0.0, 400.0, 400.0),  # too large for any
    Box(150.0, 100.0, 20.0, 20.0),  # at the far corner
]


@pytest.mark.parametrize(
    "size",
    [
        (640, 480), (320, 240), (400, 301), (160, 120), (97, 61), (1000, 700), (640, 333),
        (480, 360), (213, 160), (320, 100),
    ],
)  # fmt: skip
def test_upscale_is_byte_identical(
    pair: tuple[Native, Engine], noise: np.random.Generator, size: tuple[int, int]
) -> None:
    """Faces pasted on the same background come out the same at the model's scale and at any other."""
    native, engine = pair
    frame = noise.integers(0, 256, (120, 160, 3), np.uint8)
    under = noise.integers(0, 256, (size[1], size[0], 3), np.uint8)
    expected = _pasted(engine, frame, BOXES, [under])[0]
    np.testing.assert_array_equal(native.upscale(frame, BOXES, size, under), expected)


def test_every_shape_is_byte_identical(
    pair: tuple[Native, Engine], noise: np.random.Generator
) -> None:
    """Faces that need every shape of window come out the same, at the model's scale and below it."""
    native, engine = pair
    frame = noise.integers(0, 256, (210, 280, 3), np.uint8)
    boxes = [
        Box(60.0 + i, 40.0 + i, (w - 8) / 1.13, (h - 8) / 1.13)
        for i, (h, w) in enumerate(WINDOW_SHAPES_PX)
    ]
    windows = [window_for(box, 210, 280) for box in boxes]
    assert tuple(w.shape for w in windows if w is not None) == WINDOW_SHAPES_PX
    sizes = [(1120, 840), (467, 350)]
    under = [noise.integers(0, 256, (height, width, 3), np.uint8) for width, height in sizes]
    expected = _pasted(engine, frame, boxes, under)
    for size, beneath, picture in zip(sizes, under, expected, strict=True):
        np.testing.assert_array_equal(native.upscale(frame, boxes, size, beneath), picture)


def test_frame_smaller_than_a_window(
    pair: tuple[Native, Engine], noise: np.random.Generator
) -> None:
    """Where the window reaches over the frame both mirror it and show the same part."""
    native, engine = pair
    frame = noise.integers(0, 256, (21, 27, 3), np.uint8)
    boxes = [Box(3.0, 2.0, 20.0, 20.0), Box(4.0, 1.0, 16.0, 22.0)]
    for size in ((108, 84), (81, 63)):
        under = noise.integers(0, 256, (size[1], size[0], 3), np.uint8)
        expected = _pasted(engine, frame, boxes, [under])[0]
        np.testing.assert_array_equal(native.upscale(frame, boxes, size, under), expected)


@pytest.mark.parametrize("size", [(640, 480), (400, 301), (80, 60), (160, 60)])
def test_background_is_close(
    pair: tuple[Native, Engine], astronaut: UInt8, size: tuple[int, int]
) -> None:
    """The library's own background is within rounding of OpenCV's, which Python takes."""
    from idrn_trt.faces.layout import background

    native, _ = pair
    frame = np.ascontiguousarray(astronaut[100:220, 150:310])
    ours = native.upscale(frame, [], size, None).astype(int)
    difference = np.abs(ours - background(frame, *size))
    assert difference.max() <= 1
    assert difference.mean() < 0.25


def test_geometry_of_many_boxes(pair: tuple[Native, Engine], noise: np.random.Generator) -> None:
    """Boxes anywhere, of any size, get the same windows and the same place in the picture."""
    native, engine = pair
    frame = noise.integers(0, 256, (90, 130, 3), np.uint8)
    numbers = noise.uniform((-60, -60, 0.5, 0.5), (190, 150, 40, 40), (16, 4)).tolist()
    boxes = [Box(*row) for row in numbers]
    under = np.zeros((200, 300, 3), np.uint8)
    expected = _pasted(engine, frame, boxes, [under])[0]
    np.testing.assert_array_equal(native.upscale(frame, boxes, (300, 200), under), expected)
