"""Options of each stage, as frozen dataclasses that check themselves. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from idrn_trt.errors import OptionError

QatTarget = Literal["int8-cpu", "int8-trt"]


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:  # NaN is refused too
            raise OptionError(f"{owner}: {name} must be above 0 and finite, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What `idrn-trt train` does. The defaults are the recipe "release"; see RECIPES for the others.

    data: specifications such as "folder:DIR", joined by commas. test_count: so many pictures are drawn
    from them for testing and never trained on. val_data: a specification, "test" for the test
    pictures, or None: a share of the training pictures is held out.
    network: a name such as "d8-w64-x4". out: folder for checkpoints and the log. cache: folder for the
    cut crops, by default the user's.
    steps: optimiser steps in all. epochs: when above 0, the run is so many times all pictures instead.
    batch: pairs a step. lr_px: side of a low-resolution crop. lr_sizes: each step draws its side from
    these instead, with as many pairs as have about the pixels of a batch at lr_px.
    augment: random crops at random scale, mirrored half the time, instead of the centre square.
    degrade: low-resolution pictures as webcams and CCTV make them instead of by bicubic.
    loss: "l1" or "mse". reduction: "mean", or "sum" over a picture's pixels (the paper's Eq. 2).
    optimiser: "adam" or "sgd"; momentum is Adam's first moment's decay, or SGD's.
    peak_learning_rate: reached after warmup_steps. schedule: from there "cosine", half a one down to
    a hundredth, or "step", times `decay` every `decay_epochs` epochs.
    clip_norm: gradients are scaled to at most this norm; 0 leaves them.
    ema: when above 0, the result is the weights' running average, which keeps this share a step.
    init: a checkpoint, model folder or .onnx file whose weights are started from, of this network or of
    one of the same width with fewer units, another scale or reconstruction (toolchain/transfer.py).
    qat: the calibration table of the model in `init`, or a model folder that holds it as calib.json. The
    network is then trained as its int8 file of the kind qat_target computes it.
    bf16: convolutions in bfloat16 (autocast); weights and optimiser stay float32.
    workers: processes that prepare pairs. threads: for the computation, 0 leaves torch's choice.
    device: "auto", "cpu", "cuda", or one by its number such as "cuda:1". devices: so many of it, with a
    process each, on each of so many nodes; torchrun's own numbers take the place of both.
    """

    data: str
    out: Path
    network: str = "d8-w64-x4"
    val_data: str | None = None
    test_count: int = 0
    cache: Path | None = None
    steps: int = 6000
    epochs: int = 0
    batch: int = 16
    lr_px: int = 32
    lr_sizes: tuple[int, ...] = ()
    augment: bool = True
    degrade: bool = False
    loss: Literal["l1", "mse"] = "l1"
    reduction: Literal["mean", "sum"] = "mean"
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.9
    peak_learning_rate: float = 8e-4
    warmup_steps: int = 200
    schedule: Literal["cosine", "step"] = "cosine"
    decay: float = 1.0
    decay_epochs: int = 30
    clip_norm: float = 0.5
    ema: float = 0.0
    init: Path | None = None
    qat: Path | None = None
    qat_target: QatTarget = "int8-cpu"
    bf16: bool = True
    seed: int = 0
    val_share: float = 0.03
    val_every: int = 500
    workers: int = 1
    threads: int = 0
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        _positive(
            "training",
            devices=self.devices,
            nodes=self.nodes,
            steps=self.steps,
            batch=self.batch,
            lr_px=self.lr_px,
            peak_learning_rate=self.peak_learning_rate,
            decay=self.decay,
            decay_epochs=self.decay_epochs,
            val_every=self.val_every,
        )
        for name in (
            "warmup_steps", "workers", "threads", "seed", "epochs", "test_count", "clip_norm",
        ):  # fmt: skip
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise OptionError(
                    f"training: {name} must not be negative nor infinite, got {value!r}"
                )
        if not 0 < self.val_share < 1:
            raise OptionError(
                f"training: val_share must be between 0 and 1, got {self.val_share!r}"
            )
        for name in ("momentum", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(
                    f"training: {name} must be at least 0 and below 1, got {getattr(self, name)!r}"
                )
        self._check_choices()
        self._check_together()

    def _check_choices(self) -> None:
        for name, allowed in (
            ("loss", ("l1", "mse")),
            ("reduction", ("mean", "sum")),
            ("optimiser", ("adam", "sgd")),
            ("schedule", ("cosine", "step")),
            ("qat_target", get_args(QatTarget)),
        ):
            if getattr(self, name) not in allowed:
                raise OptionError(
                    f"training: {name} must be one of {', '.join(allowed)}, "
                    f"got {getattr(self, name)!r}"
                )

    def _check_together(self) -> None:
        if any(type(size) is not int or not 8 <= size <= 512 for size in self.lr_sizes):
            raise OptionError(
                f"training: lr_sizes must be whole numbers from 8 to 512, got {self.lr_sizes!r}"
            )
        if self.lr_sizes and (self.epochs or not self.augment):
            raise OptionError("training: lr_sizes needs random crops and a number of steps")
        if self.qat is not None and self.init is None:
            raise OptionError(
                "training: qat needs init, the model that the calibration table was made for"
            )
        if self.val_data == "test" and not self.test_count:
            raise OptionError("training: val_data 'test' needs a test_count above 0")


_PAPER: dict[str, Any] = {
    "epochs": 120,
    "batch": 16,
    "lr_px": 32,
    "augment": False,
    "loss": "mse",
    "optimiser": "adam",
    "momentum": 0.9,
    "peak_learning_rate": 1e-4,
    "warmup_steps": 0,
    "schedule": "step",
    "decay": 0.9,
    "decay_epochs": 30,
    "clip_norm": 0.0,
    "bf16": False,
    "test_count": 500,
    "val_data": "test",
}
# Recipe -> the options in which it differs from the defaults. "paper" is section 3.1 (docs/paper.md),
# the two with SGD are section 4.1's (Fig. 5); "real" is "release" on pictures as cameras make them.
RECIPES: dict[str, dict[str, Any]] = {
    "release": {},
    "real": {"degrade": True},
    "paper": _PAPER,
    "paper-sgd": {**_PAPER, "optimiser": "sgd", "decay": 1.0},
    "paper-sgd-step": {**_PAPER, "optimiser": "sgd", "decay": 0.1, "decay_epochs": 20},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorOptions:
    """What `idrn-trt train-detector` does.

    data: folder with faces.csv, the pictures that it names, and background/. out: folder for checkpoints
    and the log. steps: optimiser steps in all. batch: scenes a step; side_px: their side, a multiple of 32.
    peak_learning_rate: reached after warmup_steps, from there half a cosine down to a hundredth.
    clip_norm: gradients are scaled to at most this norm. ema: the result is the weights' running average,
    which keeps this share a step. init: a checkpoint to start from. mine: show the training backgrounds
    in which these weights see faces more often. bf16, workers, threads, val_every: as in TrainOptions.
    """

    data: Path
    out: Path
    steps: int = 9000
    batch: int = 16
    side_px: int = 320
    peak_learning_rate: float = 3e-3
    warmup_steps: int = 300
    clip_norm: float = 5.0
    ema: float = 0.998
    init: Path | None = None
    mine: bool = False
    bf16: bool = True
    seed: int = 0
    val_every: int = 500
    workers: int = 1
    threads: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        _positive(
            "detector training",
            steps=self.steps,
            batch=self.batch,
            peak_learning_rate=self.peak_learning_rate,
            clip_norm=self.clip_norm,
            val_every=self.val_every,
        )
        for name in ("warmup_steps", "workers", "threads", "seed"):
            value = getattr(self, name)
            if value < 0:
                raise OptionError(f"detector training: {name} must not be negative, got {value!r}")
        if self.side_px < 64 or self.side_px % 32:
            raise OptionError(
                f"detector training: side_px must be a multiple of 32 from 64 on, got {self.side_px!r}"
            )
        if not 0 < self.ema < 1:
            raise OptionError(f"detector training: ema must be between 0 and 1, got {self.ema!r}")
        if self.mine and self.init is None:
            raise OptionError(
                "detector training: mine needs init, the weights that see false faces"
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
