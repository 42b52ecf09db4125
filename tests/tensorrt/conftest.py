"""The helpers of these tests lie in real_api/, which is no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "real_api"))
