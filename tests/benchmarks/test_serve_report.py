"""The report of the service's measurement compares what has to be compared."""

from benchmarks.serve.report import BARE, HANDWRITTEN, RAY, Report
from benchmarks.service.load import Load, middle


def load(target: str, rate: float, *, connections: int = 8, failed: int = 0) -> Load:
    return Load(target, connections, rate, 1.0, 2.0, failed, 0.5, 0.25, 9.0, 100.0)


def test_the_medians_of_the_rounds_count_and_every_failure() -> None:
    found = middle([load(RAY, 10, failed=1), load(RAY, 500), load(RAY, 20, failed=2)])
    assert (found.rate, found.failed, found.cpu_ms) == (20, 3, 0.75)


def test_aims_are_ratios_at_eight_connections_within_the_run() -> None:
    loads = [load(RAY, 900), load(RAY, 1, connections=1), load(BARE, 1000), load(HANDWRITTEN, 50)]
    aims = {aim.what: aim for aim in Report(loads, {RAY: 20_000.0}, 120.0, None, None).aims()}
    handwritten = aims[f"requests a second, times those of {HANDWRITTEN}"]
    assert (handwritten.found, handwritten.met) == (18, False)
    assert aims[f"requests a second, times those of {BARE}"].met
    assert not aims["memory of one more replica (PSS)"].met
    assert not aims["rows a second of arrays of 1,000"].met
    assert "MISSED" in Report(loads, {}, None, None, None).text()


def test_without_our_own_service_nothing_is_compared() -> None:
    assert list(Report([load(BARE, 1000)], {}, None, None, None).aims()) == []
