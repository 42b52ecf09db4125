"""For processes of their own: loads the stand-in driver before anything can ask for a real one.

Python imports this at its start where this folder is on PYTHONPATH.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import trt_state

DRIVER = trt_state.Driver(Path(os.environ["IDRN_STAND_IN_DRIVER"]))
