"""A stream that calls a function. Usage: `python examples/callback_stream.py SOURCE [SECONDS]`.

`run` returns when the stream is over; the function is called meanwhile, in a thread of its own. With a camera
it is given the newest frame, so one that is slow misses frames but never falls behind.
"""

from __future__ import annotations

import argparse
import sys

import idrn_trt
from idrn_trt import IdrnError, StreamOptions, StreamResult


def tell(result: StreamResult) -> None:
    """Say where faces are; `face.sr` is each one's clear picture."""
    for face in result.faces:
        print(f"{float(result.time):.2f} s: face {face.track}, {face.box.w:.0f} px wide")


def main() -> int:
    """Watch one source; an error is one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("seconds", type=float, nargs="?", default=10.0)
    args = parser.parse_args()
    try:
        stats = idrn_trt.stream(args.source, options=StreamOptions(duration_s=args.seconds)).run(
            tell
        )
    except IdrnError as error:
        print(f"callback_stream: {error}", file=sys.stderr)
        return 1
    print(f"{stats.sources[0].results} frames, {stats.sources[0].faces} faces")
    return 0


if __name__ == "__main__":
    sys.exit(main())
