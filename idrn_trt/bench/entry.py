"""A row with the figures that follow from its times, as the report keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from idrn_trt.bench.cases import TENSORRT, Row
from idrn_trt.bench.measure import Samples
from idrn_trt.bench.options import BenchOptions
from idrn_trt.bench.paper import LR_PX, paper_ms

# Beyond this the blocks of a row, or the control's, lie too far apart for fine claims.
MOST_SPREAD = 0.10
# Cores that other processes may take while this one measures.
MOST_OTHERS = 0.1


def entry(
    row: Row, options: BenchOptions, peaks: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The row as JSON values; a row without times has no figures.

    images_per_s: windows over the mean time. gmac_s: counted on the network as written, before the
    sub-pixel fold. peak_share: of this processor's measured peak in that precision. paper_ratio: p50 over
    the paper's time, for one window of the paper's size only. wide: the spread is above MOST_SPREAD.
    """
    kept = dataclasses.asdict(row)
    if not row.blocks_ms:
        return kept
    samples = Samples.of(row.blocks_ms)
    batch = row.batch or 1
    kept["figures"] = samples.to_dict(options.reported)
    kept["images_per_s"] = round(batch * 1e3 / float(np.mean(samples.ms)), 2)
    kept["wide"] = samples.spread > MOST_SPREAD
    if row.gmac is not None:
        rate = batch * row.gmac / samples.p50 * 1e3
        kept["gmac_s"] = round(rate, 1)
        on_gpu = row.clock == "device" or row.engine == TENSORRT
        if row.precision in peaks and not on_gpu:
            kept["peak_share"] = round(rate / (peaks[row.precision]["tmac_s"] * 1e3), 4)
    known_ms = paper_ms(row.network)
    if known_ms is not None and batch == 1 and options.window_px == LR_PX:
        kept["paper_ms"] = known_ms
        kept["paper_ratio"] = round(samples.p50 / known_ms, 4)
    return kept
