"""All fuzz targets, for the tests and for benchmarks/fuzz.py."""

from __future__ import annotations

import fuzz_arguments
import fuzz_geometry
import fuzz_images
import fuzz_json
import fuzz_options
import fuzz_videos
from fuzz_target import Target

TARGETS = {
    target.name: target
    for target in (
        Target("images", fuzz_images.cases, fuzz_images.check, 200),
        Target("videos", fuzz_videos.cases, fuzz_videos.check, 40),
        Target("geometry", fuzz_geometry.cases, fuzz_geometry.check, 100),
        Target("options", fuzz_options.cases, fuzz_options.check, 60),
        Target("json", fuzz_json.cases, fuzz_json.check, 150),
        Target("arguments", fuzz_arguments.cases, fuzz_arguments.check, 40),
    )
}
