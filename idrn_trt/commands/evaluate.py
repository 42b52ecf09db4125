"""`idrn-trt evaluate`: PSNR and SSIM of a model on face crops, bicubic beside it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idrn_trt.commands.arguments import add_engine_arguments, checked_threads
from idrn_trt.errors import IdrnError, OptionError
from idrn_trt.tables import table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from idrn_trt.engines.base import Engine
    from idrn_trt.quality.evaluate import Degrade, Score

    Pictures = Iterable[tuple[str, npt.NDArray[np.uint8]]]

EPILOG = """\
examples:
  idrn-trt evaluate idrn-d8-w64-x4 --data folder:faces/test
  idrn-trt evaluate idrn-d8-w64-x4 --data folder:faces/test --all --picture faces.png
  idrn-trt evaluate models/mine --data folder:faces/test --precision fp32 --json scores.json
  idrn-trt evaluate runs/srcnn/weights.safetensors --data aflw:AFLW/ --test-count 500

--data: folder:DIR (face crops), scenes:DIR (whole pictures), fddb:DIR, aflw:DIR, joined by commas

columns: PSNR is the mean of the crops' own, in dB, on luma (Y) and on RGB; bicubic's is from the same LR
  gain, worst decile   PSNR-Y above bicubic: the mean, and what a tenth of the crops stay below
  Eq. 3                the paper's PSNR-Y: one logarithm of the mean error of all crops, never above the mean
  SSIM-Y, -RGB         with the field's constants, K1 0.01 and K2 0.03
  Eq. 4                the paper's SSIM-Y as printed, c1 = c2 = 0.001 * 255; both are read in docs/paper.md
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this verb to the command line."""
    parser = verbs.add_parser(
        "evaluate",
        help="measure a model's PSNR and SSIM on face crops",
        description="Measure PSNR and SSIM on whole face crops: HR is the centre square, LR its antialiased\n"
        "bicubic reduction. Means are over all crops, and over files that start with the "
        "same letters.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="NAME|DIR|FILE", help="a model, or a checkpoint (.safetensors) of a run")
    add("--data", required=True, metavar="SPEC", help="face crops, see below")
    add("--lr-px", type=int, default=32, metavar="PX", help="LR side (default: %(default)s)")
    add(
        "--all",
        action="store_true",
        help="every engine and precision usable here, one after another",
    )
    add("--degraded", action="store_true", help="LR as webcams and CCTV make it, always the same")
    add("--test-count", type=int, metavar="N", help="only the N test pictures of a training run")
    add("--seed", type=int, default=0, metavar="N", help="that run's seed (default: %(default)s)")
    add("--crop-px", type=int, default=0, metavar="PX",
        help="leave out so many HR pixels at every border (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="every crop's score as JSON")
    add(
        "--picture",
        type=Path,
        metavar="FILE",
        help="LR, bicubic, ours, truth of the best, median and worst crop",
    )
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON and the picture."""
    from idrn_trt.files import write_text
    from idrn_trt.images import check_writable_name, write_image
    from idrn_trt.quality.evaluate import by_group, comparison, evaluate_pictures

    if args.lr_px < 1 or args.crop_px < 0:
        raise OptionError("--lr-px must be above 0 and --crop-px not below it")
    if args.picture is not None:
        check_writable_name(args.picture)
    degrade = _degradation() if args.degraded else None
    documents, rows = [], []
    for engine in _engines(args):
        with closing(engine):
            scores = evaluate_pictures(
                engine, _pictures(args, engine.spec.scale), args.lr_px,
                degrade=degrade, crop_px=args.crop_px,
            )  # fmt: skip
            groups = by_group(scores)
            rows += _rows(engine, groups)
            documents.append(_document(args, engine, groups, scores))
            if args.picture is not None and len(documents) == 1:
                pictures = _pictures(args, engine.spec.scale)
                sheet = comparison(engine, pictures, scores, args.lr_px, degrade=degrade)
                write_image(args.picture, sheet)
    print(table(_HEADS, rows))
    if args.json is not None:
        document = documents[0] if not args.all else {"runs": documents}
        write_text(args.json, json.dumps(document, indent=1) + "\n")
    return 0


