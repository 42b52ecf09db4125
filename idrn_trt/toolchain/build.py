"""`idrn-trt build`: a model's plan is made ahead of its first use, and looked at layer by layer.

The building itself is engines/_trt_build.py's, for an engine that finds no plan builds one too; here
neither torch nor onnx is needed either. Never run with TensorRT by this project (see there).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from idrn_trt.engines._onnx_file import load_onnx
from idrn_trt.engines._plans import Gpu, open_plan
from idrn_trt.engines._trt_build import build_plan, inspect_plan, plan_key
from idrn_trt.engines._trt_profiles import BuildOptions, choose_options
from idrn_trt.engines._trt_watch import Progress
from idrn_trt.errors import ModelError, OptionError
from idrn_trt.toolchain.layers import Layers, read_layers
from idrn_trt.types import Precision
from idrn_trt.zoo import Model

# Precision -> the model's file that is compiled: TensorRT computes in the types that it reads.
FILES: dict[str, str] = {"fp16": "fp16", "int8": "int8-trt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A plan in the cache, ready for the engine.

    notes: why it was built, and what else there is to say; empty for a plan that was there already.
    layers: of each profile, in the order of the options; none where TensorRT's inspector was not understood.
    """

    precision: str
    tensorrt: str
    gpu: Gpu
    notes: list[str]
    layers: list[Layers]


def build(
    model: Model,
    precision: Precision,
    options: BuildOptions,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Built:
    """The plan of a model in the user's cache, built where it is not there yet.

    The model's engine is opened with these options from now on. Raises OptionError for a precision
    without a plan, ModelError (no file of that kind, or TensorRT does not take it), BackendUnavailable
    or DeviceError.
    """
    if precision not in FILES:
        raise OptionError(f"build: precision must be {' or '.join(FILES)}, got {precision!r}")
    file = load_onnx(model, (FILES[precision],))
    from idrn_trt.engines._cuda import device

    gpu = device().gpu()
    key = plan_key(file.sha256, precision, gpu, options)

    def look(plan: bytes) -> str | None:
        with device().current():
            return inspect_plan(plan)

    text, notes = open_plan(
        key,
        build=lambda: build_plan(file.data, options=options, progress=progress, say=say),
        load=look,
        say=say,
    )
    if not choose_options(file.sha256, precision, options):
        notes.append("these options are not remembered: no cache folder of one's own")
    layers, remarks = _looked_at(text, precision, options)
    return Built(
        precision=precision, tensorrt=key.tensorrt, gpu=gpu, notes=notes + remarks, layers=layers
    )  # fmt: skip


def document(built: Built, options: BuildOptions) -> dict[str, Any]:
    """The same as JSON has it: what was built, for which profiles, and the layers of each."""
    facts = dataclasses.asdict(built)
    facts["profiles"] = [dataclasses.asdict(profile) for profile in options.profiles]
    return facts


def _looked_at(
    text: str, precision: Precision, options: BuildOptions
) -> tuple[list[Layers], list[str]]:
    """The layers of each profile, and what is to be said of them.

    A plan is no worse for an inspector whose answer is not understood: then there are no layers.
    """
    try:
        layers = read_layers(text, len(options.profiles))
    except ModelError as error:
        return [], [str(error)]
    return layers, [
        f"{profile}: {found.float_islands} float islands between int8 layers; fp16 may be as fast"
        for profile, found in zip(options.profiles, layers, strict=True)
        if precision == "int8" and found.float_islands
    ]
