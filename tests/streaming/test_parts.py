"""The small parts of a stream: pauses, clocks, counts, health, metrics."""

from __future__ import annotations

import json
import logging
import urllib.request
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from players import wait_until

from idrn_trt.errors import DeviceError, SinkError
from idrn_trt.files import write_text
from idrn_trt.streaming.backoff import FIRST_S, GOOD_S, LONGEST_S, Backoff
from idrn_trt.streaming.clock import StreamClock
from idrn_trt.streaming.health import HealthFile
from idrn_trt.streaming.histogram import Histogram
from idrn_trt.streaming.stats import SinkStats, SourceStats, StreamStats


def test_pauses_grow_to_a_limit_and_differ() -> None:
    """Each pause is between half and all of one that doubles; a good connection starts anew."""
    backoff = Backoff()
    pauses = [backoff.pause_s(0.0) for _ in range(12)]
    for k, pause_s in enumerate(pauses):
        whole_s = min(FIRST_S * 2**k, LONGEST_S)
        assert whole_s / 2 <= pause_s <= whole_s
    assert len(set(pauses)) == 12
    assert backoff.pause_s(GOOD_S - 1) > LONGEST_S / 2 - 1
    assert backoff.pause_s(GOOD_S) <= FIRST_S


def test_a_source_keeps_its_own_distances() -> None:
    """Frames that come unevenly, as networks bring them, keep the even distances of the camera's clock."""
    clock = StreamClock()
    late = [Fraction(k % 3, 20) for k in range(50)]
    times = [clock.place(1000 + Fraction(k, 25), Fraction(k, 25) + late[k]) for k in range(50)]
    steps = {b - a for a, b in pairwise(times)}
    assert steps == {Fraction(1, 25)}


def test_a_clock_that_starts_anew_does_not_go_back() -> None:
    """After a reconnect the camera counts from 0; after a jump, or without times, time still only grows."""
    clock = StreamClock()
    own = [
        Fraction(0),
        Fraction(1, 25),
        Fraction(500),
        None,
        Fraction(0),
        Fraction(0),
        Fraction(1, 25),
    ]
    walls = [Fraction(k) for k in (5, 6, 7, 8, 9, 10, 11)]
    times = [clock.place(mine, wall) for mine, wall in zip(own, walls, strict=True)]
    assert times == sorted(set(times))
    assert abs(times[-1] - 11) <= 1


def test_percentiles_are_right_to_five_per_cent() -> None:
    """Against NumPy's, for times from 20 microseconds to ten seconds."""
    times_ms = np.exp(np.random.default_rng(0).uniform(np.log(0.02), np.log(10_000), 5000))
    histogram = Histogram()
    for ms in times_ms:
        histogram.add(float(ms))
    for share in (1, 50, 95, 99):
        assert histogram.percentile(share) == pytest.approx(
            np.percentile(times_ms, share), rel=0.06
        )
    assert histogram.summary()["max"] == round(float(times_ms.max()), 2)
    assert Histogram().summary() == {"mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}


def stats() -> StreamStats:
    """Counts of two cameras and a sink."""
    words = {"model": "m", "engine": "openvino", "precision": "int8", "detector": "haar"}
    counts = StreamStats(["rtsp://***@a/1", "camera 0"], words, ["slow path"])
    counts.sinks.append(SinkStats("null"))
    for ms in (3.0, 30.0, 300.0):
        counts.sinks[0].age.add(ms)
        counts.stage("engine", ms)
    counts.sources[0].enter("playing")
    counts.sources[0].arrived((640, 480))
    counts.sources[0].carried = 7
    return counts


def test_a_state_is_logged_once_a_change(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is entered, and with whatever reasons."""
    caplog.set_level(logging.INFO)
    source = SourceStats("camera 0")
    for state, reason in [
        ("playing", ""),
        ("playing", ""),
        ("lost", "a"),
        ("lost", "b"),
        ("playing", ""),
    ]:
        source.enter(state, reason)  # type: ignore[arg-type]
    assert [r.getMessage() for r in caplog.records] == [
        "camera 0: playing", "camera 0: lost (a)", "camera 0: playing",
    ]  # fmt: skip


def test_the_health_file_says_how_it_is(tmp_path: Path) -> None:
    """It is written at once and again and again, healthy only while all sources play, and goes at the end."""
    counts, path = stats(), tmp_path / "health.json"
    with HealthFile(path, counts, every_s=0.01):
        first = json.loads(path.read_text())
        assert not first["healthy"]
        counts.sources[1].enter("playing")
        wait_until(lambda: json.loads(path.read_text())["healthy"], "better health")
        assert json.loads(path.read_text())["time_s"] > first["time_s"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SinkError, match="health file"), HealthFile(tmp_path / ("a" * 300), counts):
        pass


def test_a_health_file_that_cannot_be_written_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stays full for a night fills no log; after a success it is said again."""
    attempts: list[Path] = []

    def counted(path: Path, *rest: str) -> None:
        attempts.append(path)
        write_text(path, *rest)

    monkeypatch.setattr("idrn_trt.streaming.health.write_text", counted)
    folder, real, other = tmp_path / "run", tmp_path / "real", tmp_path / "other"
    real.mkdir()
    folder.symlink_to(real)
    with HealthFile(folder / "health.json", stats(), every_s=0.01):
        for times in (1, 2):
            other.write_text("no folder")
            other.replace(folder)
            tried = len(attempts)
            wait_until(lambda: len(attempts) > tried + 4, "more attempts")  # noqa: B023 (called in this turn)
            assert caplog.text.count("health file") == times
            (real / "health.json").unlink()
            other.symlink_to(real)
            other.replace(folder)
            wait_until((real / "health.json").exists, "better times")


def test_sources_of_one_name_are_told_apart() -> None:
    """No sample comes twice, which Prometheus would refuse."""
    pytest.importorskip("prometheus_client")
    from idrn_trt.streaming.metrics import StreamCollector

    counts = StreamStats(["test:", "test:", "camera 0"], {}, [])
    counts.sinks += [SinkStats("null"), SinkStats("null")]
    samples = [
        (sample.name, *sorted(sample.labels.items()))
        for family in StreamCollector(counts).collect()
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
    assert ("idrn_frames_total", ("source", "test: #1")) in samples
    assert ("idrn_frames_total", ("source", "camera 0")) in samples


def test_metrics_are_served_on_loopback_only() -> None:
    """What Prometheus reads has the counts, ages as a histogram in seconds, and the engine with its notes."""
    pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    from idrn_trt.streaming.metrics import serve_metrics

    with serve_metrics(0, stats()) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
        with pytest.raises(DeviceError, match=str(port)), serve_metrics(port, stats()):
            pass
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["idrn_frames_total", ("source", "rtsp://***@a/1")] == 1
    assert samples["idrn_carried_total", ("source", "rtsp://***@a/1")] == 7
    assert samples["idrn_playing", ("source", "camera 0")] == 0
    assert samples["idrn_age_seconds_bucket", ("le", "0.033"), ("sink", "null")] == 2
    assert samples["idrn_age_seconds_count", ("sink", "null")] == 3
    assert samples["idrn_age_seconds_sum", ("sink", "null")] == pytest.approx(0.333)
    assert 'notes="slow path"' in text
