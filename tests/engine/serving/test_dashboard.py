"""`/metrics` is valid text with the documented metrics, and the Grafana dashboard asks for no others."""

import json
import re
from itertools import pairwise

import msgspec
import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from penstock.postgres.book import Book
from tests.checkout import ROOT
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """(name, sorted labels) -> value of every sample, as Prometheus' own parser reads the text."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_of_the_dashboard_exists(shared: Service) -> None:
    shared.ask()
    shared.ask(valve=100)
    given = set(re.findall(r"^(penstock_\w+?)(?:\{| )", shared.http.get("/metrics").text, re.M))
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    wanted = {name for expression in expressions for name in re.findall(r"penstock_\w+", expression)}
    assert len(wanted) >= 8
    assert wanted <= given, f"the service does not give {sorted(wanted - given)}"


def test_every_documented_metric_exists_and_no_other(shared: Service) -> None:
    shared.ask()
    shared.ask(valve=100)
    page = (ROOT / "docs" / "asking.md").read_text()
    table = page[page.index("| metric | meaning |") : page.index("Each replica counts for itself")]
    documented = set(re.findall(r"`(penstock_\w+)`", table))
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(shared.http.get("/metrics").text)
    }
    assert len(families) == 14
    assert families == documented


def test_the_histogram_counts_each_answered_request_once(service: Service) -> None:
    for inflow in (1.0, 2.0, 3.0):
        assert service.ask(inflow=inflow).status_code == 200
    assert service.ask(valve=100).status_code == 422
    found = samples(service.http.get("/metrics").text)
    of_model = (("model", "overflow"),)
    labels = (*of_model, ("release", "1"))
    buckets = [value for (name, _), value in found.items() if name == "penstock_request_seconds_bucket"]
    assert len(buckets) == 15
    assert all(below <= above for below, above in pairwise(buckets))
    assert found["penstock_request_seconds_bucket", (("le", "+Inf"), *labels)] == 3
    assert found["penstock_request_seconds_count", labels] == 3
    assert 0 < found["penstock_request_seconds_sum", labels] < 30
    assert found["penstock_predictions_total", of_model] == 3
    assert found["penstock_refused_total", (*of_model, ("status", "422"))] == 1
    assert found["penstock_release", of_model] == 1
    assert found["penstock_book_connected", ()] == 1


def test_any_name_of_a_table_stays_valid_text(start: Start, book: Book) -> None:
    odd = 'a "b"\\\nc'
    toy.publish_all(book)
    with book.connect() as connection:
        connection.execute("UPDATE replicated.physical_table SET table_name = %s WHERE table_name = 'valves'", (odd,))
        connection.execute("UPDATE replicated.current SET table_name = %s WHERE table_name = 'valves'", (odd,))
    *others, valve = toy.CONTRACT.lookups
    lookups = (*others, msgspec.structs.replace(valve, table=odd))
    service = start(msgspec.structs.replace(toy.CONTRACT, lookups=lookups))
    found = samples(service.http.get("/metrics").text)
    ages = {labels for name, labels in found if name == "penstock_snapshot_age_seconds"}
    assert ages == {(("table", name),) for name in ("tanks", "levels", odd)}
    assert ("penstock_table_in_memory", (("model", "overflow"), ("table", odd))) in found


def test_two_services_of_one_process_count_for_themselves(service: Service, start: Start) -> None:
    other = start()
    assert service.ask().status_code == 200
    counted = [samples(one.http.get("/metrics").text) for one in (service, other)]
    assert [one["penstock_predictions_total", (("model", "overflow"),)] for one in counted] == [1, 0]
    named = {name.rpartition("_")[2] for one in counted for name, _ in one}
    assert "total" in named
    assert "created" not in named
    assert b"penstock" not in prometheus_client.generate_latest()
