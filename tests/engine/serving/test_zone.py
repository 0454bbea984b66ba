"""Times without an offset in a contract with a zone: read there, in requests as in the present that is filled in."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
import pyarrow as pa
import pytest

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import column_faults, demand_instants
from penstock.serving.answering.decoding import Decoder, Requests
from penstock.serving.routes.field_schema import complete
from penstock.warehouse.duckdb_file import DuckDBWarehouse

NOW = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
Local = Annotated[datetime, msgspec.Meta(tz=False)]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    opened: datetime | None = None
    seen: Local | None = None
    asked_at: datetime | None = None


class AskOfDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    day: date | None = None
    local: Local | None = None


def contract(
    zone: str = "Europe/Berlin", request: Any = Ask, asked_at: str = "asked_at", lookups: tuple[Lookup, ...] = ()
) -> Contract:
    return Contract(
        model="m",
        purpose="",
        request=request,
        entity=("id",),
        lookups=lookups,
        features=(Feature("n", "number"),),
        compute=lambda columns: {"n": columns["n"]},
        output=Output("y", "regressor"),
        asked_at=asked_at,
        zone=zone,
    )


def decoded(of: Contract, **fields: str) -> Requests:
    return Decoder(of, lambda: NOW)(json.dumps({"id": "a", **fields}).encode(), "1").requests


@pytest.mark.parametrize(
    ("wall_clock", "instant"),
    [
        ("2026-07-01T09:00:00", "2026-07-01T07:00:00Z"),
        ("2026-01-01T09:00:00", "2026-01-01T08:00:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
    ],
    ids=["summer", "winter", "twice", "left out"],
)
def test_a_time_without_an_offset_is_the_instant_of_its_zone(wall_clock: str, instant: str) -> None:
    local, zoned = (decoded(contract(), opened=text, asked_at=text) for text in (wall_clock, instant))
    assert local.texts == zoned.texts
    assert local.inputs == zoned.inputs
    assert local.asked_at == zoned.asked_at == [datetime.fromisoformat(instant)]
    assert local.decoded[0].opened == datetime.fromisoformat(instant)


def test_a_field_that_takes_no_offset_keeps_its_wall_clock() -> None:
    assert decoded(contract(), seen="2026-07-01T09:00:00").decoded[0].seen == datetime(2026, 7, 1, 9)


def test_without_a_zone_it_is_utc_as_it_was() -> None:
    found = decoded(contract("UTC"), asked_at="2026-07-01T09:00:00")
    assert found.asked_at == [datetime(2026, 7, 1, 9, tzinfo=UTC)]
    assert b'"2026-07-01T09:00:00"' in found.texts[0]


def test_the_present_is_that_of_the_zone() -> None:
    assert decoded(contract(request=AskOfDay, asked_at="day")).decoded[0].day == date(2026, 7, 2)
    local = decoded(contract(request=AskOfDay, asked_at="local"))
    assert local.decoded[0].local == datetime(2026, 7, 2, 0, 30)
    assert local.asked_at == [NOW]
    given = decoded(contract(request=AskOfDay, asked_at="day"), day="2026-07-02")
    assert given.asked_at == [datetime(2026, 7, 1, 22, tzinfo=UTC)]


def test_the_zone_is_of_the_digest_and_of_the_schema() -> None:
    assert contract().digest() != contract("UTC").digest()
    said = {name: msgspec.json.schema(Ask)["$defs"]["Ask"] for name in ("Europe/Berlin", "UTC")}
    for zone, schema in said.items():
        complete(schema, contract(zone))
    assert said["Europe/Berlin"]["properties"]["opened"]["description"] == (
        "Without an offset it is read in Europe/Berlin."
    )
    assert "description" not in said["UTC"]["properties"]["opened"]


def test_a_zone_that_there_is_not_is_said() -> None:
    with pytest.raises(
        PenstockError, match=r"zone of model 'm': .* found 'Europe/Berln'. Did you mean Europe/Berlin\?"
    ):
        contract("Europe/Berln")


def test_a_column_without_a_zone_is_refused_with_what_to_write() -> None:
    found = pa.schema(
        [("opened", pa.timestamp("us")), ("seen", pa.timestamp("us")), ("asked_at", pa.timestamp("us", "UTC"))]
    )
    demand_instants(contract("UTC"), found)
    said = r"query of model 'm': expected instants in column 'opened', .*\(\"opened\" AT TIME ZONE 'Europe/Berlin'\)"
    with pytest.raises(PenstockError, match=said) as refused:
        demand_instants(contract(), found)
    assert "'seen'" not in str(refused.value)


def test_the_as_of_column_of_a_lookup_is_refused_likewise(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        connection.execute("CREATE TABLE prices AS SELECT 'a' AS id, TIMESTAMP '2026-01-01' AS since, 1.5 AS price")
    table = ReplicatedTable("prices", "SELECT * FROM prices", ("id", "since"))
    lookup = Lookup("prices", "", {"id": "id"}, (Column("price", "number"),), ("since", "asked_at"))
    found = {
        zone: column_faults(DuckDBWarehouse(str(tmp_path / "w.duckdb")), table, contract(zone, lookups=(lookup,)))
        for zone in ("UTC", "Europe/Berlin")
    }
    assert found["UTC"] == []
    (fault,) = found["Europe/Berlin"]
    assert "query of table 'prices': expected instants in column 'since'" in str(fault)
