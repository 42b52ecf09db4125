"""What a TensorRT plan is built for: its profiles, and how it is built. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from idrn_trt.engines._cache import cache_folder
from idrn_trt.errors import EngineMismatch, OptionError, SinkError
from idrn_trt.files import write_text

# The shapes (h, w) that faces are cut at (faces/window.py), and how many windows of one are run at once.
WINDOW_SHAPES_PX = (
    (32, 32), (48, 40), (64, 48), (80, 64), (96, 72), (104, 80), (112, 88), (128, 96), (128, 128),
)  # fmt: skip
BATCHES = (1, 4, 16)
# Builder levels of TensorRT; 3 is its own default, 5 tries the most kernels and takes the longest.
LEVELS = range(6)
_SIDE_PX = range(8, 1025)
_BATCH = range(1, 257)


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """One shape that a plan takes: `batch` windows of that height and width.

    Static: TensorRT picks its kernels for this shape alone (minimum = optimum = maximum). A call with
    fewer windows runs the smallest profile that holds them.
    """

    height_px: int
    width_px: int
    batch: int

    @property
    def window(self) -> tuple[int, int]:
        """(h, w) of one window."""
        return (self.height_px, self.width_px)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input's shape, uint8 NHWC."""
        return (self.batch, *self.window, 3)

    def __str__(self) -> str:
        return f"{self.batch} windows of {size_text(self.window)} px"


@dataclass(frozen=True, slots=True)
class Picture:
    """One size, of the range that a detector's plan takes: one picture, of any sides in that range."""

    height_px: int
    width_px: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input's shape, uint8 NHWC."""
        return (1, self.height_px, self.width_px, 3)

    def __str__(self) -> str:
        return f"a picture of {self.width_px}x{self.height_px} px"


def size_text(window: tuple[int, int]) -> str:
    """A window (h, w) as the command line has it: WIDTHxHEIGHT."""
    height, width = window
    return f"{width}x{height}"


def make_profiles(
    windows: Iterable[tuple[int, int]] = WINDOW_SHAPES_PX, batches: Iterable[int] = BATCHES
) -> tuple[Profile, ...]:
    """Every window (h, w) with every batch, sorted; a profile's place is its index in the plan.

    Raises OptionError for none, a side outside 8..1024 px or a batch outside 1..256.
    """
    shapes, counts = sorted(set(windows)), sorted(set(batches))
    _check("sides of windows", [side for shape in shapes for side in shape], _SIDE_PX)
    _check("batches", counts, _BATCH)
    return tuple(Profile(*shape, count) for shape in shapes for count in counts)


def choose(profiles: Sequence[Profile], window: tuple[int, int], count: int) -> int:
    """The index of the profile for `count` windows (h, w): the smallest batch that holds them.

    Raises EngineMismatch, which names what the plan takes.
    """
    fitting = [
        (profile.batch, index)
        for index, profile in enumerate(profiles)
        if profile.window == window and profile.batch >= count
    ]
    if count < 1 or not fitting:
        sizes = ", ".join(size_text(taken) for taken in sorted({p.window for p in profiles}))
        raise EngineMismatch(
            f"the TensorRT plan takes 1 to {max(p.batch for p in profiles)} windows of {sizes} px, "
            f"got {count} of {size_text(window)}: build one for it with "
            f"`idrn-trt build --windows {size_text(window)} --batches {max(count, 1)}`"
        )
    return min(fitting)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How a plan is built. An engine builds with `chosen_options`, what `idrn-trt build` was last told.

    profiles: see `make_profiles`. workspace_mib: the most scratch memory a kernel may want, None for
    all of the GPU's. level: 0 (quick) to 5 (slow to build, perhaps faster to run).
    hardware_compatible: the plan also runs on other GPUs, Ampere and newer; it is slower, for kernels
    are then held to 48 KiB of shared memory. version_compatible: the plan also runs on later releases
    of TensorRT; it may be slower, and carries a runtime that executes host code when it is loaded.
    timing_cache: a file of kernel timings, read where it is there and written after the build.
    """

    profiles: tuple[Profile, ...] = field(default_factory=make_profiles)
    workspace_mib: int | None = None
    level: int = 3
    hardware_compatible: bool = False
    version_compatible: bool = False
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        if not self.profiles or len(set(self.profiles)) != len(self.profiles):
            raise OptionError(
                f"build: profiles must be at least one and all different, got {self.profiles!r}"
            )
        if self.level not in LEVELS:
            raise OptionError(f"build: level must be 0 to {LEVELS[-1]}, got {self.level!r}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise OptionError(f"build: workspace_mib must be at least 1, got {self.workspace_mib}")


def _check(what: str, values: Sequence[int], allowed: range) -> None:
    if not values or any(type(value) is not int or value not in allowed for value in values):
        raise OptionError(
            f"build: {what} must be whole numbers from {allowed[0]} to {allowed[-1]}, got {values!r}"
        )


def choose_options(onnx_sha256: str, precision: str, options: BuildOptions) -> bool:
    """Remember how this model's plans are to be built, for its engine. Whether there is a place for it."""
    path = _choice(onnx_sha256, precision)
    if path is None:
        return False
    facts = dataclasses.asdict(options)
    del facts["timing_cache"]  # where timings lie has no part in what the plan is
    try:
        write_text(path, json.dumps(facts))
    except SinkError:
        return False
    return True


def chosen_options(onnx_sha256: str, precision: str) -> BuildOptions:
    """How this model's plans are to be built: as last chosen, by default as BuildOptions() says."""
    path = _choice(onnx_sha256, precision)
    try:
        facts = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        profiles = [Profile(**profile) for profile in facts.pop("profiles")]
        pairs = make_profiles((p.window for p in profiles), (p.batch for p in profiles))
        return BuildOptions(**{**facts, "profiles": tuple(sorted(set(pairs) & set(profiles)))})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return BuildOptions()  # nothing chosen, or by a release with other options


def _choice(onnx_sha256: str, precision: str) -> Path | None:
    folder = cache_folder("plans")
    return folder and folder / f"{precision}-{onnx_sha256[:32]}.json"
