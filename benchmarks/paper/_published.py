"""What the paper reports of its experiments: its figures by table, its words where a figure has curves only.

Fan et al. 2019, doi:10.1186/s13634-019-0626-4. PSNR in dB and SSIM as printed; how they were measured is
not said there (docs/paper.md, readings 9 to 11). Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

# Section 3.1: 120 epochs over 23,000 pictures in batches of 16; 500 to test on.
EPOCHS, BATCH, TRAINED_ON, TESTED_ON = 120, 16, 23_000, 500
STEPS = EPOCHS * -(-TRAINED_ON // BATCH)
HARDWARE = "GeForce GTX 1060 6 GB"
DATA_KINDS = frozenset({"fddb", "aflw"})


@dataclass(frozen=True, slots=True)
class Published:
    """One cell pair of a table."""

    place: str
    psnr_db: float
    ssim: float


TABLE_1 = {
    depth: Published("Table 1", psnr, ssim)
    for depth, psnr, ssim in (
        (8, 32.29, 0.873), (12, 32.13, 0.891), (16, 32.31, 0.904), (20, 32.32, 0.907),
    )
}  # fmt: skip
TABLE_2 = {
    width: Published("Table 2", psnr, ssim)
    for width, psnr, ssim in ((64, 32.29, 0.904), (128, 32.49, 0.923), (192, 32.55, 0.926))
}
# (method, scale); "idrn" is d16-w128.
TABLE_3 = {
    (method, scale): Published("Table 3", psnr, ssim)
    for method, row in {
        "bicubic": ((32.76, 0.931), (30.35, 0.893), (27.93, 0.851)),
        "srcnn": ((36.11, 0.962), (32.41, 0.927), (29.01, 0.874)),
        "vdsr": ((37.42, 0.977), (35.38, 0.960), (32.80, 0.915)),
        "srresnet": ((38.97, 0.985), (35.52, 0.965), (32.54, 0.931)),
        "idrn": ((39.64, 0.986), (36.44, 0.972), (33.23, 0.930)),
    }.items()
    for scale, (psnr, ssim) in zip((2, 3, 4), row, strict=True)
}
