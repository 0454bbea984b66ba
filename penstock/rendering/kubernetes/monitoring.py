"""What Prometheus scrapes and warns of, as objects of its operator."""

from penstock.rendering.kubernetes import layout as names
from penstock.rendering.kubernetes.pods import Manifest, labels, metadata
from penstock.rendering.kubernetes.ray_service import COMPONENT

API = "monitoring.coreos.com/v1"
RULES = (
    (
        "PenstockNoReplicaConnected",
        "sum(penstock_book_connected) == 0 or absent(penstock_book_connected)",
        "1m",
        "critical",
        "No replica reaches its book: requests are answered 503.",
    ),
    (
        "PenstockReleaseRefused",
        "max by (model) (penstock_release_refused) > 0",
        "5m",
        "warning",
        "The current release of {{ $labels.model }} cannot be served; the one before it is.",
    ),
    (
        "PenstockRefusesRequests",
        'sum by (model) (rate(penstock_refused_total{status=~"5.."}[5m])) > 0',
        "5m",
        "critical",
        "Requests for {{ $labels.model }} fail by the service's own fault.",
    ),
    (
        "PenstockJournalLags",
        "max by (model) (penstock_journal_lag_seconds) > 5",
        "2m",
        "warning",
        "Answers for {{ $labels.model }} wait for the book to commit them.",
    ),
    (
        "PenstockTableIsOld",
        "max by (table) (penstock_snapshot_age_seconds) > 2 * 86400",
        "15m",
        "warning",
        "No publish has renewed {{ $labels.table }} for two days: look at its schedule in Dagster.",
    ),
)
"""Name, expression, how long it holds, severity, and what it means. The limits are to be edited."""


def monitoring() -> list[Manifest]:
    """Each replica is scraped by its own port: behind HAProxy a scrape would reach any of them."""
    key = {"name": names.KEYS, "key": names.METRICS_KEY}
    endpoints = [
        {"port": "replica", "path": "/metrics", "authorization": {"type": "Bearer", "credentials": key}},
        {"port": "ray-metrics", "path": "/metrics"},
    ]
    rules = [
        {
            "alert": name,
            "expr": expression,
            "for": duration,
            "labels": {"severity": severity},
            "annotations": {"summary": summary},
        }
        for name, expression, duration, severity, summary in RULES
    ]
    return [
        {
            "apiVersion": API,
            "kind": "ServiceMonitor",
            "metadata": metadata("penstock", "monitoring"),
            "spec": {"selector": {"matchLabels": labels(COMPONENT)}, "endpoints": endpoints},
        },
        {
            "apiVersion": API,
            "kind": "PrometheusRule",
            "metadata": metadata("penstock", "monitoring"),
            "spec": {"groups": [{"name": "penstock", "rules": rules}]},
        },
    ]
