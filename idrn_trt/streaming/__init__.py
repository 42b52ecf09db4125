"""Streams: cameras and files through the upscaler to sinks, in real time and for weeks (see stream)."""
