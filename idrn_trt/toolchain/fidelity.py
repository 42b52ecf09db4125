"""How much of the float network's picture a quantised file keeps, image by image and layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from tqdm import tqdm

from idrn_trt.engines.openvino import core as shared_core
from idrn_trt.images import read_image
from idrn_trt.quality.metrics import psnr, psnr_y
from idrn_trt.quality.pairs import evaluation_pair
from idrn_trt.toolchain.calibrate import UInt8, observe, planes, session_of
from idrn_trt.toolchain.graph import INPUT, OUTPUT, Graph, layer_name

Float32 = npt.NDArray[np.float32]
Run = Callable[[UInt8], Float32]  # uint8 RGB (h, w, 3) -> float32 (1, 3, s*h, s*w)

# A layer's error is measured on this many pictures; it varies by tenths of a dB over them.
_LAYER_PICTURES = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture to measure on: its file's name, LR and HR as uint8 RGB."""

    file: str
    lr: UInt8
    hr: UInt8


@dataclass(frozen=True, slots=True)
class Image:
    """One picture's figures: PSNR against the float network, PSNR-Y lost and gained brightness.

    psnr_db: over float values times 255. psnr_y_drop_db: float's PSNR-Y to the truth less the quantised
    one's, both on uint8 pictures. shift_levels: mean of quantised less float, grey levels of 255.
    """

    file: str
    psnr_db: float
    psnr_y_drop_db: float
    shift_levels: float


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The figures of one file in one engine over all pictures, and their summary."""

    engine: str
    images: tuple[Image, ...]

    @property
    def drop_db(self) -> float:
        """Mean PSNR-Y lost."""
        return float(np.mean([i.psnr_y_drop_db for i in self.images]))

    @property
    def worst_decile_db(self) -> float:
        """PSNR-Y lost on the picture that a tenth of the pictures lose more than."""
        return float(np.quantile([i.psnr_y_drop_db for i in self.images], 0.9))

    @property
    def shift_levels(self) -> float:
        """Mean brightness shift in grey levels."""
        return float(np.mean([i.shift_levels for i in self.images]))

    @property
    def psnr_db(self) -> float:
        """Mean PSNR against the float network."""
        return float(np.mean([i.psnr_db for i in self.images]))


def read_pairs(files: Sequence[Path], scale: int, lr_px: int) -> list[Pair]:
    """Whole face crops as pairs (paper 3.1). Raises SourceError for a file that cannot be read."""
    return [
        Pair(f.name, *evaluation_pair(read_image(f), scale, lr_px))
        for f in tqdm(files, desc="reading crops", leave=False, disable=None)
    ]


def run_onnxruntime(model: onnx.ModelProto) -> Run:
    """The model in ONNX Runtime without graph optimisation: each node as ONNX defines it."""
    session = session_of(model)

    def run(picture: UInt8) -> Float32:
        sr: Float32 = session.run([OUTPUT], {INPUT: planes(picture)})[0]
        return sr

    return run


def run_openvino(model: onnx.ModelProto) -> Run:
    """The model in OpenVINO on the CPU with float parts in float32."""
    core = shared_core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
    )
    return lambda picture: np.array(compiled({0: planes(picture)})[0])


def fidelity(engine: str, float_run: Run, run: Run, pairs: Sequence[Pair]) -> Fidelity:
    """Compare `run` with `float_run` on every pair."""
    watched = tqdm(pairs, desc=f"measuring in {engine}", leave=False, disable=None)
    return Fidelity(engine, tuple(_image(p, float_run(p.lr), run(p.lr)) for p in watched))


def agreement_db(first: Run, second: Run, pictures: Iterable[UInt8]) -> float:
    """The lowest PSNR, over the pictures, between two engines' outputs clipped to [0, 1]."""
    return min(psnr(_levels(first(p)), _levels(second(p))) for p in pictures)


def layer_sqnr_db(
    model: onnx.ModelProto, quantised: onnx.ModelProto, pictures: Sequence[UInt8]
) -> dict[str, float]:
    """Signal over quantisation noise of each convolution's output, before ReLU, in dB.

    The noise includes what earlier layers add. model has its channels in quantised's order.
    """
    few = pictures[:: max(1, len(pictures) // _LAYER_PICTURES)][:_LAYER_PICTURES]
    ends = [{layer_name(c): str(c.output[0]) for c in Graph.of(m).convolutions()}
            for m in (model, quantised)]  # fmt: skip
    signal, noise = dict.fromkeys(ends[0], 0.0), dict.fromkeys(ends[0], 0.0)
    streams = [observe(m, list(e.values()), few, "layers")
               for m, e in zip((model, quantised), ends, strict=True)]  # fmt: skip
    for wanted, got in zip(*streams, strict=True):
        for name in signal:
            a = wanted[ends[0][name]].astype(np.float64)
            signal[name] += float((a**2).sum())
            noise[name] += float(((a - got[ends[1][name]]) ** 2).sum())
    return {n: 10 * float(np.log10(signal[n] / max(noise[n], 1e-30))) for n in signal}


def _image(pair: Pair, wanted: Float32, got: Float32) -> Image:
    drop = psnr_y(_picture(wanted), pair.hr) - psnr_y(_picture(got), pair.hr)
    shift = float(np.mean(got.astype(np.float64) - wanted)) * 255
    return Image(pair.file, psnr(wanted * 255, got * 255), drop, shift)


def _levels(sr: Float32) -> Float32:
    return np.clip(sr, 0, 1) * np.float32(255)


def _picture(sr: Float32) -> UInt8:
    return np.rint(_levels(sr[0]).transpose(1, 2, 0)).astype(np.uint8)
