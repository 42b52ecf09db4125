"""A stream's counts and times for Prometheus, on this machine only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from idrn_trt.errors import DeviceError, OptionError, reason_of
from idrn_trt.streaming.histogram import Histogram
from idrn_trt.streaming.stats import StreamStats

_BOUNDS_MS = (1, 2, 5, 10, 20, 33, 50, 70, 100, 200, 500, 1000, 2000, 5000)
_LAST_PORT = 65_535
_COUNTERS = {
    "frames": "Frames read from the source.",
    "dropped": "Frames replaced by a newer one before they were upscaled.",
    "passed_over": "Frames left out for --max-fps.",
    "results": "Frames upscaled.",
    "faces": "Faces upscaled, every frame counted.",
    "reused": "Faces that had not changed.",
    "carried": "Faces that the network was not asked for in time, with the detail of an earlier frame.",
    "reconnects": "Connections after the first.",
}


class StreamCollector(Collector):
    """Reads a stream's own counts whenever it is asked: nothing is counted twice."""

    def __init__(self, stats: StreamStats) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        stats = self._stats
        names = _told_apart([source.name for source in stats.sources])
        for name, help_text in _COUNTERS.items():
            family = CounterMetricFamily(f"idrn_{name}", help_text, labels=["source"])
            for label, source in zip(names, stats.sources, strict=True):
                family.add_metric([label], getattr(source, name))
            yield family
        playing = GaugeMetricFamily("idrn_playing", "1 while frames come.", labels=["source"])
        for label, source in zip(names, stats.sources, strict=True):
            playing.add_metric([label], float(source.state == "playing"))
        yield playing
        yield from self._sinks()
        times = {(name,): histogram for name, histogram in list(stats.stages.items())}
        yield _histograms("idrn_stage_seconds", "Time a stage took.", ("stage",), times)
        yield CounterMetricFamily(
            "idrn_engine_windows", "Faces the network ran on.", stats.engine_windows
        )
        words = {**stats.engine, "notes": "; ".join(stats.notes)}
        yield InfoMetricFamily("idrn_engine", "What computes.", value=words)

    def _sinks(self) -> Iterator[Metric]:
        written = CounterMetricFamily("idrn_written", "Results written.", labels=["sink"])
        dropped = CounterMetricFamily(
            "idrn_sink_dropped", "Results replaced by a newer one, or lost.", labels=["sink"]
        )
        sinks = list(self._stats.sinks)
        names = _told_apart([sink.name for sink in sinks])
        for label, sink in zip(names, sinks, strict=True):
            written.add_metric([label], sink.written)
            dropped.add_metric([label], sink.dropped)
        yield written
        yield dropped
        ages = {(label,): sink.age for label, sink in zip(names, sinks, strict=True)}
        yield _histograms("idrn_age_seconds", "From capture to sink.", ("sink",), ages)


def _told_apart(names: list[str]) -> list[str]:
    """The names, with their number where another has the same: Prometheus refuses two of one name."""
    return [
        name if names.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(names)
    ]


def _histograms(
    name: str, help_text: str, labels: tuple[str, ...], of: dict[tuple[str], Histogram]
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=labels)
    for values, histogram in of.items():
        bounds = [str(ms / 1e3) for ms in _BOUNDS_MS]
        counts = [float(count) for count in histogram.up_to(_BOUNDS_MS)]
        buckets = [*zip(bounds, counts, strict=True), ("+Inf", float(histogram.count))]
        family.add_metric(values, buckets=buckets, sum_value=histogram.sum_ms / 1e3)
    return family


@contextmanager
def serve_metrics(port: int, stats: StreamStats) -> Iterator[int]:
    """Serve them on 127.0.0.1 while entered; the value is the port, for 0 a free one.

    Raises OptionError for a number that is no port, DeviceError when the port cannot be had.
    """
    if not 0 <= port <= _LAST_PORT:
        raise OptionError(f"the metrics' port must be from 0 to {_LAST_PORT}, got {port!r}")
    registry = CollectorRegistry()
    registry.register(StreamCollector(stats))
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise DeviceError(f"cannot serve metrics on port {port!r}: {reason_of(error)}") from error
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
