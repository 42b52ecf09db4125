"""Pictures in and out of files, good and bad."""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from idrn_trt.errors import OptionError, SinkError, SourceError
from idrn_trt.images import (
    Picture,
    encode_picture,
    parse_picture,
    read_image,
    read_picture,
    write_image,
    write_picture,
)


def gradient(height: int = 20, width: int = 30) -> np.ndarray:
    """A picture in which every pixel differs from its neighbours."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 8 % 256, y * 12 % 256, (x + y) * 5 % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".jpg"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    """What is written is read back: exactly where the format is lossless, closely where it is not."""
    path = tmp_path / ("picture" + suffix)
    write_image(path, gradient())
    back = read_image(path).astype(int)
    worst = 0 if suffix in {".png", ".bmp", ".tif"} else 60
    assert np.abs(back - gradient()).max() <= worst
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_one_pixel(tmp_path: Path) -> None:
    """A picture of 1x1 px is a picture."""
    write_image(tmp_path / "dot.png", np.full((1, 1, 3), 7, np.uint8))
    assert read_image(tmp_path / "dot.png").tolist() == [[[7, 7, 7]]]


def test_orientation_is_applied(tmp_path: Path) -> None:
    """A picture that its EXIF data says lies on its side is returned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to see it upright
    Image.fromarray(gradient()).save(tmp_path / "side.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "side.png"), np.rot90(gradient(), -1))


@pytest.mark.parametrize(
    "data",
    [
        b"P5\n4 1\n65535\n\x00\x00\x01\x01\x80\x80\xff\xff",
        b"P5\n4 1\n1020\n\x00\x00\x00\x04\x02\x00\x03\xfc",
        b"P2\n4 1\n65535\n0 257 32896 65535\n",
    ],
    ids=["16 bits", "10 bits", "plain"],
)
def test_deep_pgm_files_are_scaled(data: bytes) -> None:
    """PGM files of more than 8 bits are scaled to 8 as other 16-bit files are, with the same note."""
    picture = parse_picture(data, "p.pgm")
    assert picture.rgb[0, :, 0].tolist() == [0, 1, 128, 255]
    assert picture.grey
    assert picture.notes == ("16 bits a channel became 8",)


@pytest.mark.parametrize(
    ("values", "levels", "word"),
    [
        ([0.0, 0.5, 1.0, -1.0], [0, 128, 255, 0], "from 0 to 1"),
        ([0.0, 128.0, 255.0, 300.0], [0, 128, 255, 255], "clipped"),
        ([np.nan, 1.0, 0.0, 0.0], [0, 255, 0, 0], "from 0 to 1"),
    ],
    ids=["unit", "levels", "nan"],
)
def test_floating_point_greyscale(
    tmp_path: Path, values: list[float], levels: list[int], word: str
) -> None:
    """32-bit numbers of 0 to 1 are black to white, larger ones 0 to 255, and a note says which."""
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "f.tif")
    picture = read_picture(tmp_path / "f.tif")
    assert picture.rgb[0, :, 0].tolist() == levels
    assert picture.grey
    (note,) = picture.notes
    assert word in note


def test_a_few_numbers_beyond_white_do_not_make_it_black(tmp_path: Path) -> None:
    """Numbers of 0 to 1 with one of 1.5, as sharpening leaves it, and an infinite one stay black to white."""
    values = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    values[3, 4], values[5, 6] = 1.5, np.inf
    Image.fromarray(values).save(tmp_path / "f.tif")
    rgb = read_picture(tmp_path / "f.tif").rgb
    assert rgb.mean() == pytest.approx(127.5, abs=2)
    assert (rgb[3, 4] == 255).all()
    assert (rgb[5, 6] == 255).all()


def test_a_cameras_raw_file_is_refused(tmp_path: Path) -> None:
    """A TIFF that begins with a preview of a later picture is not upscaled in its place."""
    Image.fromarray(gradient()).save(tmp_path / "raw.dng", "TIFF", tiffinfo={254: 1})
    with pytest.raises(SourceError, match=r"raw\.dng.*preview.*Develop"):
        read_picture(tmp_path / "raw.dng")


