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

# The sides that faces are cut at (faces/window.py), and how many windows of one side are run at once.
WINDOWS_PX = (32, 48, 64, 80, 96, 112, 128)
BATCHES = (1, 4, 16)
# Builder levels of TensorRT; 3 is its own default, 5 tries the most kernels and takes the longest.
LEVELS = range(6)
_WINDOW_PX = range(8, 1025)
_BATCH = range(1, 257)


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """One shape that a plan takes: `batch` square windows of side window_px.

    Static: TensorRT picks its kernels for this shape alone (minimum = optimum = maximum). A call with
    fewer windows runs the smallest profile that holds them.
    """

    window_px: int
    batch: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input's shape, uint8 NHWC."""
        return (self.batch, self.window_px, self.window_px, 3)

    def __str__(self) -> str:
        return f"{self.batch} windows of {self.window_px} px"


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


def make_profiles(
    windows_px: Iterable[int] = WINDOWS_PX, batches: Iterable[int] = BATCHES
) -> tuple[Profile, ...]:
    """Every window with every batch, sorted; a profile's place is its index in the plan.

    Raises OptionError for none, or a size outside 8..1024 px or a batch outside 1..256.
    """
    windows = _checked("windows", windows_px, _WINDOW_PX)
    counts = _checked("batches", batches, _BATCH)
    return tuple(Profile(window, count) for window in windows for count in counts)


def choose(profiles: Sequence[Profile], window_px: int, count: int) -> int:
    """The index of the profile for `count` windows of that side: the smallest batch that holds them.

    Raises EngineMismatch, which names what the plan takes.
    """
    fitting = [
        (profile.batch, index)
        for index, profile in enumerate(profiles)
        if profile.window_px == window_px and profile.batch >= count
    ]
    if count < 1 or not fitting:
        sides = ", ".join(str(side) for side in sorted({p.window_px for p in profiles}))
        raise EngineMismatch(
            f"the TensorRT plan takes 1 to {max(p.batch for p in profiles)} windows of {sides} px "
            f"a side, got {count} of {window_px}: build one for it with "
            f"`idrn-trt build --windows {window_px} --batches {max(count, 1)}`"
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


def _checked(what: str, values: Iterable[int], allowed: range) -> list[int]:
    kept = sorted(set(values))
    if not kept or any(type(value) is not int or value not in allowed for value in kept):
        raise OptionError(
            f"build: {what} must be whole numbers from {allowed[0]} to {allowed[-1]}, got {kept!r}"
        )
    return kept


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
        pairs = make_profiles((p.window_px for p in profiles), (p.batch for p in profiles))
        return BuildOptions(**{**facts, "profiles": tuple(sorted(set(pairs) & set(profiles)))})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return BuildOptions()  # nothing chosen, or by a release with other options


def _choice(onnx_sha256: str, precision: str) -> Path | None:
    folder = cache_folder("plans")
    return folder and folder / f"{precision}-{onnx_sha256[:32]}.json"
