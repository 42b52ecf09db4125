"""Options of each stage, as frozen dataclasses that check themselves. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from idrn_trt.errors import OptionError


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise OptionError(f"{owner}: {name} must be above 0, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What `idrn-trt train` does.

    data, val_data: specifications such as "folder:DIR"; without val_data a share of the training
    pictures is held out.
    network: a name such as "d8-w64-x4". out: folder for checkpoints and the log.
    steps: optimiser steps in all. batch: pairs a step. lr_px: side of a low-resolution crop.
    peak_learning_rate: reached after warmup_steps, then decayed by half a cosine to one hundredth.
    clip_norm: gradients are scaled to at most this norm.
    bf16: convolutions in bfloat16 (autocast); weights and optimiser stay float32.
    workers: processes that prepare pairs. threads: for the computation, 0 leaves torch's choice.
    """

    data: str
    out: Path
    network: str = "d8-w64-x4"
    val_data: str | None = None
    steps: int = 6000
    batch: int = 16
    lr_px: int = 32
    peak_learning_rate: float = 8e-4
    warmup_steps: int = 200
    clip_norm: float = 0.5
    bf16: bool = True
    seed: int = 0
    val_share: float = 0.03
    val_every: int = 500
    workers: int = 1
    threads: int = 0
    device: str = "auto"
    resume: bool = False

    def __post_init__(self) -> None:
        _positive(
            "training",
            steps=self.steps,
            batch=self.batch,
            lr_px=self.lr_px,
            peak_learning_rate=self.peak_learning_rate,
            clip_norm=self.clip_norm,
            val_every=self.val_every,
        )
        if self.warmup_steps < 0 or self.workers < 0 or self.threads < 0 or self.seed < 0:
            raise OptionError(
                "training: warmup_steps, workers, threads and seed must not be negative, got "
                f"{self.warmup_steps!r}, {self.workers!r}, {self.threads!r}, {self.seed!r}"
            )
        if not 0 < self.val_share < 1:
            raise OptionError(
                f"training: val_share must be between 0 and 1, got {self.val_share!r}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantiseOptions:
    """What `idrn-trt quantise` does.

    model: a model's folder (its model.onnx is read) or an fp32 ONNX file.
    calib: a folder of face crops to calibrate on, or a calibration table (.json) made before, from
    which the same files are made again without any picture.
    out: folder for the files, by default the model's. table: where the calibration table is written;
    only with a folder of crops, by default calib.json in `out`.
    evaluate_on: a folder of face crops to measure on; by default every sixth crop of `calib` is kept
    from calibration for it. lr_px: the low-resolution side that is measured at.
    keep_float: layers left in float in both int8 files. auto_db: leave as many more in float, the most
    harmful first, as the mean PSNR-Y loss needs to be at most this.
    clip: activations' largest magnitude, "max" or a percentile: "p99", "p99.9", "p99.99", "p99.999".
    shared_concat: the TensorRT file quantises before concatenations, at one scale.
    """

    model: Path
    calib: Path
    out: Path | None = None
    table: Path | None = None
    evaluate_on: Path | None = None
    lr_px: int = 32
    keep_float: tuple[str, ...] = ()
    auto_db: float | None = None
    clip: str = "max"
    shared_concat: bool = False

    def __post_init__(self) -> None:
        _positive("quantisation", lr_px=self.lr_px)
        if self.auto_db is not None:
            _positive("quantisation", auto_db=self.auto_db)
        clips = ("max", "p99", "p99.9", "p99.99", "p99.999")
        if self.clip not in clips:
            raise OptionError(
                f"quantisation: clip must be one of {', '.join(clips)}, got {self.clip!r}"
            )
        decided = self.keep_float or self.auto_db or self.clip != "max" or self.shared_concat
        if self.calib.suffix == ".json" and (decided or self.table):
            raise OptionError(
                f"quantisation: the table {str(self.calib)!r} decides the layers, clip and "
                "concatenations: give a folder of crops to choose them anew"
            )