def test_no_program_is_run_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EPS file, a program that Pillow has Ghostscript run, is refused without that."""
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch '{tmp_path}/was run'\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=":")
    Image.fromarray(gradient()).save(tmp_path / "p.eps")
    (tmp_path / "p.eps").rename(tmp_path / "p.png")
    with pytest.raises(SourceError, match="not a picture in a format known here"):
        read_picture(tmp_path / "p.png")
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("suffix", [".tga", ".jp2"])
def test_formats_that_are_only_read(tmp_path: Path, suffix: str) -> None:
    """TGA and JPEG 2000 files are read, the latter within two grey levels."""
    Image.fromarray(gradient(32, 32)).save(tmp_path / ("p" + suffix))
    back = read_image(tmp_path / ("p" + suffix)).astype(int)
    assert np.abs(back - gradient(32, 32)).max() <= 2


def test_a_pipe_by_its_name(tmp_path: Path) -> None:
    """A named pipe, which cannot be searched in, is read as a file is."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    data = encode_picture(Picture(gradient()))
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    picture = read_picture(pipe)
    writer.join()
    assert np.array_equal(picture.rgb, gradient())


def test_more_than_a_pipe_may_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes through a pipe and does not end is an error once it is too much."""
    monkeypatch.setattr("idrn_trt.images.MOST_PIPE_BYTES", 1 << 20)
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(SourceError, match=r"pipe\.png.*more than 1 MiB"):
        read_picture(pipe)
    writer.join()


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    """16-bit grey values are scaled to 8 bits, not clipped."""
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1", "LA"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    """Greyscale, palette, CMYK and alpha pictures come out as RGB of the same size."""
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.fromarray(gradient()).convert(mode).save(tmp_path / ("m" + suffix))
    rgb = read_image(tmp_path / ("m" + suffix))
    assert rgb.shape == (20, 30, 3)
    assert rgb.dtype == np.uint8


def test_pixel_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    """A header that promises more pixels than allowed is refused; its body is never looked at."""
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(SourceError, match=r"60000x60000 = 3,600,000,000 pixels.*--max-pixels"):
        read_image(tmp_path / "bomb.png")


def test_pixel_limit_can_be_raised(tmp_path: Path) -> None:
    """The limit is the caller's: 600 pixels are too many for 599 and fine for 600."""
    write_image(tmp_path / "p.png", gradient())
    with pytest.raises(SourceError, match="limit of 599"):
        read_image(tmp_path / "p.png", max_pixels=599)
    assert read_image(tmp_path / "p.png", max_pixels=600).shape == (20, 30, 3)


def test_an_icon_is_refused(tmp_path: Path) -> None:
    """An ICO file may say 16x16 and hold a picture of any size, decoded before that is known: refused."""
    png = encode_picture(Picture(gradient()))
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(png), 22)
    (tmp_path / "p.png").write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + png)
    with pytest.raises(SourceError, match="not a picture in a format known here"):
        read_image(tmp_path / "p.png")


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"not a picture at all", "not a picture"), (b"\x89PNG\r\n\x1a\n", "picture")],
    ids=["empty", "text", "signature-only"],
)
def test_bad_files_give_one_line(tmp_path: Path, content: bytes, word: str) -> None:
    """Empty files and files of another kind end in a SourceError of one line that names the file."""
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=word) as caught:
        read_image(path)
    assert "bad.png" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    """A picture file cut off at any of several places is an error, never a half grey picture."""
    whole = tmp_path / ("whole" + suffix)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_image(whole, noise)
    data = whole.read_bytes()
    for share in (0.02, 0.3, 0.9):
        cut = tmp_path / ("cut" + suffix)
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(SourceError):
            read_image(cut)


def test_random_damage_never_escapes(tmp_path: Path) -> None:
    """Bytes flipped anywhere give a picture or a SourceError, and no other exception."""
    rng = np.random.default_rng(1)
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        path = tmp_path / ("d" + suffix)
        write_image(path, gradient())
        original = bytearray(path.read_bytes())
        for _ in range(60):
            damaged = bytearray(original)
            for place in rng.integers(0, len(damaged), 4):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            with contextlib.suppress(SourceError):
                assert read_image(path, max_pixels=10_000).ndim == 3


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named, with the system's reason."""
    with pytest.raises(SourceError, match=r"gone\.png.*no such file"):
        read_image(tmp_path / "gone.png")