_HEADS = (
    "engine", "precision", "crops", "count", "PSNR-Y dB", "bicubic dB", "gain dB", "worst decile dB",
    "Eq. 3 dB", "PSNR-RGB dB", "SSIM-Y", "bicubic", "SSIM-RGB", "Eq. 4",
)  # fmt: skip


def _rows(engine: Engine, groups: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    return [
        (engine.spec.engine, engine.spec.precision, name, f"{m['count']:.0f}",
         f"{m['psnr_y_db']:.2f}", f"{m['bicubic_psnr_y_db']:.2f}", f"{m['gain_db']:+.2f}",
         f"{m['gain_worst_decile_db']:+.2f}", f"{m['psnr_y_pooled_db']:.2f}",
         f"{m['psnr_rgb_db']:.2f}", f"{m['ssim_y']:.4f}", f"{m['bicubic_ssim_y']:.4f}",
         f"{m['ssim_rgb']:.4f}", f"{m['ssim_y_paper']:.4f}")
        for name, m in groups.items()
    ]  # fmt: skip


def _document(
    args: argparse.Namespace,
    engine: Engine,
    groups: dict[str, dict[str, float]],
    scores: list[Score],
) -> dict[str, Any]:
    spec = engine.spec
    return {
        "model": spec.model, "scale": spec.scale, "engine": spec.engine,
        "precision": spec.precision, "lr_px": args.lr_px, "degraded": args.degraded,
        "crop_px": args.crop_px, "groups": groups,
        "crops": [dataclasses.asdict(score) for score in scores],
    }  # fmt: skip


def _engines(args: argparse.Namespace) -> Iterator[Engine]:
    if args.model.endswith(".safetensors"):
        yield _of_checkpoint(args)
        return
    from idrn_trt.engines import describe_engines, open_engine

    threads = checked_threads(args)
    if not args.all:
        yield open_engine(args.model, engine=args.engine, precision=args.precision, threads=threads)
        return
    opened = 0
    for status in describe_engines():
        for precision in status.precisions if status.name != "bicubic" else ():
            try:
                engine = open_engine(
                    args.model, engine=status.name, precision=precision, threads=threads
                )
            except IdrnError as error:
                print(f"{status.name} {precision}: {error}")
                continue
            opened += 1
            yield engine
    if not opened:
        raise OptionError(f"no engine here can compute {args.model!r}: see `idrn-trt doctor`")


def _of_checkpoint(args: argparse.Namespace) -> Engine:
    if (args.engine, args.precision) != ("auto", "auto"):
        raise OptionError(
            f"{args.model!r} is a checkpoint, which torch computes in fp32: leave --engine and "
            "--precision out, or export it first"
        )
    threads, path = checked_threads(args), Path(args.model)
    from idrn_trt.toolchain.checkpoint import load_checkpoint
    from idrn_trt.toolchain.validate import TorchEngine

    saved = load_checkpoint(path)
    name = path.parent.name or path.stem
    return TorchEngine(saved.module(), name, saved.enlarging.scale, threads)


def _pictures(args: argparse.Namespace, scale: int) -> Pictures:
    kind, _, place = args.data.partition(":")
    if kind == "folder" and Path(place).is_dir() and not args.test_count:
        from idrn_trt.quality.evaluate import folder_pictures

        return folder_pictures(Path(place))
    from tqdm import tqdm

    from idrn_trt.toolchain.crops import open_crops
    from idrn_trt.toolchain.split import split_test

    crops = open_crops(args.data, args.lr_px * scale)
    if args.test_count:
        crops = split_test(crops, args.test_count, args.seed).test
    return tqdm(
        crops.named(),
        desc="evaluating",
        total=len(crops),
        unit="picture",
        leave=False,
        disable=None,
    )


def _degradation() -> Degrade:
    from idrn_trt.toolchain.degrade import Degradation

    return Degradation()
