"""Faces pasted back, on pixels, against pasting at the model's scale and resizing the whole frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from idrn_trt.errors import OptionError
from idrn_trt.faces import paste as paste_module
from idrn_trt.faces.layout import background
from idrn_trt.faces.paste import feather_px, paste, paste_order
from idrn_trt.faces.window import CONTEXT_PX, WINDOW_SHAPES_PX, cut, window_for
from idrn_trt.types import Box, Window

UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

WIDTH, HEIGHT = 200, 150


def noise(height: int, width: int, seed: int = 0) -> UInt8:
    """A picture in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int, width: int, seed: int = 0, spots: tuple[int, int] = (5, 6)) -> UInt8:
    """A picture of soft colours, with no contrast between neighbouring pixels; spots: so many, each way."""
    small = np.random.default_rng(seed).integers(0, 256, (*spots, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def nearest(picture: UInt8, scale: int) -> UInt8:
    """Every pixel scale by scale times."""
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def ramp(start: int, length: int, scale: int, size_in: int) -> Float64:
    """Strength of a face along one axis at model scale, sampled finely from its definition."""
    fine = 32
    u = (np.arange(size_in * scale * fine) + 0.5) / (scale * fine)
    left = (u - start - CONTEXT_PX) / feather_px(length) if start > 0 else np.ones_like(u)
    right = start + length - CONTEXT_PX - u
    right = right / feather_px(length) if start + length < size_in else np.ones_like(u)
    strength = np.clip(np.minimum(left, right), 0, 1)
    return np.asarray(strength.reshape(-1, fine).mean(axis=1), np.float64)


def pasted_at_model_scale(
    frame: UInt8, window: Window, sr: UInt8, scale: int, in_size: tuple[int, int]
) -> Float64:
    """The unrounded blend of a model-scale frame and a face, over the whole frame."""
    x_strength = ramp(window.x, window.w, scale, in_size[0])
    y_strength = ramp(window.y, window.h, scale, in_size[1])
    rows = np.arange(frame.shape[0]) - window.y * scale
    columns = np.arange(frame.shape[1]) - window.x * scale
    rows, columns = (np.clip(i, 0, n - 1) for i, n in zip((rows, columns), sr.shape, strict=False))
    alpha = (y_strength[:, None] * x_strength)[..., None]
    return np.asarray(frame * (1 - alpha) + sr[rows[:, None], columns] * alpha, np.float64)


def area_mean(picture: npt.NDArray[np.generic], width: int, height: int) -> Float64:
    """The unrounded mean of what each output pixel covers."""
    mean = picture.astype(np.float64)
    for axis, size_out in ((0, height), (1, width)):
        mean = np.moveaxis(mean, axis, 0)
        sums = np.concatenate([np.zeros_like(mean[:1]), np.cumsum(mean, axis=0), mean[:1]])
        edges = np.arange(size_out + 1) * len(mean) / size_out
        low = np.minimum(edges.astype(int), len(mean))
        part = (edges - low)[:, None, None]
        at_edges = sums[low] * (1 - part) + sums[low + 1] * part
        mean = np.moveaxis(np.diff(at_edges, axis=0) * size_out / len(mean), 0, axis)
    return np.ascontiguousarray(mean)


def window_at(x: float, y: float, size: float = 30) -> Window:
    """The window of a square face box with its top left there; that of a size of 30 is 48 wide, 64 high."""
    window = window_for(Box(x, y, size, size), HEIGHT, WIDTH)
    assert window is not None
    return window


def answer(window: Window, scale: int, seed: int = 1) -> UInt8:
    """A network's picture of that window, of noise."""
    return noise(window.h * scale, window.w * scale, seed)


def plain(window: Window, level: int) -> UInt8:
    """One of a single grey, at scale 4."""
    return np.full((window.h * 4, window.w * 4, 3), level, np.uint8)


def at_model_scale(window: Window, scale: int) -> Window:
    """The same part of the frame in network pixels."""
    return Window(*(scale * n for n in (window.x, window.y, window.w, window.h)))


PLACES = {
    "middle": (80, 60),
    "left": (0, 60),
    "right": (170, 60),
    "top": (80, 0),
    "bottom": (80, 120),
    "top-left": (-5, -5),
    "top-right": (175, -5),
    "bottom-left": (-5, 125),
    "bottom-right": (175, 125),
    "just-off-the-edge": (10, 60),
}
# Output sizes for a 200x150 frame: by 4, 3, 2.25, 1.5, 1, shrunk, and two that are not quite of its shape.
SHRUNK = [(600, 450), (450, 338), (300, 225), (200, 150), (90, 70), (599, 451), (401, 298)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_at_model_scale(place: str, scale: int) -> None:
    """At each edge and corner the result is the defined blend, and outside of the window untouched."""
    window = window_at(*PLACES[place])
    frame = noise(HEIGHT * scale, WIDTH * scale)
    sr = answer(window, scale)
    out = frame.copy()
    paste(out, window, sr, scale, (WIDTH, HEIGHT))
    want = pasted_at_model_scale(frame, window, sr, scale, (WIDTH, HEIGHT))
    assert np.abs(out - want).max() <= 1.5  # half a level of rounding, and alpha in steps of 1/256
    down, across = ((CONTEXT_PX + feather_px(n)) * scale for n in window.shape)
    top, left = window.y * scale, window.x * scale
    inner = np.s_[down:-down, across:-across]
    shown = out[top : top + sr.shape[0], left : left + sr.shape[1]]
    assert np.array_equal(shown[inner], sr[inner])


@pytest.mark.parametrize("place", ["middle", "top-left", "bottom-right", "just-off-the-edge"])
@pytest.mark.parametrize("size", SHRUNK)
def test_below_model_scale(place: str, size: tuple[int, int]) -> None:
    """A smaller result is the model-scale result shrunk: to 2.5 levels, and untouched outside.

    (To 10 where it is smaller than the input, and one output pixel holds much of the ramp and of a spot.)
    """
    window = window_at(*PLACES[place])
    frame, sr = smooth(HEIGHT * 4, WIDTH * 4), smooth(window.h * 4, window.w * 4, seed=2)
    out = np.rint(area_mean(frame, *size)).astype(np.uint8)
    before = out.copy()
    paste(out, window, sr, 4, (WIDTH, HEIGHT))
    want = area_mean(pasted_at_model_scale(frame, window, sr, 4, (WIDTH, HEIGHT)), *size)
    assert np.abs(out - want).max() <= (2.5 if size[0] >= WIDTH else 10)
    y, x = (np.arange(n) + 0.5 for n in out.shape[:2])
    y, x = y * HEIGHT / size[1] - window.y, x * WIDTH / size[0] - window.x
    reach = max(WIDTH / size[0], HEIGHT / size[1])
    outside = [(u < -reach) | (u > n + reach) for u, n in ((y, window.h), (x, window.w))]
    assert np.array_equal(out[outside[0]], before[outside[0]])
    assert np.array_equal(out[:, outside[1]], before[:, outside[1]])


@pytest.mark.parametrize("place", PLACES)
def test_above_model_scale(place: str) -> None:
    """A larger result is the model-scale face enlarged as cv2.resize enlarges the whole frame."""
    window = window_at(*PLACES[place])
    frame = noise(HEIGHT * 2, WIDTH * 2)
    sr = cut(frame, at_model_scale(window, 2))
    size = (5 * WIDTH, 5 * HEIGHT)
    want = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    out = want.copy()
    paste(out, window, sr, 2, (WIDTH, HEIGHT))
    assert np.abs(out.astype(int) - want).max() <= 1


@pytest.mark.parametrize("size", [(800, 600), *SHRUNK])
def test_pasting_the_frame_into_itself_changes_nothing(size: tuple[int, int]) -> None:
    """Where face and background are the same pixels, nothing shows: exactly, or to 2 levels when resized."""
    frame = smooth(HEIGHT * 4, WIDTH * 4) if size != (800, 600) else noise(HEIGHT * 4, WIDTH * 4)
    whole = np.rint(area_mean(frame, *size)).astype(np.uint8)
    for x, y in PLACES.values():
        window = window_at(x, y)
        out = whole.copy()
        paste(out, window, cut(frame, at_model_scale(window, 4)), 4, (WIDTH, HEIGHT))
        tolerance = 0 if size == (800, 600) else 2
        assert np.abs(out.astype(int) - whole).max() <= tolerance


def test_random_geometry() -> None:
    """For random frames, boxes, scales and output sizes, the frame pasted into itself shows nowhere.

    Its levels change by up to 24 from one output pixel to the next: a sixth of a pixel aside would show.
    """
    rng = np.random.default_rng(5)
    for _ in range(100):
        in_w, in_h = rng.integers(1, 200, 2).tolist()
        scale = int(rng.integers(2, 5))
        out_w, out_h = (int(n * rng.uniform(0.2, scale)) + 1 for n in (in_w, in_h))
        size = float(rng.uniform(2, 119))
        window = window_for(Box(*rng.uniform(-40, 250, 2).tolist(), size, size), in_h, in_w)
        assert window is not None
        out_w, out_h = min(out_w, scale * in_w), min(out_h, scale * in_h)
        spots = (out_h // 16 + 1, out_w // 16 + 1)
        frame = smooth(in_h * scale, in_w * scale, seed=int(rng.integers(99)), spots=spots)
        whole = np.rint(area_mean(frame, out_w, out_h)).astype(np.uint8)
        out = whole.copy()
        paste(out, window, cut(frame, at_model_scale(window, scale)), scale, (in_w, in_h))
        assert np.abs(out.astype(int) - whole).max() <= 4, (in_w, in_h, out_w, out_h, window)


@pytest.mark.parametrize("in_size", [(1, 1), (1, 90), (90, 1), (20, 20), (33, 7)])
@pytest.mark.parametrize("ratio", [0.5, 1.5, 2.0, 3.3])
def test_mirrored_pixels_are_never_shown(in_size: tuple[int, int], ratio: float) -> None:
    """Of a window larger than the frame only the frame's own pixels show, whatever is around them."""
    window = window_for(Box(0, 0, 10, 10), in_size[1], in_size[0])
    assert window is not None
    sr = np.full((64, 64, 3), 255, np.uint8)
    x0, y0 = (max(0, -2 * start) for start in (window.x, window.y))
    sr[y0 : y0 + 2 * in_size[1], x0 : x0 + 2 * in_size[0]] = 7
    out_w, out_h = (max(1, round(n * ratio)) for n in in_size)
    out = np.full((out_h, out_w, 3), 7, np.uint8)
    paste(out, window, sr, 2, in_size)
    assert np.all(out == 7)


def test_the_context_is_never_shown() -> None:
    """Inside the frame, the outer 4 pixels of a window have no effect on a model-scale result."""
    for h, w in WINDOW_SHAPES_PX:
        window = Window(10, 9, w, h)
        sr = answer(window, 4)
        other = np.full_like(sr, 255)
        edge = 4 * CONTEXT_PX
        other[edge:-edge, edge:-edge] = sr[edge:-edge, edge:-edge]
        results = []
        for picture in (sr, other):
            out = np.zeros((HEIGHT * 4, WIDTH * 4, 3), np.uint8)
            paste(out, window, picture, 4, (WIDTH, HEIGHT))
            results.append(out)
        assert np.array_equal(*results)


@pytest.mark.parametrize("place", [(-32, 5), (5, -40), (WIDTH, 5), (5, HEIGHT + 300)])
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (4 * WIDTH, 4 * HEIGHT)])
def test_a_window_outside_the_frame_shows_nothing(
    place: tuple[int, int], size: tuple[int, int]
) -> None:
    """Nothing changes, at the model's scale and below."""
    out = np.full((size[1], size[0], 3), 7, np.uint8)
    paste(out, Window(*place, 32, 32), noise(128, 128), 4, (WIDTH, HEIGHT))
    assert (out == 7).all()


@pytest.mark.parametrize("size", [(1440, 1080), (800, 601), (1919, 1080), (3000, 2250)])
def test_a_face_looks_the_same_wherever_it_is(size: tuple[int, int]) -> None:
    """Geometry taken over from another place of the frame is what this place's own would be."""
    for start in (1, 2, 7, 100, 515, 516):
        near, first = paste_module._axis(start, 64, 4, 640, size[0])
        own = paste_module._near_axis(start, 64, 4, 640, size[0])
        assert (first, near.count, near.full) == (own.first, own.count, own.full)
        assert np.array_equal(near.alpha, own.alpha)
        assert near.part == own.part
        assert np.array_equal(near.taps.places, own.taps.places)
        assert np.array_equal(near.taps.weights, own.taps.weights)


def test_the_blend_is_its_definition() -> None:
    """At model scale every byte is what the module's first lines say, in whole numbers."""
    window, (beneath, face) = (
        Window(20, 30, 48, 64),
        (noise(HEIGHT * 2, WIDTH * 2), noise(128, 96, 1)),
    )
    out = beneath.copy()
    paste(out, window, face, 2, (WIDTH, HEIGHT))
    strengths = []
    for length in window.shape:
        at = np.arange(2 * length)
        ramp_px = 2 * feather_px(length)
        centres = (
            np.minimum(at, at[::-1]) - 2 * CONTEXT_PX
        )  # of network pixels, from the shown part
        doubled = (2 * centres + 1) * 256
        strengths.append(np.clip((doubled + ramp_px) // (2 * ramp_px), 0, 256))
    alpha = ((strengths[0][:, None] * strengths[1] + 128) // 256)[..., None]
    want = beneath.astype(int)
    place = np.s_[2 * window.y : 2 * window.y + 128, 2 * window.x : 2 * window.x + 96]
    want[place] = np.rint((want[place] * (256 - alpha) + face * alpha) / 256)
    assert np.array_equal(out, want)


def test_opencv_blends_as_defined() -> None:
    """Any two levels at any strength are mixed by cv2.blendLinear as the module's first lines say."""
    face = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, 0).repeat(3, 2)
    beneath = face.transpose(1, 0, 2).copy()
    for strength in range(257):
        above = np.full((256, 256), strength, np.float32)
        want = np.rint((beneath * (256.0 - strength) + face * float(strength)) / 256)
        assert np.array_equal(cv2.blendLinear(beneath, face, 256 - above, above), want)


def test_pasting_twice_shows_the_face_in_the_same_place() -> None:
    """Pasted again, a face's full-strength pixels are the same ones, and nothing beyond it changes."""
    window = window_at(80, 60)
    sr = answer(window, 4)
    once = np.zeros((450, 600, 3), np.uint8)
    paste(once, window, sr, 4, (WIDTH, HEIGHT))
    twice = once.copy()
    paste(twice, window, sr, 4, (WIDTH, HEIGHT))
    spans = []
    for start, length in ((window.y, window.h), (window.x, window.w)):
        margin = CONTEXT_PX + feather_px(length) + 1
        spans.append(slice(3 * (start + margin), 3 * (start + length - margin)))
    inner = (spans[0], spans[1])
    assert np.array_equal(once[inner], twice[inner])
    assert np.array_equal(once.any(axis=2), twice.any(axis=2))


@pytest.mark.parametrize("size", [(800, 600), (450, 338)])
def test_a_face_fades_into_the_frame(size: tuple[int, int]) -> None:
    """From black into a white face, neighbouring pixels never differ by more than the ramp's slope."""
    window = window_at(80, 60)
    out = np.zeros((size[1], size[0], 3), np.uint8)
    paste(out, window, plain(window, 255), 4, (WIDTH, HEIGHT))
    slope = 1.1 * 255 / (feather_px(window.w) * size[0] / WIDTH)  # means of steps are uneven
    values = out[..., 0].astype(int)
    assert out.max() == 255
    assert np.abs(np.diff(values, axis=0)).max() <= slope + 2
    assert np.abs(np.diff(values, axis=1)).max() <= slope + 2


@pytest.mark.parametrize("size", [(800, 600), (450, 338)])
def test_overlapping_faces_have_no_seam(size: tuple[int, int]) -> None:
    """Over two overlapping faces of different grey, neighbours differ by no more than the ramps' slope."""
    windows = [window_at(60, 50, 40), window_at(85, 65, 30), window_at(75, 40, 20)]
    greys = (90, 150, 120)
    out = np.full((size[1], size[0], 3), 120, np.uint8)
    for i in paste_order(windows):
        paste(out, windows[i], plain(windows[i], greys[i]), 4, (WIDTH, HEIGHT))
    factor = size[0] / WIDTH
    # Where two ramps cross, both change at once.
    slope = sum(60 / (feather_px(w.w) * factor) for w in windows[:2])
    values = out[..., 0].astype(int)
    assert set(greys) <= set(np.unique(values).tolist())
    assert np.abs(np.diff(values, axis=0)).max() <= slope + 2
    assert np.abs(np.diff(values, axis=1)).max() <= slope + 2


def test_the_order_does_not_depend_on_the_detectors() -> None:
    """Whatever order windows come in, they are pasted in one: the largest first."""
    windows = [
        Window(9, 5, 32, 32),
        Window(0, 0, 48, 64),
        Window(3, 5, 32, 32),
        Window(7, 1, 88, 112),
    ]
    wanted = [windows[i] for i in (3, 1, 2, 0)]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        some = [windows[i] for i in order]
        assert [some[i] for i in paste_order(some)] == wanted


@pytest.mark.parametrize("count", [0, 200])
def test_none_and_two_hundred_faces(count: int) -> None:
    """With no face the frame is its background; two hundred identical to it leave it as it was."""
    frame = noise(HEIGHT, WIDTH)
    rng = np.random.default_rng(4)
    whole = nearest(frame, 4)
    out = whole.copy()
    boxes = [Box(x, y, s, s) for x, y, s in rng.uniform((0, 0, 8), (180, 130, 60), (count, 3))]
    found = [window_for(box, HEIGHT, WIDTH) for box in boxes]
    windows = [window for window in found if window is not None]
    assert len(windows) == count
    for i in paste_order(windows):
        paste(out, windows[i], nearest(cut(frame, windows[i]), 4), 4, (WIDTH, HEIGHT))
    assert np.array_equal(out, whole)
    if count:
        shown = np.zeros_like(whole)
        for window in windows:
            paste(shown, window, plain(window, 255), 4, (WIDTH, HEIGHT))
        assert (shown == 255).mean() > 0.9  # the faces did cover the frame


def test_real_proportions() -> None:
    """A 640x480 frame shown at 1440x1080: a pasted bicubic face is within 3 levels of its background."""
    frame = smooth(480, 640)
    window = Window(200, 150, 72, 96)
    whole = background(frame, 1440, 1080)
    large = background(frame, 2560, 1920)
    sr = large[600:984, 800:1088].copy()
    out = whole.copy()
    paste(out, window, sr, 4, (640, 480))
    assert np.abs(out.astype(int) - whole).max() <= 3


@pytest.mark.parametrize(
    ("out", "sr"),
    [
        (np.zeros((60, 80, 3), np.uint8), np.zeros((64, 63, 3), np.uint8)),
        (np.zeros((60, 80, 3), np.uint8), np.zeros((64, 64, 3), np.float32)),
        (np.zeros((60, 80), np.uint8), np.zeros((64, 64, 3), np.uint8)),
        (np.zeros((60, 80, 3), np.uint8)[:, ::-1], np.zeros((64, 64, 3), np.uint8)),
    ],
    ids=["shape", "dtype", "grey-frame", "view"],
)
def test_arrays_that_do_not_fit(out: UInt8, sr: UInt8) -> None:
    """A face of the wrong size or type, or a frame that cannot be written in lines, is an OptionError."""
    with pytest.raises(OptionError, match="must be"):
        paste(out, Window(2, 2, 32, 32), sr, 2, (40, 40))
