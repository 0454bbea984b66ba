from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pytest

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.declare.discovery import declared
from penstock.errors import ContractError
from penstock.extract.extract import extract_training_rows
from penstock.extract.training_join import training_query
from penstock.snapshots.store import SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.opening import open_warehouse
from tests.example import Example

MODEL = declared().models["flight_delay"]
TABLES = {table.name: table.query for table in declared().tables.values()}
WINDOW = {"from": datetime(2026, 10, 5, tzinfo=UTC), "until": datetime(2026, 10, 6, tzinfo=UTC)}


def joined(warehouse: Warehouse) -> pa.Table:
    query = training_query(MODEL.contract, MODEL.query, TABLES, warehouse.dialect)
    with warehouse.batches(query, WINDOW, key=MODEL.contract.entity) as batches:
        return batches.read_all()


def test_every_row_has_every_lookup_and_none_is_lost_or_doubled(example: Example) -> None:
    warehouse = DuckDBWarehouse(str(example.settings.warehouse_file), now=example.settings.now())
    with warehouse.batches(MODEL.query, WINDOW) as batches:
        asked = batches.read_all()

    rows = joined(warehouse)

    assert rows.num_rows == asked.num_rows > 700
    assert set(MODEL.contract.input_kinds()) <= set(rows.schema.names)
    assert rows.column("route.late_share").null_count < 30
    assert rows.column("weather.humid").null_count < 100


def test_what_comes_after_the_asking_time_changes_no_training_row(example: Example, tmp_path: Any) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(example.settings.warehouse_file.read_bytes())
    warehouse = DuckDBWarehouse(str(copy), now=example.settings.now())
    before = joined(warehouse)
    last_asked = max(before.column("asked_at").to_pylist())

    warehouse.prepare(f"""
        UPDATE source.weather SET humid = 1, wind_speed = 99, visib = 0, pressure = 900
            WHERE time_hour > TIMESTAMPTZ '{last_asked}';
        UPDATE source.flights SET dep_delay = 600, arr_delay = 600
            WHERE dep_delay IS NOT NULL AND time_hour > TIMESTAMPTZ '{WINDOW["until"]}' + INTERVAL 12 HOUR;
    """)
    for preparation in declared().preparations.values():
        warehouse.prepare(preparation.script)

    assert joined(warehouse).equals(before)


def test_outcomes_of_the_same_day_change_no_row_that_was_asked_before_they_were_known(
    example: Example, tmp_path: Any
) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(example.settings.warehouse_file.read_bytes())
    warehouse = DuckDBWarehouse(str(copy), now=example.settings.now())
    cut = datetime(2026, 10, 5, 17, tzinfo=UTC)
    early = pa.compute.less_equal
    before = joined(warehouse)
    warehouse.prepare(
        "UPDATE source.flights SET dep_delay = dep_delay + 300, arr_delay = arr_delay + 300 "
        "WHERE arr_delay IS NOT NULL "
        f"AND time_hour + to_minutes(minute + dep_delay) > TIMESTAMPTZ '{cut}' AND time_hour < TIMESTAMPTZ '2026-10-08'"
    )
    for preparation in declared().preparations.values():
        warehouse.prepare(preparation.script)
    after = joined(warehouse)

    kept = [name for name in before.schema.names if name != MODEL.outcome]
    unaware_before = before.filter(early(before.column("asked_at"), cut)).select(kept)
    unaware_after = after.filter(early(after.column("asked_at"), cut)).select(kept)
    assert unaware_before.num_rows > 200
    assert unaware_after.equals(unaware_before)
    assert not after.select(kept).equals(before.select(kept))


def test_postgres_as_the_warehouse_gives_the_same_rows_to_the_bit(
    example: Example, new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    from_duckdb = DuckDBWarehouse(str(example.settings.warehouse_file), now=example.settings.now())
    recent = "TIMESTAMPTZ '2026-10-01'"
    copied = {
        "flights": f"SELECT carrier, flight, origin, dest, scheduled_departure, tailnum, scheduled_at, arr_delay "
        f"FROM flights WHERE scheduled_at BETWEEN {recent} AND {recent} + INTERVAL 6 DAY",
        "weather": f"SELECT * FROM weather WHERE time_hour BETWEEN {recent} AND {recent} + INTERVAL 6 DAY",
        "planes": "SELECT * FROM planes",
        "airports": "SELECT * FROM airports",
        **{
            f"prepared.{name}": f"SELECT * FROM prepared.{name} WHERE known_at >= {recent} - INTERVAL 20 DAY"
            for name in declared().preparations
        },
    }
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA prepared")
        for name, query in copied.items():
            with from_duckdb.batches(query) as batches:
                _copy(connection, name, batches.read_all())
    ids = {}
    for place in ("", url):
        settings = msgspec.structs.replace(example.settings, warehouse_url=place, snapshots_url=str(tmp_path))
        ids[place] = extract_training_rows(
            MODEL,
            declared().tables,
            open_warehouse(settings),
            SnapshotStore(settings.snapshots),
            settings.now(),
            name="rows",
            since=WINDOW["from"],
            until=WINDOW["until"],
        )

    assert ids[url].rows > 700
    assert "OVER (" in ids[url].manifest.query
    assert "AS NOT MATERIALIZED (" in ids[url].manifest.query
    assert "ASOF" in ids[""].manifest.query
    assert ids[url].id == ids[""].id


def _copy(connection: psycopg.Connection, name: str, table: pa.Table) -> None:
    types = {pa.string(): "text", pa.int32(): "integer", pa.int64(): "bigint", pa.float64(): "float8"}
    types |= {pa.timestamp("us"): "timestamp", pa.timestamp("us", tz="UTC"): "timestamptz"}
    columns = ", ".join(f'"{field.name}" {types[field.type]}' for field in table.schema)
    connection.execute(f"CREATE TABLE {name} ({columns})")
    with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            copy.write_row(row)
    for key in ("known_at", "time_hour"):
        if key in table.schema.names:
            connection.execute(f"CREATE INDEX ON {name} (origin, {key})")


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    asked_at: datetime | None = None


def contract(lookup: Lookup) -> Contract:
    return Contract(
        model="m",
        purpose="",
        request=Ask,
        entity=("id",),
        lookups=(lookup,),
        features=(Feature("x", "number"),),
        compute=lambda columns: {"x": columns["l.x"]},
        output=Output("y", "regressor"),
    )


def test_rows_that_the_service_would_reject_are_not_trained_on() -> None:
    lookup = Lookup("l", "t", {"id": "id"}, (Column("x", "number"),), missing="reject")
    base = "SELECT * FROM (VALUES ('a'), ('b')) AS v (id)"
    query = training_query(contract(lookup), base, {"t": "SELECT 'a' AS id, 1.0 AS x"}, "duckdb")

    with DuckDBWarehouse(":memory:").connect() as connection:
        assert [row[0] for row in connection.execute(query).fetchall()] == ["a"]


def test_a_lookup_of_a_table_that_is_not_declared_is_an_error_that_names_those_that_are() -> None:
    lookup = Lookup("l", "missing", {"id": "id"}, (Column("x", "number"),))

    with pytest.raises(ContractError, match="'missing'"):
        training_query(contract(lookup), "SELECT 1", {"t": "SELECT 1"}, "duckdb")
