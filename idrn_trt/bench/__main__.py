"""`python -m idrn_trt.bench` is `idrn-trt bench`, with the same arguments."""

from __future__ import annotations

import sys

from idrn_trt.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
