"""The counts and states of a replica, as Prometheus text and as a summary for the page."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from penstock.journal.writing import JournalLag
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes.describing import model_state
from penstock.serving.routes.telemetry import BOUNDS, ModelCounts

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()
WINDOW_SECONDS = 10.0
MODEL = ("model",)
COUNTERS = (
    ("predictions", "Predictions given."),
    ("unchanged", "Predictions that were stored answers."),
    ("missing", "Predictions of which a lookup found no row."),
)
Family = type[CounterMetricFamily] | type[GaugeMetricFamily]
JOURNAL: tuple[tuple[str, Family, str, Callable[[JournalLag], float]], ...] = (
    (
        "lag_seconds",
        GaugeMetricFamily,
        "Time since the oldest answer was made that is not yet committed.",
        lambda one: one.lag,
    ),
    ("rows_waiting", GaugeMetricFamily, "Answers that are made and not yet committed.", lambda one: one.rows_waiting),
    ("writes_total", CounterMetricFamily, "Committed writes to the journal.", lambda one: one.writes),
    ("write_seconds_total", CounterMetricFamily, "Time from answers made to their commit.", lambda one: one.seconds),
)


class Metrics(Collector):
    """Makes metrics of the plain numbers that requests add to, when they are scraped."""

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        counts: Mapping[str, ModelCounts],
        watcher: Watcher,
        now: Callable[[], datetime],
    ) -> None:
        self._models = models
        self._counts = counts
        self._watcher = watcher
        self._now = now

    def summary(self) -> dict[str, Any]:
        """For the page: rate and latencies of this replica over the last WINDOW_SECONDS."""
        made: dict[str, Any] = {}
        now = time.monotonic()
        for name, counts in self._counts.items():
            window = [(seconds, rows) for at, seconds, rows in counts.recent if now - at <= WINDOW_SECONDS]
            ordered = sorted(seconds for seconds, _ in window)
            made[name] = {
                "requests_per_second": round(len(window) / WINDOW_SECONDS, 1),
                "predictions_per_second": round(sum(rows for _, rows in window) / WINDOW_SECONDS, 1),
                "latency_ms": {
                    f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000, 2)
                    for share in (50, 90, 99)
                    if ordered
                },
                "predictions": counts.predictions,
                "unchanged": counts.unchanged,
                "refused": sum(counts.refusals.values()),
            }
        return {"replica": os.getpid(), "book": self._watcher.connected, "models": made}

    def text(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Every metric with its samples, as they are now."""
        yield self._request_seconds()
        for name, meaning in COUNTERS:
            family = CounterMetricFamily(f"penstock_{name}", meaning, labels=MODEL)
            for model, counts in self._counts.items():
                family.add_metric((model,), getattr(counts, name))
            yield family
        for name, kind, meaning, lag in JOURNAL:
            of_journal = kind(f"penstock_journal_{name}", meaning, labels=MODEL)
            for model, served in self._models.items():
                of_journal.add_metric((model,), lag(served.predictor.lag))
            yield of_journal
        refused = CounterMetricFamily(
            "penstock_refused", "Predict requests that got a problem.", labels=("model", "status")
        )
        for model, counts in self._counts.items():
            for status, count in counts.refusals.items():
                refused.add_metric((model, str(status)), count)
        yield refused
        connected = int(self._watcher.connected)
        yield GaugeMetricFamily("penstock_book_connected", "Whether the book's Postgres answers.", connected)
        yield from self._states()

    def _request_seconds(self) -> Metric:
        family = HistogramMetricFamily(
            "penstock_request_seconds", "Time of answered predict requests.", labels=("model", "release")
        )
        bounds = [*map(str, BOUNDS), "+Inf"]
        for model, counts in self._counts.items():
            for release, buckets in counts.buckets.items():
                up_to = list(zip(bounds, accumulate(buckets), strict=True))
                family.add_metric((model, str(release)), up_to, counts.seconds[release])
        return family

    def _states(self) -> Iterator[Metric]:
        release = GaugeMetricFamily("penstock_release", "The release that is served.", labels=MODEL)
        refused = GaugeMetricFamily(
            "penstock_release_refused",
            "The current release of the book where it cannot be served, else 0.",
            labels=MODEL,
        )
        age = GaugeMetricFamily(
            "penstock_snapshot_age_seconds", "Time since a replicated table's content was extracted.", labels=("table",)
        )
        in_memory = GaugeMetricFamily(
            "penstock_table_in_memory",
            "Whether a model's table is looked up in memory (1) or in Postgres (0).",
            labels=("model", "table"),
        )
        ages: dict[str, float] = {}
        for state in [model_state(model, self._now()) for model in self._models.values()]:
            release.add_metric((state.model,), state.release or 0)
            refused.add_metric((state.model,), state.refused.release if state.refused else 0)
            for table in state.tables:
                in_memory.add_metric((state.model, table.table), int(table.in_memory))
                ages[table.table] = table.age_s
        for name, seconds in ages.items():
            age.add_metric((name,), round(seconds))
        yield from (release, refused, age, in_memory)
