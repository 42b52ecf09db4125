"""The report for people: everything shown is taken from the JSON document. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from idrn_trt.bench.document import measured, row_name
from idrn_trt.bench.paper import CARD, HEADLINE, PEAK_TFLOPS, paper_rows
from idrn_trt.tables import table

Document = Mapping[str, Any]
Cells = list[tuple[str, ...]]

DEVICE_CLOCK = (
    "rows of cuda, and of tensorrt device: the GPU's own time between two events, without copies to and "
    "from it; all others are what a caller waits for, and the two are not compared. This project has not "
    "tried them on a GPU: see docs/gpu.md"
)


def text(document: Document) -> str:
    """The whole report as plain text."""
    parts = [heading(document)]
    if document["mode"] == "paper":
        parts.append(table(*paper_table(document)))
        parts += paper_notes(document)
    elif measured(document):
        parts.append(table(*main_table(document)))
    if document["mode"] == "peers":
        parts.append(against_peers(document))
    parts += [*_marked(document), *_beside(document), *_judgement(document)]
    return "\n\n".join(part for part in parts if part)


def markdown(document: Document) -> str:
    """The same as Markdown, below a heading of the document's own."""
    parts = [f"```text\n{heading(document)}\n```"]
    if document["mode"] == "paper":
        parts.append(markdown_table(*paper_table(document)))
        parts += paper_notes(document)
    elif measured(document):
        parts.append(markdown_table(*main_table(document)))
    if document["mode"] == "peers":
        parts.append(against_peers(document))
    rest = [*_marked(document), *_beside(document), *_judgement(document)]
    parts += [f"```text\n{part}\n```" for part in rest]
    return "\n\n".join(parts) + "\n"


def markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first columns are words, numbers are set right."""
    numbers = [all(row[k][:1] in {*"-+0123456789"} for row in cells) for k in range(len(heads))]
    rule = ["--:" if number else "---" for number in numbers]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *cells))


def heading(document: Document) -> str:
    """Where, with what, and under which conditions, in four lines."""
    machine, conditions = document["machine"], document["conditions"]
    sets = " ".join(machine.get("instruction_sets", [])) or "no instruction set of note"
    cards = "".join(f"\ngpu         {g['name']}, driver {g['driver_version']}"
                    for g in machine.get("gpus", []))  # fmt: skip
    load = document.get("load_average", {})
    versions = ", ".join(f"{k} {v}" for k, v in document.get("versions", {}).items())
    revision = document.get("revision") or "installed package"
    cores = f"{machine.get('usable_cores')} of {machine.get('cores')} cores"
    return (
        f"processor   {machine.get('model')}, {cores} {machine.get('affinity', '')}, {sets}{cards}\n"
        f"versions    {versions}; {revision}\n"
        f"conditions  {_conditions(conditions)}\n"
        f"load        {_load(load.get('before'))} before, {_load(load.get('after'))} after; "
        f"{document.get('date', '')}"
    )


def main_table(document: Document) -> tuple[tuple[str, ...], Cells]:
    """Every measured row, the fastest by the leading percentile first."""
    percentiles = [f"{p:g}" for p in document["conditions"]["percentiles"]]
    leading = f"p{document['conditions']['leading']:g}_ms"
    rows = sorted(measured(document), key=lambda row: row["figures"][leading])
    heads = (
        "model", "engine", "precision", "MB", *(f"p{p} ms" for p in percentiles), "max ms",
        "outliers", "images/s", "PSNR-Y dB", "dB to fp32", "paper ms", "ours/paper", "GMAC/s",
        "of peak", "wide",
    )  # fmt: skip
    return heads, [
        (
            row["model"], row["engine"], row["precision"], _cell(row.get("file_mb"), ".2f"),
            *(_cell(row["figures"].get(f"p{p}_ms"), ".2f") for p in percentiles),
            _cell(row["figures"]["max_ms"], ".2f"),
            f"{row['figures']['outliers']}/{row['figures']['calls']}",
            _rate(row.get("images_per_s")), _cell(row.get("psnr_y_db"), ".2f"),
            _db(row.get("psnr_fp32_db")), _cell(row.get("paper_ms"), ".2f"),
            _cell(row.get("paper_ratio"), ".2f"), _cell(row.get("gmac_s"), ".0f"),
            _cell(row.get("peak_share"), ".0%"), "~" if row.get("wide") else "",
        )
        for row in rows
    ]  # fmt: skip


def paper_table(document: Document) -> tuple[tuple[str, ...], Cells]:
    """The paper's rows; for each, every engine and precision that was measured."""
    heads = (
        "in the paper", "network", "GMAC", "paper ms", "paper TFLOP/s", "of its card", "engine",
        "precision", "p50 ms", "p99 ms", "ours/paper", "GOP/s", "of peak", "dB to fp32", "weights",
    )  # fmt: skip
    cells: Cells = []
    for line in paper_rows():
        known = (
            line.place, line.network, f"{line.gmac:.2f}",
            f"{line.ms:.2f}{' (!)' if line.doubt else ''}", f"{line.tflops:.2f}", f"{line.share:.0%}",
        )  # fmt: skip
        for row in measured(document):
            if row.get("network") == line.network:
                p50 = row["figures"]["p50_ms"]
                cells.append((
                    *known, row["engine"], row["precision"], f"{p50:.2f}",
                    _cell(row["figures"].get("p99_ms"), ".2f"), f"{p50 / line.ms:.2f}",
                    _cell(2 * row["gmac_s"], ".0f"), _cell(row.get("peak_share"), ".0%"),
                    _db(row.get("psnr_fp32_db")), "seeded" if row.get("seeded") else "trained",
                ))  # fmt: skip
    return heads, cells


