"""What `make run` adds to the command line: a sample picture, and a comparison to look at.

Usage: `python examples/demo.py sample OUT.png`, `python examples/demo.py compare PHOTO OUT.png`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from idrn_trt import FaceResult, IdrnError, Upscaler
from idrn_trt.images import read_image, write_image
from idrn_trt.video.find import find_inputs

SAMPLE_PX = 160  # of 512: the face, 95 px wide in the original, becomes 30 px wide
MOST_FACES = 6
GAP_PX = 4
TITLE_PX = 18


def sample(target: Path) -> None:
    """Write the astronaut photograph (NASA, public domain), shrunk until its face is small.

    scikit-image carries it inside its wheel: nothing is downloaded.
    """
    from skimage.data import astronaut

    small = Image.fromarray(astronaut()).resize((SAMPLE_PX, SAMPLE_PX), Image.Resampling.BICUBIC)
    write_image(target, np.asarray(small))


def compare(source: str, target: Path) -> None:
    """Write the first faces of a picture or folder: before, bicubic and ours, side by side."""
    faces = first_faces(source)
    if not faces:
        print(f"no small face found in {source}: no comparison written")
        return
    write_image(target, np.asarray(sheet(faces)))
    print(f"before / bicubic / ours for {len(faces)} of the faces: {target}")


def first_faces(source: str) -> list[FaceResult]:
    """Up to MOST_FACES upscaled faces."""
    faces: list[FaceResult] = []
    with Upscaler() as upscaler:
        pictures = [found.source.path for found in find_inputs([source]) if not found.video]
        for path in pictures:
            if len(faces) < MOST_FACES:
                faces += upscaler.upscale(read_image(path)).faces
    return faces[:MOST_FACES]


def sheet(faces: list[FaceResult]) -> Image.Image:
    """One row a face under the three titles; bicubic is Pillow's, like the figures in the README."""
    down, right = (max(face.sr.shape[axis] for face in faces) + GAP_PX for axis in (0, 1))
    page = Image.new("RGB", (3 * right - GAP_PX, TITLE_PX + len(faces) * down - GAP_PX), "white")
    draw = ImageDraw.Draw(page)
    for column, title in enumerate(("before", "bicubic", "ours")):
        draw.text((column * right + GAP_PX, GAP_PX), title, fill="black")
    for row, face in enumerate(faces):
        ours = Image.fromarray(face.sr)
        before = Image.fromarray(face.lr)
        pictures = (
            before.resize(ours.size, Image.Resampling.NEAREST),
            before.resize(ours.size, Image.Resampling.BICUBIC),
            ours,
        )
        for column, picture in enumerate(pictures):
            page.paste(picture, (column * right, TITLE_PX + row * down))
    return page


def main() -> int:
    """Run one of the two commands; an error is one line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("sample", help="write the sample picture")
    command.add_argument("target", type=Path)
    command = commands.add_parser("compare", help="write before / bicubic / ours")
    command.add_argument("source", help="picture or folder")
    command.add_argument("target", type=Path)
    args = parser.parse_args()
    try:
        if args.command == "sample":
            sample(args.target)
        else:
            compare(args.source, args.target)
    except IdrnError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
