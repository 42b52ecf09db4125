"""Damaged bytes and odd options: an error of ours or a clip, never anything else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import av
import pytest
from clips import Clip, picture

from idrn_trt.errors import IdrnError, OptionError
from idrn_trt.upscaler import Upscaler
from idrn_trt.video.find import is_video
from idrn_trt.video.options import VideoOptions
from idrn_trt.video.pipeline import upscale_clip

# Each in a process of its own, so that a crash of a native decoder is seen and costs only that one.
# Raised for a long run: IDRN_FUZZ_ROUNDS=2000 pytest tests/video/test_fuzz.py
ROUNDS = int(os.environ.get("IDRN_FUZZ_ROUNDS", "25"))
SEED = int(os.environ.get("IDRN_FUZZ_SEED", "7"))
SECONDS_A_CLIP = 20
SEEDS = {
    "mkv": {"codec": "libx264", "audio": "aac", "subtitles": "subrip"},
    "mp4": {"codec": "libx264", "audio": "aac", "container_options": {"movflags": "+faststart"}},
    "ts": {"codec": "mpeg2video", "audio": "mp2"},
    "avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "webm": {"codec": "libvpx-vp9", "audio": "libopus"},
    "mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, a stretch removed, doubled or zeroed, or the end cut off."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 3, 10, 100))):
        out[rng.randrange(len(out))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    start = rng.randrange(len(out))
    stretch = slice(start, start + rng.choice((1, 4, 50, 1000)))
    kind = rng.randrange(6)
    if kind == 0:
        del out[stretch]
    elif kind == 1:
        out[stretch.start : stretch.start] = out[stretch]
    elif kind == 2:
        out[stretch] = bytes(len(out[stretch]))
    elif kind == 3:
        del out[start + 1 :]
    return bytes(out)


def run(seed_file: Path, rounds: int, seed: int) -> dict[str, int]:
    """Upscale so many mutations of a file; counts of what became of them."""
    rng = random.Random(seed)  # noqa: S311 (damage, not secrets)
    data, counts = seed_file.read_bytes(), {"written": 0, "refused": 0}
    source, target = (
        seed_file.with_name("fuzzed" + seed_file.suffix),
        seed_file.with_name("out.mkv"),
    )
    with Upscaler(engine="bicubic", frame_scale=1) as upscaler:
        for _ in range(rounds):
            source.write_bytes(mutated(data, rng))
            is_video(source)
            target.unlink(missing_ok=True)
            try:
                report = upscale_clip(
                    source, target, upscaler,
                    VideoOptions(max_pixels=100_000, preset="ultrafast", start_s=rng.choice((0, 0.1))),
                )  # fmt: skip
            except IdrnError:
                counts["refused"] += 1
                assert not target.exists()
                continue
            counts["written"] += 1
            assert frames_in(target) == report.frames > 0
    return counts


def frames_in(path: Path) -> int:
    """How many frames a file decodes to."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("ending", SEEDS)
def test_damaged_bytes(tmp_path: Path, ending: str) -> None:
    """Every mutation of a clip ends in a clip that reads back or in one of our errors; nothing crashes."""
    seed_file = tmp_path / f"seed.{ending}"
    Clip(seed_file, [picture(k) for k in range(12)], **SEEDS[ending]).make()  # type: ignore[arg-type]
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}\n"
        "import json; from pathlib import Path; from test_fuzz import run\n"
        f"print(json.dumps(run(Path({str(seed_file)!r}), {ROUNDS}, {SEED})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        timeout=60 + SECONDS_A_CLIP * ROUNDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    counts = json.loads(done.stdout)
    assert counts["written"] + counts["refused"] == ROUNDS
    assert counts["written"] > 0


def test_options_of_any_value() -> None:
    """Random values are taken or refused with an OptionError; a refused one is named in it."""
    rng = random.Random(3)  # noqa: S311 (as above)
    values = (0, 1, -1, 2**70, 0.5, -0.0, float("inf"), float("nan"), 1e308)
    for _ in range(500):
        wishes = {name: rng.choice(values) for name in ("start_s", "duration_s", "max_pixels")}
        try:
            options = VideoOptions(**wishes)  # type: ignore[arg-type]
        except OptionError as error:
            assert "got" in str(error)  # noqa: PT017 (most are refused; those taken are checked below)
        else:
            assert options.start_s >= 0
            assert options.duration_s is not None
            assert options.duration_s > 0