def paper_notes(document: Document) -> list[str]:
    """What has to be said beside that table, the headline ratio first."""
    notes = [
        (
            f"paper: {CARD}, TensorFlow; batch and what was timed are not stated. Its peak is "
            f"{PEAK_TFLOPS:.2f} TFLOP/s; ours is what this machine reached on easy shapes in that precision. "
            "2 operations a MAC, counted before the sub-pixel fold."
        )
    ]
    notes += [
        f"(!) {row.network}, {row.ms:.2f} ms in {row.place}: {row.doubt}"
        for row in paper_rows()
        if row.doubt
    ]
    if any(row.get("seeded") for row in document["rows"]):
        notes.append("seeded: no trained weights are shipped; latency does not depend on them.")
    best = headline(document)
    return ["\n".join([*([best] if best else []), *notes])]


def headline(document: Document) -> str:
    """The one ratio to quote: the fastest row of the network that the paper times twice.

    An engine of ours by the wall clock: what a user gets, copies to and from a GPU included.
    """
    rows = [
        row
        for row in measured(document)
        if row.get("network") == HEADLINE and "paper_ratio" in row
        and not row.get("peer") and _clock(row) == "wall"
    ]  # fmt: skip
    if not rows:
        return ""
    best = min(rows, key=lambda row: float(row["figures"]["p50_ms"]))
    return (
        f"{HEADLINE}: {best['figures']['p50_ms']:.2f} ms ({best['engine']} {best['precision']}) over the "
        f"paper's {best['paper_ms']:.2f} ms on its {CARD}: {best['paper_ratio']:.2f}"
    )


def against_peers(document: Document) -> str:
    """Our fastest row beside the peer that is fastest by each percentile: same weights, same clock."""
    rows = [row for row in measured(document) if row["engine"] != "bicubic"]
    lines = []
    pairs = dict.fromkeys((row["model"], _clock(row)) for row in rows if row.get("peer"))
    for model, clock in pairs:
        alike = [row for row in rows if (row["model"], _clock(row)) == (model, clock)]
        ours = [row for row in alike if not row.get("peer")]
        peers = [row for row in alike if row.get("peer")]
        if ours:
            best = min(ours, key=lambda row: float(row["figures"]["p50_ms"]))
            shares = (f"p{share:g}_ms" for share in document["conditions"]["percentiles"])
            times = "; ".join(_against(best, peers, share) for share in shares)
            lines.append(
                f"{model}: {best['engine']} {best['precision']} against the fastest peer: {times}"
            )
    return "\n".join(lines)


def _against(ours: dict[str, Any], peers: Sequence[dict[str, Any]], share: str) -> str:
    peer = min(peers, key=lambda row: float(row["figures"][share]))
    mine, its = ours["figures"][share], peer["figures"][share]
    name = f"{peer['engine']} {peer['precision']}"
    return f"{share[:-3]} {mine:.2f} ms, {name} {its:.2f} ms, {its / mine:.2f} times"


def _marked(document: Document) -> Iterator[str]:
    rows = [r for r in document["rows"] if r["reason"]]
    if rows:
        yield "not measured:\n" + "\n".join(f"  {row_name(r)}: {r['reason']}" for r in rows)
    settings = [
        f"  {row_name(r)}: {r['settings']}" for r in measured(document) if r.get("settings")
    ]
    if settings:
        yield "settings:\n" + "\n".join(settings)
    notes = [f"  {row_name(r)}: {n}" for r in document["rows"] for n in r.get("notes", [])]
    if notes:
        yield "notes:\n" + "\n".join(notes)
    recorded = sorted({r["psnr_y_on"] for r in document["rows"] if r.get("psnr_y_on")})
    if recorded:
        yield "PSNR-Y on " + "; ".join(recorded)


def _beside(document: Document) -> Iterator[str]:
    parts: tuple[tuple[str, Callable[[Any, Document], str]], ...] = (
        ("end_to_end", _end_to_end), ("cold_start", _cold), ("paced", _paced), ("profile", _profile),
    )  # fmt: skip
    for name, show in parts:
        if document.get(name):
            yield show(document[name], document)


