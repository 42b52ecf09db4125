"""The face detector's own toolchain: from pictures with boxes to its model files."""
