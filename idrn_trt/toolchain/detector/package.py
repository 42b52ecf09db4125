"""A detector's model folder from a checkpoint: its ONNX files, calibration table and manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx

from idrn_trt.errors import ModelError
from idrn_trt.faces.network import open_network
from idrn_trt.options import QuantiseOptions
from idrn_trt.toolchain.calibrate import Crop
from idrn_trt.toolchain.checkpoint import Checkpoint, load_checkpoint
from idrn_trt.toolchain.detector.network import FaceDetector, fused
from idrn_trt.toolchain.detector.pictures import read_pictures
from idrn_trt.toolchain.detector.scenes import Composer, Scene
from idrn_trt.toolchain.detector.validate import Answer, by_torch, measure
from idrn_trt.toolchain.export import export_onnx
from idrn_trt.toolchain.graph import OUTPUT, write_model
from idrn_trt.toolchain.package import file_entry, write_manifest
from idrn_trt.toolchain.quantise import emitted, measured_table
from idrn_trt.toolchain.table import write_table
from idrn_trt.zoo import FACE_DETECTION, FORMAT_VERSION

_SIDE_PX, _CALIBRATION_SIDE_PX = 320, 256
_CALIBRATION_SCENES, _CALIBRATION_SEED = 64, 5
_MEASURED_SCENES, _MEASURED_SEED = 150, 20190626
_CHECK_SHAPES = ((1, 3, 64, 64), (2, 3, 96, 160))
# Logits and logarithms reach about 10, where a picture's values reach 1.
_TOLERANCE = 1e-3


def package_detector(
    checkpoint: Path,
    folder: Path,
    *,
    name: str,
    scenes: Path,
    licence: str = "",
    say: Callable[[str], object],
) -> None:
    """Write `folder`: model.onnx, the quantised files, calib.json and manifest.json.

    scenes: the folder of pictures that it was trained on; the files are calibrated on scenes composed of
    its training pictures and measured on scenes of its validation pictures. `say` is given a line of news
    a step. Raises ModelError for a checkpoint that holds no detector, SourceError, SinkError.
    """
    state = load_checkpoint(checkpoint)
    net = state.module()
    if not isinstance(net, FaceDetector):
        raise ModelError(f"{str(checkpoint)!r} holds no face detector: leave --scenes out")
    net = fused(net)
    model = export_onnx(net, folded=False, shapes=_CHECK_SHAPES, tolerance=_TOLERANCE)
    path = folder / "model.onnx"
    write_model(model, path)
    training, validation = read_pictures(scenes)
    seen = _composed(
        Composer(training, _CALIBRATION_SIDE_PX, _CALIBRATION_SEED), _CALIBRATION_SCENES
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    options = QuantiseOptions(model=path, calib=folder)
    table = measured_table(model, digest, list(map(_crop, seen)), options, [])
    write_table(table, folder / "calib.json")
    models = emitted(model, table)
    files = {"fp32": file_entry(path)}
    for kind, made in models.items():
        write_model(made, folder / f"model.{kind}.onnx")
        files[kind] = file_entry(folder / f"model.{kind}.onnx", parents=["fp32"])
    watched = _composed(Composer(validation, _SIDE_PX, _MEASURED_SEED), _MEASURED_SCENES)
    quality = {
        "fp32": measure(by_torch(net), watched),
        "int8-cpu": measure(_by_openvino(models["int8-cpu"], name), watched),
    }
    write_manifest(_manifest(state, net, name, licence, files, quality), folder)
    for kind, figures in quality.items():
        say(f"{kind}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))


def _composed(composer: Composer, count: int) -> list[Scene]:
    return [composer(index) for index in range(count)]


def _crop(scene: Scene) -> Crop:
    return Crop(scene.pixels, hashlib.sha256(scene.pixels.tobytes()).hexdigest())


def _by_openvino(model: onnx.ModelProto, name: str) -> Answer:
    network = open_network(
        model.SerializeToString(deterministic=True), name, [OUTPUT], engine="openvino", unit=1 / 255
    )
    return lambda pixels: network.run(pixels)[0][0]


def _manifest(
    state: Checkpoint,
    net: FaceDetector,
    name: str,
    licence: str,
    files: dict[str, Any],
    quality: dict[str, Any],
) -> dict[str, Any]:
    recipe = dict(state.recipe)
    hard: Sequence[str] = recipe.pop("hard", [])
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "task": FACE_DETECTION,
        "network": net.config.to_dict(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "files": files,
        "data": [
            {
                "name": "pictures with faces, and backgrounds",
                "licence": licence,
                "sha256": recipe.pop("data_sha256", ""),
            }
        ],
        "recipe": {**recipe, "hard_negatives": len(hard), **state.progress},
        "quality": quality,
    }
