"""A stream inside an asyncio program. Usage: `python examples/asyncio_stream.py SOURCE [SECONDS]`.

Waiting for the next result takes a thread of the loop's own pool; everything else goes on meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

import idrn_trt
from idrn_trt import IdrnError, StreamOptions, StreamResult


async def results(stream: idrn_trt.Stream) -> AsyncIterator[StreamResult]:
    """What iterating over the stream gives, without blocking the loop."""
    iterator = iter(stream)
    try:
        while (result := await asyncio.to_thread(next, iterator, None)) is not None:
            yield result
    finally:
        stream.stop()


async def watch(source: str, seconds: float) -> int:
    """Count frames and faces."""
    frames = faces = 0
    async for result in results(idrn_trt.stream(source, options=StreamOptions(duration_s=seconds))):
        frames, faces = frames + 1, faces + len(result.faces)
    print(f"{frames} frames, {faces} faces")
    return frames


def main() -> int:
    """Watch one source; an error is one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("seconds", type=float, nargs="?", default=10.0)
    args = parser.parse_args()
    try:
        asyncio.run(watch(args.source, args.seconds))
    except IdrnError as error:
        print(f"asyncio_stream: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