def _end_to_end(entries: Sequence[Mapping[str, Any]], document: Document) -> str:
    leading = f"p{document['conditions']['leading']:g}_ms"
    lines = []
    for e in entries:
        stages = ", ".join(f"{k} {v:.2f}" for k, v in e["stages_p50_ms"].items() if k != "total")
        size = "x".join(map(str, e["frame_px"]))
        lines.append(
            f"  {row_name(e)}: p50 {e['figures']['p50_ms']:.2f}, {leading[:-3]} "
            f"{e['figures'][leading]:.2f} ms a {size} frame with {e['faces']} face(s), detector "
            f"{e['detector']}; p50 of {stages}"
        )
    return (
        "end to end (detect, window, network, paste; the table above is the network alone):\n"
        + ("\n".join(lines))
    )


def _cold(entry: Mapping[str, Any], _: Document) -> str:
    if "reason" in entry:
        return f"cold start: {entry['reason']}"
    ways = [
        f"{name} {t['total_s']:.2f} s (import {t['import_s']:.2f}, open {t['open_s']:.2f}, first call "
        f"{t['first_run_s'] * 1e3:.1f} ms)"
        for name, t in (
            ("without model cache", entry["without_cache"]),
            ("with", entry["with_cache"]),
        )
    ]
    return f"cold start, process to first result, {row_name(entry)}: {'; '.join(ways)}"


def _paced(entries: Sequence[Mapping[str, Any]], document: Document) -> str:
    heads = (
        "paced", "frames", "shown", "dropped", "delay p50 ms", "p95", "p99", "age p50 ms", "p95",
        "p99", "CPU cores",
    )  # fmt: skip
    rows = [
        (
            e["row"], e["frames"], e["shown"], f"{e['drop_rate']:.1%}",
            *(f"{e[key][p]:.1f}" for key in ("delay_ms", "age_ms") for p in ("p50", "p95", "p99")),
            f"{e['cpu_cores']:.2f}",
        )
        for e in entries
    ]  # fmt: skip
    fps = document["conditions"]["fps"]
    return table(heads, rows) + (
        f"\ncamera at {fps:g} frames/s, whole upscaler, newest frame only. delay: taken to shown. "
        "age: of the picture on the screen at any moment."
    )


def _profile(profiles: Mapping[str, Sequence[Mapping[str, Any]]], _: Document) -> str:
    parts = []
    for name, layers in profiles.items():
        total = sum(layer["ms"] for layer in layers) or 1.0
        rows = [
            (layer["layer"], layer["type"], layer["kernel"], f"{layer['ms']:.3f}",
             f"{layer['ms'] / total:.1%}")
            for layer in layers
        ]  # fmt: skip
        heads = (f"layers of {name}", "type", "kernel", "ms", "share")
        parts.append(table(heads, rows))
    return "\n\n".join(parts)


def _judgement(document: Document) -> Iterator[str]:
    lines = []
    if document.get("peak"):
        peaks = [f"{p} {v['tmac_s']:.3f} TMAC/s ({v['load']})" for p, v in document["peak"].items()]
        lines.append(f"peak measured here: {', '.join(peaks)}")
    control = document.get("control")
    if control:
        others = document.get("other_cores")
        lines.append(
            f"harness: {document['harness_overhead_us']:.2f} us a call; control (SHA-256 on as many "
            f"threads) spread {control['spread']:.0%}; other processes took "
            f"{'an unknown number of' if others is None else f'{others:.2f}'} cores meanwhile"
        )
        if not document.get("quiet"):
            lines.append(
                "NOT QUIET: the control varied by more than 10 %, or others took more than a tenth of a "
                "core. Compare rows of this run by ratio at most; record nothing."
            )
    if any(_clock(row) == "device" for row in measured(document)):
        lines.append(DEVICE_CLOCK)
    wide = [row_name(row) for row in measured(document) if row.get("wide")]
    if wide:
        lines.append(
            f"~ spread of block medians above 10 %, too wide for fine claims: {', '.join(wide)}"
        )
    if document.get("interrupted"):
        lines.append("interrupted: this is what was measured so far")
    if lines:
        yield "\n".join(lines)


def _clock(row: Mapping[str, Any]) -> str:
    """What timed the row; reports of earlier releases do not say, and knew one clock."""
    return str(row.get("clock", "wall"))


def _conditions(conditions: Mapping[str, Any]) -> str:
    return (
        f"{conditions['scenario']}, {conditions['batch']} window(s) of {conditions['window_px']} px a "
        f"call, {conditions['threads']} thread(s), interleaved blocks after {conditions['warmup']} "
        f"untimed calls, {conditions['duration_s']:g} s; judged by p{conditions['leading']:g}"
    )


def _load(load: Any) -> str:
    return " ".join(f"{value:.2f}" for value in load) if load else "unknown"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _db(value: float | None) -> str:
    if value is None:
        return "-"
    return "equal" if value >= 99 else f"{value:.1f}"
