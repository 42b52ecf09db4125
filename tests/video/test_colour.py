"""Colour bars through the whole way, against the formulas of BT.601 and BT.709 and not against swscale."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from clips import Clip, decode, picture, rgb_of

from idrn_trt.upscaler import Upscaler
from idrn_trt.video.colour import BT601, BT709, assumed_matrix
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip
from idrn_trt.video.reader import Reader

UInt8 = npt.NDArray[np.uint8]

BARS = np.array(
    [
        (255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0),
        (0, 0, 255), (0, 0, 0), (191, 191, 191), (191, 191, 0), (0, 191, 191), (64, 128, 200),
    ],
    np.uint8,
)  # fmt: skip
BAR_PX = 16
MOST_LEVELS = 2


def bars(height: int = 32) -> UInt8:
    """The usual bars and some in between, 16 px each."""
    return np.repeat(np.repeat(BARS[None], BAR_PX, 1), height, 0)


def inner(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The middle of each bar, where no neighbour's colour reaches."""
    middle = np.arange(picture.shape[1]) % BAR_PX
    return np.asarray(picture[4:-4][:, (middle >= 6) & (middle < 10)], float)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuvj420p"])
@pytest.mark.parametrize("matrix", [1, 5, 6])
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
def test_bars_come_through(
    tmp_path: Path, same_size: Upscaler, pix_fmt: str, matrix: int, color_range: int
) -> None:
    """Decoded by its tags, the output differs from the bars by at most 2 grey levels.

    The matrix is the input's; full range and 10 bits become limited range and 8 bits, with notes.
    """
    if pix_fmt == "yuvj420p" and color_range == 1:
        pytest.skip("this format is full range by its name")
    source = Clip(
        tmp_path / "in.mkv", [bars()] * 3, pix_fmt=pix_fmt, matrix=matrix, color_range=color_range,
        options={"crf": "0", "preset": "ultrafast"},
    ).make()  # fmt: skip
    report = upscale_clip(source, tmp_path / "out.mp4", same_size, VideoOptions(crf=0))
    after = decode(tmp_path / "out.mp4").frames[1]
    assert np.abs(inner(rgb_of(after)) - inner(bars())).max() <= MOST_LEVELS
    assert after.colorspace == matrix
    assert after.color_range == 1
    assert any("full range" in note for note in report.notes) == (color_range == 2)
    assert any("10-bit" in note for note in report.notes) == ("10" in pix_fmt)


@pytest.mark.parametrize(("matrix", "color_range"), [(1, 1), (1, 2), (6, 1), (6, 2)])
def test_what_the_network_sees(tmp_path: Path, matrix: int, color_range: int) -> None:
    """The RGB given to the upscaler is within 2 grey levels of the bars as they were drawn."""
    source = Clip(
        tmp_path / "in.mp4", [bars()] * 2, matrix=matrix, color_range=color_range,
        options={"crf": "0"},
    ).make()  # fmt: skip
    with Reader(source) as reader:
        pictures = [step.picture.rgb for step in reader if step.picture is not None]
    assert np.abs(inner(pictures[0]) - inner(bars())).max() <= MOST_LEVELS


def test_an_untagged_clip_is_read_as_players_do(tmp_path: Path, upscaler: Upscaler) -> None:
    """Standard definition without a tag is BT.601; the result is tagged with what suits its own size."""
    source = Clip(tmp_path / "in.mp4", [bars(192)] * 2, matrix=2, options={"crf": "0"}).make()
    assert decode(source).frames[0].colorspace == 2
    upscale_clip(source, tmp_path / "out.mp4", upscaler, VideoOptions(crf=0))
    after = decode(tmp_path / "out.mp4").frames[0]
    assert after.height == 768
    assert after.colorspace == BT709
    middle = np.arange(after.width) % (4 * BAR_PX)
    lines = rgb_of(after)[400:700][:, (middle >= 24) & (middle < 40)]
    expected = np.repeat(np.repeat(BARS[None], 16, 1), 300, 0)
    assert np.abs(lines - expected).max() <= MOST_LEVELS


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((640, 480), BT601), ((720, 576), BT601), ((960, 720), BT709), ((1280, 544), BT709)],
)
def test_the_assumed_matrix(size: tuple[int, int], matrix: int) -> None:
    """Up to 576 lines and less than 1280 columns is standard definition."""
    assert assumed_matrix(*size) == matrix


def test_rgb_input(tmp_path: Path, same_size: Upscaler) -> None:
    """A clip stored as RGB becomes ordinary limited-range video of the same colours."""
    source = Clip(tmp_path / "in.mkv", [bars()] * 2, codec="ffv1", pix_fmt="bgr0").make()
    upscale_clip(source, tmp_path / "out.mp4", same_size, VideoOptions(crf=0))
    after = decode(tmp_path / "out.mp4").frames[0]
    assert after.format.name == "yuv420p"
    assert np.abs(inner(rgb_of(after)) - inner(bars())).max() <= MOST_LEVELS


def test_transparency_is_dropped_with_a_note(tmp_path: Path, same_size: Upscaler) -> None:
    """A clip with alpha comes out opaque, and that is said."""
    source = Clip(tmp_path / "in.mkv", [picture(0)] * 2, codec="ffv1", pix_fmt="bgra").make()
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    assert report.notes == ["transparency is dropped"]


def test_the_transparency_of_webm_is_dropped_with_a_note(
    tmp_path: Path, same_size: Upscaler
) -> None:
    """WebM keeps alpha beside the pictures, where no decoder here looks: that is said too."""
    source = tmp_path / "in.webm"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libvpx", rate=25, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        frame = av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format="yuva420p")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    assert "transparency is dropped" in report.notes


def test_high_dynamic_range_is_said(tmp_path: Path, same_size: Upscaler) -> None:
    """A PQ clip keeps its transfer function's tag in 8 bits, and notes say what that means and costs."""
    source = tmp_path / "in.mp4"
    params = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:cll=1000,400"
    Clip(
        source, [bars()] * 2, pix_fmt="yuv420p10le", matrix=1, color_range=1,
        options={"x264-params": params},
    ).make()  # fmt: skip
    report = upscale_clip(source, tmp_path / "out.mp4", same_size)
    assert decode(tmp_path / "out.mp4").frames[0].color_trc == 16
    assert any("high dynamic range" in note for note in report.notes)
    assert any("10-bit" in note for note in report.notes)
    assert any("mastering data" in note for note in report.notes)