def test_a_full_disk_leaves_the_older_file(tmp_path: Path) -> None:
    """Where no more bytes can be written, the older file stays whole and nothing else is left."""
    path = tmp_path / "p.png"
    write_image(path, gradient())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(SinkError, match=r"cannot write picture .*p\.png"):
            write_image(path, gradient()[::-1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    """A folder that has the target's name is reported, and no temporary file is left."""
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(SinkError, match=r"taken\.png"):
        write_image(tmp_path / "taken.png", gradient())
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]


def test_unknown_ending(tmp_path: Path) -> None:
    """A name that no encoder knows is a usage error that lists the endings."""
    with pytest.raises(OptionError, match=r"\.png"):
        write_image(tmp_path / "picture.xyz", gradient())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_alpha_and_profile_are_kept(tmp_path: Path, suffix: str) -> None:
    """Transparency and colour profile go through reading and writing, where the format holds them."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = gradient()[:, :, 0]
    path = tmp_path / ("p" + suffix)
    assert write_picture(path, Picture(gradient(), alpha, profile)) == ()
    back = read_picture(path)
    assert back.alpha is not None
    assert np.abs(back.alpha.astype(int) - alpha).max() <= (0 if suffix in {".png", ".tif"} else 24)
    assert back.profile == profile
    assert back.notes == ()


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    """JPEG drops transparency and BMP also the profile, and both say so."""
    picture = Picture(gradient(), gradient()[:, :, 0], b"profile")
    assert [x.split()[0] for x in write_picture(tmp_path / "p.jpg", picture)] == ["transparency,"]
    assert len(write_picture(tmp_path / "p.bmp", picture)) == 2
    assert read_picture(tmp_path / "p.jpg").alpha is None


def test_a_grey_profile_is_not_given_to_a_colour_file(tmp_path: Path) -> None:
    """WebP has no greyscale: a profile of greyscale would be wrong in it, so it stays out; PNG keeps it."""
    profile = bytes(16) + b"GRAY" + bytes(108)
    picture = Picture(np.zeros((8, 8, 3), np.uint8), profile=profile, grey=True)
    (lost,) = write_picture(tmp_path / "p.webp", picture)
    assert "of greyscale" in lost
    assert read_picture(tmp_path / "p.webp").profile is None
    assert write_picture(tmp_path / "p.png", picture) == ()
    assert read_picture(tmp_path / "p.png").profile == profile


@pytest.mark.parametrize(("suffix", "most"), [(".jpg", "65500"), (".webp", "16383")])
def test_larger_than_the_format_holds(tmp_path: Path, suffix: str, most: str) -> None:
    """A picture longer than JPEG or WebP files may be is an error that says how long they may be."""
    with pytest.raises(SinkError, match=f"70000x1 .*at most {most} a side: choose") as caught:
        write_image(tmp_path / ("p" + suffix), np.zeros((1, 70000, 3), np.uint8))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_stays_grey(tmp_path: Path, mode: str) -> None:
    """A greyscale picture's result is a greyscale file again."""
    Image.fromarray(gradient()).convert(mode).save(tmp_path / "g.png")
    picture = read_picture(tmp_path / "g.png")
    assert picture.grey
    write_picture(tmp_path / "out.png", picture)
    with Image.open(tmp_path / "out.png") as out:
        assert out.mode == mode.replace("1", "L")


def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(tmp_path: Path) -> None:
    """An animated GIF gives its first frame and a note with the number of frames."""
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 120, 240)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.gif")
    assert int(picture.rgb.max()) == 0
    assert picture.notes == ("only the first of 3 frames is taken",)


def test_deep_and_cmyk_pictures_say_what_they_lost(tmp_path: Path) -> None:
    """16 bits and CMYK come down to 8-bit RGB with a note each."""
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(gradient()).convert("CMYK").save(tmp_path / "c.tif")
    assert read_picture(tmp_path / "deep.png").notes == ("16 bits a channel became 8",)
    assert "CMYK" in read_picture(tmp_path / "c.tif").notes[0]


def test_bytes_are_read_as_files_are() -> None:
    """A picture's bytes give what its file gives, and damaged ones an error that carries the name."""
    assert np.array_equal(parse_picture(encode_picture(Picture(gradient())), "x").rgb, gradient())
    with pytest.raises(SourceError, match="standard input: the file is empty"):
        parse_picture(b"", "standard input")
