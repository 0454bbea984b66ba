"""What a replica counts, as Prometheus text and as a summary for the page."""

import os
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from penstock.serving.answering.journal_lag import JournalLag
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes.describing import model_state
from penstock.settings import Settings

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()
BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
KEPT = 2000
UNCHANGED, NOTHING_MISSING = b'"unchanged":true}', b'"missing":[]'
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


class ModelCounts:
    """The counts of one model: answers by release in latency buckets, refusals by status."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self.buckets: dict[int, list[int]] = {}
        self.seconds: dict[int, float] = {}
        self.refusals: Counter[int] = Counter()
        self.predictions = 0
        self.unchanged = 0
        self.missing = 0
        self.last: deque[tuple[float, float, int]] = deque(maxlen=KEPT)

    def answered(self, seconds: float, answers: list[bytes]) -> None:
        """Count one answered HTTP request of any number of predictions."""
        release = self._model.release.version if self._model.release else 0
        buckets = self.buckets.get(release)
        if buckets is None:
            buckets = self.buckets[release] = [0] * (len(BOUNDS) + 1)
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds[release] = self.seconds.get(release, 0.0) + seconds
        self.predictions += len(answers)
        self.unchanged += sum([answer.endswith(UNCHANGED) for answer in answers])
        self.missing += sum([NOTHING_MISSING not in answer for answer in answers])
        self.last.append((time.monotonic(), seconds, len(answers)))

    def refused(self, status: int) -> None:
        """Count one HTTP request that got a problem."""
        self.refusals[status] += 1


class Metrics(Collector):
    """All that this replica measures. A request adds to plain numbers; `collect` makes metrics of them for a scrape."""

    def __init__(self, models: Mapping[str, ServedModel], watcher: Watcher, settings: Settings) -> None:
        self._models = models
        self._watcher = watcher
        self._settings = settings
        self._counts = {name: ModelCounts(model) for name, model in models.items()}

    def of(self, model: ServedModel) -> ModelCounts:
        """The counts of one model."""
        return self._counts[model.contract.model]

    def summary(self) -> dict[str, Any]:
        """For the page: the last seconds' rate and latencies, of this replica."""
        made: dict[str, Any] = {}
        now = time.monotonic()
        for name, counts in self._counts.items():
            window = [(seconds, rows) for at, seconds, rows in counts.last if now - at <= WINDOW_SECONDS]
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
                of_journal.add_metric((model,), lag(served.journal))
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
        for state in [model_state(model, self._settings) for model in self._models.values()]:
            release.add_metric((state.model,), state.release or 0)
            refused.add_metric((state.model,), state.refused.get("release", 0))
            for table in state.tables:
                in_memory.add_metric((state.model, table.table), int(table.in_memory))
                ages[table.table] = table.age_s
        for name, seconds in ages.items():
            age.add_metric((name,), round(seconds))
        yield from (release, refused, age, in_memory)
