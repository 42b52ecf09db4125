"""Video files: read (reader), upscaled frame by frame (pipeline) and written (writer). PyAV throughout."""
