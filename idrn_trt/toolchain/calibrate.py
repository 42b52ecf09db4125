"""Calibration: the range of every activation that may be quantised, over real face crops."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper
from tqdm import tqdm

from idrn_trt.errors import ModelError, SourceError
from idrn_trt.images import READ_SUFFIXES, read_image
from idrn_trt.quality.pairs import centre_square
from idrn_trt.toolchain.graph import INPUT, Array, Graph
from idrn_trt.toolchain.table import PERCENTILES, Range, Table

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

WINDOWS_PX = (32, 48, 64, 96)
FEWEST_CROPS = 32
MOST_CROPS = 300
# Bins of a magnitude histogram; after a doubling at least half of them are in use: 0.03 % of the range.
_BINS = 8192
# Operators that move values without changing them; a quantised tensor may pass through.
MOVERS = frozenset({"Concat", "DepthToSpace"})


@dataclass(frozen=True, slots=True)
class Crop:
    """A calibration picture: low-resolution uint8 RGB (h, w, 3), and the sha256 of its file."""

    pixels: UInt8
    sha256: str


def crop_files(folder: Path) -> list[Path]:
    """The calibration pictures below `folder`, in name order.

    With a manifest.csv in the folder or above it, those whose `calib` column is 1; otherwise every
    picture, at most MOST_CROPS spread evenly. Raises SourceError when there is none.
    """
    files = _listed(folder) or sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in READ_SUFFIXES
    )
    if not files:
        raise SourceError(f"no picture below {str(folder)!r} to calibrate on")
    if len(files) <= MOST_CROPS:
        return files
    return [files[k * len(files) // MOST_CROPS] for k in range(MOST_CROPS)]


def read_crops(files: Sequence[Path], windows_px: Sequence[int] = WINDOWS_PX) -> list[Crop]:
    """Each picture as a whole face at one of the window sizes in turn.

    Raises SourceError for a file that cannot be read, and when fewer than FEWEST_CROPS pictures are
    left that are not all one colour.
    """
    crops = []
    for index, file in enumerate(tqdm(files, desc="reading crops", leave=False, disable=None)):
        pixels = read_image(file)
        if (pixels != pixels[0, 0]).any():
            side = windows_px[index % len(windows_px)]
            lr = np.asarray(centre_square(pixels, side))
            crops.append(Crop(lr, hashlib.sha256(file.read_bytes()).hexdigest()))
    if len(crops) < FEWEST_CROPS:
        raise SourceError(
            f"{len(crops)} usable calibration crops ({len(files) - len(crops)} more are all one "
            f"colour), expected at least {FEWEST_CROPS} pictures of faces"
        )
    return crops


def calibrate(model: onnx.ModelProto, crops: Sequence[Crop]) -> Table:
    """The ranges of every tensor that a convolution reads, directly or through MOVERS, over the crops.

    Raises SourceError for too few crops, ModelError when the model makes a value that is not finite or
    never more than zero.
    """
    if len(crops) < FEWEST_CROPS:
        raise SourceError(f"{len(crops)} calibration crops, expected at least {FEWEST_CROPS}")
    tensors = activations(Graph.of(model))
    seen = {name: _Seen() for name in tensors}
    for values in observe(model, tensors, [c.pixels for c in crops], "calibrating"):
        for name, value in values.items():
            seen[name].add(value, name)
    return Table(
        model_sha256=model_sha256(model),
        windows_px=tuple(sorted({c.pixels.shape[0] for c in crops})),
        crops=tuple(c.sha256 for c in crops),
        tools={name: version(name) for name in ("numpy", "onnx", "onnxruntime", "pillow")},
        tensors={name: s.range(name) for name, s in seen.items()},
    )


def model_sha256(model: onnx.ModelProto) -> str:
    """The sha256 of the file that `graph.write_model` writes for `model`."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def activations(graph: Graph) -> list[str]:
    """The tensors to quantise so that every convolution's input is quantised, without the image."""
    names: dict[str, None] = {}
    for conv in graph.convolutions():
        names.update(dict.fromkeys(sources(graph, conv.input[0])))
    names.pop(INPUT, None)
    return list(names)


def sources(graph: Graph, tensor: str) -> list[str]:
    """The tensors whose values `tensor` holds, found by walking up through MOVERS."""
    node = graph.producer(tensor)
    if node is None or node.op_type not in MOVERS:
        return [tensor]
    return [source for name in node.input for source in sources(graph, name)]


def observe(
    model: onnx.ModelProto, tensors: Sequence[str], pictures: Sequence[UInt8], title: str
) -> Iterator[Mapping[str, Array]]:
    """For each picture the values of inner tensors, by ONNX Runtime with no graph optimisation."""
    session = session_of(model, tensors)
    for picture in tqdm(pictures, desc=title, leave=False, disable=None):
        values = session.run(list(tensors), {INPUT: planes(picture)})
        yield dict(zip(tensors, values, strict=True))


def session_of(model: onnx.ModelProto, tensors: Sequence[str] = ()) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session of `model`, unoptimised, with inner tensors added to its outputs."""
    augmented = onnx.ModelProto()
    augmented.CopyFrom(model)
    have = {o.name for o in model.graph.output}
    augmented.graph.output.extend(
        helper.make_empty_tensor_value_info(t) for t in tensors if t not in have
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        augmented.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def planes(picture: UInt8) -> Float32:
    """uint8 RGB (h, w, 3) -> float32 (1, 3, h, w) in [0, 1], as every model file takes it."""
    chw = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    return chw.astype(np.float32) / np.float32(255)


class _Seen:
    """Extremes and a magnitude histogram whose range doubles as larger values come."""

    def __init__(self) -> None:
        self.min, self.max = np.inf, -np.inf
        self.limit = 2.0**-10
        self.counts = np.zeros(_BINS, np.int64)

    def add(self, values: Array, name: str) -> None:
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ModelError(f"tensor {name!r} of the model is not finite on a calibration crop")
        self.min, self.max = min(self.min, low), max(self.max, high)
        while max(-low, high) >= self.limit:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate([merged, np.zeros(_BINS // 2, np.int64)])
            self.limit *= 2
        # The limit is a power of two, so that the scaling is exact and doubling only merges bins.
        bins = (np.abs(values.ravel()) * np.float32(_BINS / self.limit)).astype(np.int32)
        self.counts += np.bincount(bins, minlength=_BINS)

    def range(self, name: str) -> Range:
        largest = max(-self.min, self.max)
        if not largest > 0:
            raise ModelError(f"tensor {name!r} of the model is zero on every calibration crop")
        cumulated = np.cumsum(self.counts)
        ranks = [np.ceil(cumulated[-1] * p / 100) for p in PERCENTILES]
        edges = (np.searchsorted(cumulated, ranks) + 1) * (self.limit / _BINS)
        return Range(self.min, self.max, tuple(min(float(e), largest) for e in edges))


def _listed(folder: Path) -> list[Path]:
    """The pictures below `folder` that a manifest.csv marks calib=1; none without such a manifest."""
    for home in (folder, folder.parent):
        manifest = home / "manifest.csv"
        if manifest.is_file():
            with manifest.open(newline="", encoding="utf-8") as file:
                marked = [home / r["file"] for r in csv.DictReader(file) if r.get("calib") == "1"]
            return sorted(p for p in marked if folder in p.parents)
    return []
