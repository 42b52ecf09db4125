"""`python -m idrn_trt` is the command line, the same as `idrn-trt`."""

from __future__ import annotations

import sys

from idrn_trt.cli import main

if __name__ == "__main__":
    sys.exit(main())
