"""From pictures to model files: the only place in the package that imports torch and onnx."""

from __future__ import annotations

import os

# From 1.32 on ONNX Runtime's Linux builds report usage over the network unless told not to before the
# import; every module here that imports it is imported after this.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
