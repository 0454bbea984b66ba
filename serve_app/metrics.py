"""What a replica counts, as Prometheus text and as a summary for the page."""

import os
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from resources.settings import Settings
from serve_app.describing import model_state
from serve_app.journal_lag import JournalLag
from serve_app.releases import Watcher
from serve_app.served_model import ServedModel

BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
KEPT = 2000
UNCHANGED, NOTHING_MISSING = b'"unchanged":true}', b'"missing":[]'
WINDOW_SECONDS = 10.0
JOURNAL: tuple[tuple[str, str, str, Callable[[JournalLag], float]], ...] = (
    ("lag_seconds", "gauge", "Time since the oldest answer was made that is not yet committed.", lambda one: one.lag),
    ("rows_waiting", "gauge", "Answers that are made and not yet committed.", lambda one: one.rows_waiting),
    ("writes_total", "counter", "Committed writes to the journal.", lambda one: one.writes),
    ("write_seconds_total", "counter", "Time from answers made to their commit.", lambda one: one.seconds),
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


class Metrics:
    """All that this replica measures."""

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
        return ("\n".join(self._lines()) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        yield "# HELP penstock_request_seconds Time of answered predict requests."
        yield "# TYPE penstock_request_seconds histogram"
        for name, counts in self._counts.items():
            for release, buckets in counts.buckets.items():
                labels = f'model="{name}",release="{release}"'
                total = 0
                for bound, count in zip([*map(str, BOUNDS), "+Inf"], buckets, strict=True):
                    total += count
                    yield f'penstock_request_seconds_bucket{{{labels},le="{bound}"}} {total}'
                yield f"penstock_request_seconds_sum{{{labels}}} {counts.seconds[release]:.6f}"
                yield f"penstock_request_seconds_count{{{labels}}} {total}"
        for metric, help_, attribute in (
            ("predictions", "Predictions given.", "predictions"),
            ("unchanged", "Predictions that were stored answers.", "unchanged"),
            ("missing", "Predictions of which a lookup found no row.", "missing"),
        ):
            yield f"# HELP penstock_{metric}_total {help_}"
            yield f"# TYPE penstock_{metric}_total counter"
            for name, counts in self._counts.items():
                yield f'penstock_{metric}_total{{model="{name}"}} {getattr(counts, attribute)}'
        yield from self._journal()
        yield "# HELP penstock_refused_total Predict requests that got a problem."
        yield "# TYPE penstock_refused_total counter"
        for name, counts in self._counts.items():
            for status, count in counts.refusals.items():
                yield f'penstock_refused_total{{model="{name}",status="{status}"}} {count}'
        yield "# HELP penstock_book_connected Whether the book's Postgres answers."
        yield "# TYPE penstock_book_connected gauge"
        yield f"penstock_book_connected {int(self._watcher.connected)}"
        yield from self._states()

    def _journal(self) -> Iterator[str]:
        for metric, kind, help_, value in JOURNAL:
            yield f"# HELP penstock_journal_{metric} {help_}"
            yield f"# TYPE penstock_journal_{metric} {kind}"
            for name, model in self._models.items():
                yield f'penstock_journal_{metric}{{model="{name}"}} {value(model.journal):g}'

    def _states(self) -> Iterator[str]:
        states = [model_state(model, self._settings) for model in self._models.values()]
        yield "# HELP penstock_release The release that is served."
        yield "# TYPE penstock_release gauge"
        yield from (f'penstock_release{{model="{state.model}"}} {state.release or 0}' for state in states)
        yield "# HELP penstock_release_refused The current release of the book where it cannot be served, else 0."
        yield "# TYPE penstock_release_refused gauge"
        for state in states:
            yield f'penstock_release_refused{{model="{state.model}"}} {state.refused.get("release", 0)}'
        yield "# HELP penstock_snapshot_age_seconds Time since a replicated table's content was extracted."
        yield "# TYPE penstock_snapshot_age_seconds gauge"
        tables = {table.table: table for state in states for table in state.tables}
        for table in tables.values():
            if table.age_s is not None:
                yield f'penstock_snapshot_age_seconds{{table="{table.table}"}} {table.age_s:.0f}'
        yield "# HELP penstock_table_in_memory Whether a model's table is looked up in memory (1) or in Postgres (0)."
        yield "# TYPE penstock_table_in_memory gauge"
        for state in states:
            for table in state.tables:
                labels = f'model="{state.model}",table="{table.table}"'
                yield f"penstock_table_in_memory{{{labels}}} {int(table.in_memory)}"
