"""A table that is looked up in Postgres and not in memory shows in the metrics and in what a model says of itself."""

import re
from typing import Any

import pytest

from penstock.serving.tables import loading as cached_loading
from tests.engine.serving.conftest import Service, Start, wait_for

TABLES = {"tanks", "levels", "valves"}


def shown(service: Service) -> dict[str, int]:
    text = service.http.get("/metrics").text
    found = re.findall(r'^penstock_table_in_memory{model="overflow",table="(\w+)"} (\d)', text, re.M)
    return {table: int(value) for table, value in found}


def tables(service: Service) -> dict[str, Any]:
    state = service.http.get("/models/overflow").json()["state"]
    return {table["table"]: (table["in_memory"], table["in_postgres"]) for table in state["tables"]}


def test_tables_in_memory_show_as_such(service: Service) -> None:
    service.wait_for_tables()
    assert shown(service) == dict.fromkeys(TABLES, 1)
    assert tables(service) == dict.fromkeys(TABLES, (True, ""))


def test_a_table_of_too_many_rows_shows_with_the_reason_and_is_still_looked_up(
    service: Service, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.wait_for_tables()
    rows = {table["table"]: table["rows"] for table in service.http.get("/models/overflow").json()["state"]["tables"]}
    largest = max(rows, key=lambda table: rows[table])
    monkeypatch.setattr(cached_loading, "MOST_ROWS", rows[largest] - 1)
    crowded = start()
    wait_for(lambda: shown(crowded) == {table: int(table != largest) for table in TABLES})
    assert tables(crowded)[largest] == (
        False,
        f"{rows[largest]} rows, more than the {rows[largest] - 1} kept in memory",
    )
    answer = service.ask().json()
    assert crowded.ask().json() == answer | {"unchanged": True}
