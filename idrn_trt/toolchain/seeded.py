"""Models for the paper's networks that are not shipped: seeded weights, so that they can be timed.

Latency does not depend on the values of weights. These files make no face clearer and are used for
nothing else; a report marks them.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import onnx
import torch

from idrn_trt.bench.cases import TENSORRT
from idrn_trt.bench.paper import paper_rows
from idrn_trt.bench.pictures import picture
from idrn_trt.engines import describe_engines
from idrn_trt.errors import ModelError
from idrn_trt.toolchain.calibrate import FEWEST_CROPS, Crop, calibrate
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import write_model
from idrn_trt.toolchain.half import half
from idrn_trt.toolchain.net import IDRN, NetConfig
from idrn_trt.toolchain.package import file_entry, record_files, write_manifest
from idrn_trt.toolchain.qdq import int8_cpu, int8_trt
from idrn_trt.toolchain.quantise import Emit, Quantised
from idrn_trt.toolchain.table import Plan
from idrn_trt.zoo import FORMAT_VERSION, Model, find_model

_SEED = 0
_SIDE_PX = 32


def paper_models(folder: Path, engines: Collection[str] = ()) -> Iterator[Model]:
    """Each network of Tables 1 and 2 once: the zoo's, or one made in `folder`.

    engines: those to be measured, none means all. Where TensorRT is one of them and usable here, every
    model has the files that it reads.
    """
    wanted = not engines or TENSORRT in engines
    tensorrt = wanted and any(s.name == TENSORRT and s.usable for s in describe_engines())
    for network in dict.fromkeys(row.network for row in paper_rows()):
        try:
            model = find_model(f"idrn-{network}")
        except ModelError:
            model = seeded_model(network, folder)
        yield with_tensorrt_files(model, folder) if tensorrt else model


def with_tensorrt_files(model: Model, folder: Path) -> Model:
    """The model, or a copy of it below `folder` with the fp16 and int8-trt files that it lacks.

    The ranges of such an int8-trt file are of seeded pictures: for timing, not for faces.
    """
    missing = [kind for kind in ("fp16", "int8-trt") if not model.has(kind)]
    if not missing:
        return model
    place = folder / "tensorrt" / model.name
    shutil.copytree(model.folder, place)
    source = onnx.load_model_from_string(model.read("fp32"))
    for kind in missing:
        path = place / f"model.{kind}.onnx"
        write_model(half(source) if kind == "fp16" else _quantised(source, int8_trt), path)
        record_files(place, [Quantised(kind, path, 0, "")])
    return find_model(place)


def seeded_model(network: str, folder: Path) -> Model:
    """A model folder below `folder` with an fp32 and an int8-cpu file."""
    torch.manual_seed(_SEED)
    config = NetConfig.parse(network)
    place = folder / f"seeded-{network}"
    model = export_onnx(IDRN(config))
    write_model(model, place / "model.onnx")
    write_model(_quantised(model, int8_cpu), place / "model.int8-cpu.onnx")
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": f"seeded-{network}",
        "scale": config.scale,
        "network": config.to_dict(),
        "recipe": {"seeded": True},
        "files": {
            "fp32": file_entry(place / "model.onnx"),
            "int8-cpu": file_entry(place / "model.int8-cpu.onnx", parents=["fp32"]),
        },
    }
    write_manifest(manifest, place)
    return find_model(place)


def _quantised(model: onnx.ModelProto, emit: Emit) -> onnx.ModelProto:
    """The int8 file with ranges over seeded pictures: for timing, where real faces would change nothing."""
    crops = [Crop(picture(_SIDE_PX, _SIDE_PX, seed), "0" * 64) for seed in range(FEWEST_CROPS)]
    return emit(model, calibrate(model, crops), Plan())
