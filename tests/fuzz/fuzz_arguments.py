"""Command lines of any kind: exit code 0, 1 or 2, and never a traceback."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import sys
from pathlib import Path

import fuzz_images
import fuzz_videos
from hypothesis import strategies as st

from idrn_trt.cli import build_parser, main

# These are run; of the others, which train, measure or build for minutes, the arguments are parsed.
_RUN = frozenset({"upscale", "models", "compare"})
# Nothing outside of the scratch folder can be named by these: no text has a "/".
_TEXT = st.text(st.characters(exclude_characters="/", exclude_categories=()), max_size=10)
_WORDS = (
    "", "-", "--", ".", "*", "[", "p.png", "q.png", "gone.png", "sub", "clip.avi", "r.json", "out",
    "out.webp", "out.mkv", "r.jpg", "text.txt", "0", "1", "2", "-1", "24", "1e9", "nan", "inf",
    "99999999999999999999", "64x48", "0x0", "1x1", "99999x99999", "auto", "frame", "faces", "side-by-side",
    "haar", "yunet", "bicubic", "h264", "ffv1", "int8", "0:01", "\n", "\udcff.png", "-x", "--version", "-h",
    "e\u0301", "\x1b[31m",
)  # fmt: skip


@functools.lru_cache(maxsize=1)
def _flags() -> dict[str, tuple[str, ...]]:
    """Verb -> its flags, from the parser itself."""
    verbs = _subparsers(build_parser())
    found = {verb: _options(parser) for verb, parser in verbs.items()}
    for verb, parser in verbs.items():
        found.update({f"{verb} {name}": _options(p) for name, p in _subparsers(parser).items()})
    return found


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


def _options(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    return tuple(text for action in parser._actions for text in action.option_strings)


@st.composite
def cases(draw: st.DrawFn) -> list[str]:
    """A verb, mostly one that is run, then flags and values in any order."""
    verbs = ("upscale", "upscale", "upscale", "bench compare", *_flags())
    verb = draw(st.sampled_from(verbs))
    value = st.one_of(st.sampled_from(_WORDS), _TEXT)
    flags = st.sampled_from(_flags()[verb])
    piece = st.one_of(
        value.map(lambda v: [v]),
        st.tuples(flags, value).map(list),
        flags.map(lambda f: [f]),
        st.tuples(flags, value).map(lambda pair: ["=".join(pair)]),
    )
    pieces = draw(st.lists(piece, max_size=6))
    start = draw(st.sampled_from((["p.png"], ["sub"], ["clip.avi"], ["-"], [])))
    return [*verb.split(), *start, *(word for part in pieces for word in part)]


@functools.lru_cache(maxsize=1)
def _folder() -> Path:
    """A folder two deep, so that ".." is ours as well, with something of every kind in it."""
    folder = fuzz_videos.scratch() / "arguments" / "here"
    (folder / "sub").mkdir(parents=True)
    picture = fuzz_images.seeds()[0]
    for name in ("p.png", "q.png", "sub/p.png", "sub/two\nlines.png"):
        (folder / name).write_bytes(picture)
    (folder / "clip.avi").write_bytes(fuzz_videos.seeds()[2])
    (folder / "text.txt").write_text("text")
    return folder


def check(arguments: list[str]) -> bool:
    """Run it in that folder on the bicubic engine, or parse it; True for exit code 0."""
    where = Path.cwd()
    streams = sys.stdin, sys.stdout, sys.stderr
    os.chdir(_folder())
    sys.stdin = io.TextIOWrapper(io.BytesIO(fuzz_images.seeds()[0]))
    sys.stdout = sys.stderr = io.StringIO()
    try:
        code = _exit_code(arguments)
        said = sys.stderr.getvalue()
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        os.chdir(where)
    assert code in {0, 1, 2}, code
    assert "Traceback" not in said
    assert said or code == 0, "it failed without a word"
    return code == 0


def _exit_code(arguments: list[str]) -> object:
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(BrokenPipeError))
        try:
            if not _RUN & set(arguments[:2]):
                build_parser().parse_args(arguments)
                return 0
            if arguments[0] == "upscale":
                # "--" would make the engine an input.
                arguments = [*(a for a in arguments if a != "--"), "--engine", "bicubic"]
                arguments = [a for a in arguments if a != "--traceback"]
            return main(arguments)
        except SystemExit as done:
            return 0 if done.code is None else done.code
    return None
